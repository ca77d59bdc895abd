"""What an inventory lists: series that may be analysed, and what was refused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.study import Series


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A file or a series that cannot be processed as received."""

    label: str
    """The file, by its name under the input, or the Series Instance UID."""

    reason: str
    """Why: names files, SOP Instance UIDs, tags and numbers; no patient data."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D), where it is known."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E), where they are known."""

    files: tuple[str, ...]
    """The files, by their names under the input."""

    is_incomplete: bool = False
    """Whether instances are missing, which may still come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A series that was found sound; its pixels are still on disk."""

    label: str
    """The Series Instance UID, or the file's name for NIfTI and raw data."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None for NIfTI, and for raw data where none is stated."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E), in the order of the slices; none for NIfTI and raw data."""

    modality: str
    """Modality (0008,0060), ``NIFTI``, or ``KSPACE`` for raw data."""

    sop_class_uid: str | None
    """SOP Class UID (0008,0016); None for NIfTI and raw data."""

    n_instances: int
    """Instances; 1 for NIfTI."""

    n_beats: int
    """Time steps: 1 for a single volume, 0 for what is no image of a volume."""

    n_slices: int
    """Slices; 0 for what is no image of a volume."""

    rows: int
    """Rows; 0 for what is no image of a volume."""

    columns: int
    """Columns; 0 for what is no image of a volume."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    files: tuple[Path, ...] = field(repr=False)
    """The files that it consists of: an inventory of them alone finds it again."""

    notes: tuple[str, ...]
    """What a reader should know: missed beats, frames split off, estimated times."""

    read: Callable[[], Series] = field(repr=False, compare=False)
    """How to load it."""

    def load(self) -> Series:
        """Read the pixels.

        Raises
        ------
        NotApplicable
            If it is no image of a volume.
        UnreadableFile
            If pixel data is damaged, or a file has changed since the inventory.
        InconsistentSeries
            If a NIfTI file has changed its grid since the inventory, or raw data contradict
            themselves.
        """
        return self.read()
