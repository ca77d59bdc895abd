"""What a site may set for the phase analysis, and what the model's bundle fixes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.analyses.phases.ontology import procedure_names
from pipeline.errors import BundleRejected, UnusableCall


@dataclass(frozen=True, kw_only=True, slots=True)
class PhasesSettings:
    """What a site may set."""

    procedure: str = "cholecystectomy"
    """Name of the procedure: which phases a video may show."""

    review_uncertainty: float = 0.3
    """Mean uncertainty above which a segment goes to review first, 0 to 1."""

    longest_gap_seconds: float = 10.0
    """Longest stretch without a usable picture that a segment spans [s]."""

    features: Path | None = None
    """Folder where what the encoder saw is kept by the video's digest, so that another temporal
    model does not decode again; None keeps nothing. Changes no result."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If a value is not possible.
        """
        if self.procedure not in procedure_names():
            raise UnusableCall(
                f"procedure is {self.procedure!r}, possible are {', '.join(procedure_names())}"
            )
        if not 0 <= self.review_uncertainty <= 1:
            raise UnusableCall(f"review_uncertainty is {self.review_uncertainty:g}, not 0 to 1")
        if self.longest_gap_seconds < 0:
            raise UnusableCall(f"longest_gap_seconds is {self.longest_gap_seconds:g}, below 0")

    def as_dict(self) -> dict[str, object]:
        """Return what a result depends on, for the configuration digest."""
        values = asdict(self)
        del values["features"]
        return values


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """What the networks were trained with, from the bundle's metadata."""

    rate_hz: float
    """Pictures for each second of video."""

    picture_side: int
    """Rows and columns of the encoder's picture."""

    n_features: int
    """Features of a picture."""

    window: int
    """Seconds that the temporal network attends to."""

    n_keys: int
    """Length of the compressed keys whose running maximum is the long past."""

    tools: tuple[str, ...]
    """Instruments whose presence it may be told, in order."""

    @classmethod
    def from_bundle(cls, values: Mapping[str, object]) -> "ModelSettings":
        """Read the settings from a bundle's own.

        Raises
        ------
        BundleRejected
            If one is missing or no positive number.
        """
        found: dict[str, float] = {}
        for name in ("rate_hz", "picture_side", "n_features", "window", "n_keys"):
            value = values.get(name)
            if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
                raise BundleRejected(
                    f"metadata.json: vesalius.{name} is {value!r}, not a positive number"
                )
            found[name] = value
        tools = values.get("tools")
        if not isinstance(tools, list) or not all(isinstance(tool, str) for tool in tools):
            raise BundleRejected(f"metadata.json: vesalius.tools is {tools!r}, not names")
        rate = float(found.pop("rate_hz"))
        return cls(rate_hz=rate, tools=tuple(tools), **{name: int(v) for name, v in found.items()})
