"""What a site may set for the perfusion analysis, and what the model's bundle fixes."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

from pipeline.errors import BundleRejected, UnusableCall
from pipeline.identity import digest_bytes

FLOW_OF_SIGNALS = ("refuse", "research")
"""What may be done with a series of signals, which flow cannot be measured on."""

UNCERTAINTY_STRIDES = (2, 4, 8)
"""Strides that every position of the segmentation's stride is a multiple of."""

MOTIONS = ("none", "rigid", "deformable")
"""How motion between beats may be corrected."""

SEGMENTATIONS = ("chosen", "blend", "per-pixel")
"""What a slice's segmentation is made of."""

POSSIBLE: Mapping[str, tuple[object, ...]] = {
    "motion": MOTIONS,
    "flow": FLOW_OF_SIGNALS,
    "uncertainty_stride": UNCERTAINTY_STRIDES,
    "segmentation": SEGMENTATIONS,
}
"""Settings with a few possible values."""

LATER = {
    "motion": "rigid",
    "segmentation": "chosen",
    "stop_below_u_pp": 0.0,
    "flow": FLOW_OF_SIGNALS[0],
    "trust": None,
    "trust_digest": None,
}
"""Settings that came later, and the values at which a job is what it was before them."""

REST_WORDS = ("rest", "resting", "ruhe", "repos", "reposo")
"""Words for a heart at rest."""

STRESS_WORDS = (
    *("stress", "adenosine", "adenosin", "adeno", "regadenoson", "rega", "lexiscan", "rapiscan"),
    *("dipyridamole", "persantine", "dobutamine", "hyperemia", "hyperaemia", "belastung"),
)
"""Words for a heart under stress, and the agents that bring it about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerfusionSettings:
    """What a site may set. Every one changes the configuration digest, and so the job."""

    uncertainty_stride: int = 2
    """Points between neighbouring patches of the uncertainty map: 2 as in the paper, or 4 or 8."""

    minimum_myocardium_area_mm2: float = 500.0
    """A smaller myocardium is implausible, and the member that found it is not chosen [mm2]."""

    maximum_myocardium_area_mm2: float = 5000.0
    """A larger one is implausible too: over-segmentation lowers U_pp [mm2]."""

    flag_u_pp: float = 0.005
    """A result whose U_pp lies above carries a warning, and the heart is looked for at the next
    likely place, too: above every U_pp of the shipped pool's evaluation. Another pool needs another
    value."""

    motion: str = "rigid"
    """How motion between beats is corrected: ``rigid``, by a shift of each beat; ``deformable``, by
    a smooth field on top, for what is measured; or ``none``."""

    segmentation: str = "chosen"
    """What a slice is segmented by: ``chosen``, the member with the lowest U_pp; ``blend``, the
    mean of the two with the lowest; ``per-pixel``, at each point the member that is surest
    there."""

    stop_below_u_pp: float = 0.0
    """No further member of the pool runs on a slice once a plausible one has a lower U_pp and two
    have run, in the order of the bundle; 0 always runs the whole pool."""

    trust: Path | None = None
    """A site's own calibration of trust; None takes the bundle's."""

    trust_digest: str | None = None
    """SHA-256 that this file must have, hexadecimal; None takes it as it is."""

    flow: str = "refuse"
    """What is done with a series of signals where flow is asked for: ``refuse``, or ``research``,
    a flow that every output marks as no measurement. That of concentrations is always measured."""

    rest_words: tuple[str, ...] = REST_WORDS
    """Words of a series' description or protocol that say that it was taken at rest."""

    stress_words: tuple[str, ...] = STRESS_WORDS
    """Words that say that it was taken under stress."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If a value is not possible.
        """
        if any(word != word.lower() for word in (*self.rest_words, *self.stress_words)):
            raise UnusableCall("rest_words and stress_words are written in small letters")
        for name, possible in POSSIBLE.items():
            value = getattr(self, name)
            if value not in possible:
                listed = ", ".join(map(str, possible))
                raise UnusableCall(f"{name} is {value!r}, possible are {listed}")
        if self.stop_below_u_pp < 0:
            raise UnusableCall(f"stop_below_u_pp is {self.stop_below_u_pp:g}, below 0")
        if self.trust is None and self.trust_digest is not None:
            raise UnusableCall("trust_digest needs trust")
        if not 0 <= self.minimum_myocardium_area_mm2 < self.maximum_myocardium_area_mm2:
            raise UnusableCall(
                f"minimum_myocardium_area_mm2 {self.minimum_myocardium_area_mm2:g} is not below "
                f"maximum_myocardium_area_mm2 {self.maximum_myocardium_area_mm2:g}"
            )

    def as_dict(self) -> dict[str, object]:
        """Return the settings for the configuration digest.

        Words that are those of this software and settings that change nothing are left out: they
        came later, and jobs that were done before keep their ids. A calibration is named with its
        digest: the same path with another content is another job.

        Raises
        ------
        UnusableCall
            If the calibration cannot be read, or has another digest than it must have.
        """
        values = asdict(self)
        if self.trust is not None:
            values["trust"] = str(self.trust.resolve())
            values["trust_digest"] = digest_bytes(self.trust_bytes())
        for name, nothing in LATER.items():
            if values[name] == nothing:
                del values[name]
        for name, words in (("rest_words", REST_WORDS), ("stress_words", STRESS_WORDS)):
            chosen = values.pop(name)
            if chosen != words:
                values[name] = list(chosen)
        return values

    def trust_bytes(self) -> bytes:
        """Return the content of the site's calibration.

        Raises
        ------
        UnusableCall
            If none is set, if it cannot be read, or has another digest than it must have.
        """
        if self.trust is None:
            raise UnusableCall("no calibration of trust is set")
        try:
            content = self.trust.read_bytes()
        except OSError as problem:
            raise UnusableCall(f"{self.trust}: cannot be read ({problem.strerror})") from problem
        if self.trust_digest is not None and digest_bytes(content) != self.trust_digest:
            raise UnusableCall(f"{self.trust}: has changed, trust_digest names another content")
        return content


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelGrid:
    """The grid that the members of the pool were trained on, from the bundle's metadata."""

    grid_size: int
    """Points along the side of the square around the heart."""

    grid_spacing_mm: float
    """Distance between its points [mm]."""

    patch_size: int
    """Points along the side of a patch."""

    n_beats: int
    """Beats that a member sees."""

    segmentation_stride: int
    """Points between neighbouring patches of the segmentation."""

    edge_before: int
    """First rows and columns of a patch that the uncertainty map leaves out."""

    edge_after: int
    """Last rows and columns of a patch that the uncertainty map leaves out."""

    label_spacing_mm: float = 0.0
    """Pixels that the training's labels were drawn on [mm]; 0 where the bundle does not say."""

    endocardial_offset: float = 0.0
    """How far outwards the endocardial contour is moved for each millimetre that the image's pixels
    are finer than the labels' [mm/mm]."""

    @classmethod
    def from_bundle(cls, values: Mapping[str, object]) -> "ModelGrid":
        """Read the grid from a bundle's own settings.

        Raises
        ------
        BundleRejected
            If one is missing or not a number, or if the patches do not fit the grid.
        """
        found: dict[str, object] = {
            f.name: values.get(f.name, None if f.default is MISSING else f.default)
            for f in fields(cls)
        }
        for name, value in found.items():
            if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
                raise BundleRejected(f"metadata.json: vesalius.{name} is {value!r}, not a number")
        grid = cls(
            grid_spacing_mm=float(str(found.pop("grid_spacing_mm"))),
            label_spacing_mm=float(str(found.pop("label_spacing_mm"))),
            endocardial_offset=float(str(found.pop("endocardial_offset"))),
            **{name: int(str(value)) for name, value in found.items()},
        )
        room = grid.grid_size - grid.patch_size
        if room < 0 or grid.segmentation_stride < 1 or room % grid.segmentation_stride:
            raise BundleRejected(
                f"metadata.json: patches of {grid.patch_size} every {grid.segmentation_stride} "
                f"do not fill a grid of {grid.grid_size}"
            )
        return grid
