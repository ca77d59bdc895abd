"""Where a video is, what its container says, where it is damaged: records, nothing is decoded."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoShape:
    """What a container says of its pictures."""

    codec: str
    """Name of the codec, as FFmpeg has it."""

    rows: int
    """Rows of a picture."""

    columns: int
    """Columns of a picture."""

    rate_hz: float
    """Mean number of pictures a second."""

    duration_seconds: float | None
    """Length [s]; None where the container does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DamagedStretch:
    """A stretch of video that could not be decoded."""

    start_seconds: float
    """Last good picture before it, from the start of the case [s]."""

    end_seconds: float | None
    """Next good picture [s]; None if the video has no more."""

    def __str__(self) -> str:
        """Say it to a reader."""
        end = "the end" if self.end_seconds is None else f"{self.end_seconds:.1f} s"
        return f"no picture from {self.start_seconds:.1f} s to {end}: damaged or missing"


class Kind(Enum):
    """What a video is read from."""

    FILE = "file"
    """The container."""

    DICOM = "dicom"
    """A DICOM object around the container."""

    ADDRESS = "address"
    """A device or a sender on the network."""

    STANDARD_INPUT = "standard input"
    """What is piped in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Footage:
    """One file of a case, or what is still going on: where it is, not opened."""

    name: str
    """How messages name it."""

    kind: Kind
    """What it is read from."""

    place: str
    """Its path or its address."""

    start_seconds: float = 0.0
    """Where it begins in the case [s]."""
