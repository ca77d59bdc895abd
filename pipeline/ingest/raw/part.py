"""What a file of raw data holds: records, whatever the format is."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from pipeline.mr.kspace import KSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class RawShape:
    """How much a part of a file holds, told without reading its samples."""

    n_frames: int
    """Time steps."""

    n_slices: int
    """Slices."""

    n_coils: int
    """Receiver coils."""

    rows: int
    """Rows of the image."""

    columns: int
    """Columns of the image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawPart:
    """A part of a file that makes images of its own: an echo, a set, an encoding space."""

    name: str
    """How it is told from the other parts, such as ``contrast 2``; empty where there is one only.
    """

    shape: RawShape
    """How much it holds."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D), where the file states one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawContent:
    """A part of a file, read."""

    kspace: KSpace
    """The samples and their place."""

    header: Dataset | None
    """Patient, study, equipment and sequence as far as the file states them; None where the format
    knows of none. Never logged."""

    notes: tuple[str, ...]
    """What a reader should know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawLook:
    """What a file of raw data holds."""

    kind: str
    """Name of its format."""

    parts: tuple[RawPart, ...]
    """Its parts."""
