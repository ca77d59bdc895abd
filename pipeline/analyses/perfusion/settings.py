"""What a site may set for the perfusion analysis, and what the model's bundle fixes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from pipeline.errors import BundleRejected, UnusableCall

FLOW_OF_SIGNALS = ("refuse", "research")
"""What may be done with a series of signals, which flow cannot be measured on."""

UNCERTAINTY_STRIDES = (2, 4, 8)
"""Strides that every position of the segmentation's stride is a multiple of."""

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
    """A result whose U_pp lies above carries a warning: a little over twice the highest U_pp on
    the series that watched over the shipped pool's training. Another pool needs another value."""

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
        if self.flow not in FLOW_OF_SIGNALS:
            raise UnusableCall(f"flow is {self.flow!r}, possible is {' or '.join(FLOW_OF_SIGNALS)}")
        if self.uncertainty_stride not in UNCERTAINTY_STRIDES:
            raise UnusableCall(
                f"uncertainty_stride is {self.uncertainty_stride}, possible are "
                f"{', '.join(map(str, UNCERTAINTY_STRIDES))}"
            )
        if not 0 <= self.minimum_myocardium_area_mm2 < self.maximum_myocardium_area_mm2:
            raise UnusableCall(
                f"minimum_myocardium_area_mm2 {self.minimum_myocardium_area_mm2:g} is not below "
                f"maximum_myocardium_area_mm2 {self.maximum_myocardium_area_mm2:g}"
            )

    def as_dict(self) -> dict[str, object]:
        """Return the settings for the configuration digest.

        Words that are those of this software and flow that is refused are left out: they came
        later, and jobs that were done before keep their ids.
        """
        values = asdict(self)
        for name, words in (("rest_words", REST_WORDS), ("stress_words", STRESS_WORDS)):
            chosen = values.pop(name)
            if chosen != words:
                values[name] = list(chosen)
        if self.flow == FLOW_OF_SIGNALS[0]:
            del values["flow"]
        return values


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

    @classmethod
    def from_bundle(cls, values: Mapping[str, object]) -> "ModelGrid":
        """Read the grid from a bundle's own settings.

        Raises
        ------
        BundleRejected
            If one is missing or not a number, or if the patches do not fit the grid.
        """
        found: dict[str, object] = {f.name: values.get(f.name) for f in fields(cls)}
        for name, value in found.items():
            if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
                raise BundleRejected(f"metadata.json: vesalius.{name} is {value!r}, not a number")
        grid = cls(
            grid_spacing_mm=float(str(found.pop("grid_spacing_mm"))),
            **{name: int(str(value)) for name, value in found.items()},
        )
        room = grid.grid_size - grid.patch_size
        if room < 0 or grid.segmentation_stride < 1 or room % grid.segmentation_stride:
            raise BundleRejected(
                f"metadata.json: patches of {grid.patch_size} every {grid.segmentation_stride} "
                f"do not fill a grid of {grid.grid_size}"
            )
        return grid
