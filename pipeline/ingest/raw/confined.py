"""Raw data, read by a process of its own: HDF5 and the formats of vendors are native code's.

``look`` and ``content`` ask; ``pipeline.ingest.raw.reading`` is what the process does.
"""

from pathlib import Path

from pipeline.errors import UnreadableFile
from pipeline.imaging.niftiheader import is_nifti_name
from pipeline.ingest.collect import FoundFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.names import HDF5_ENDINGS
from pipeline.ingest.raw.part import RawContent, RawLook, RawPart, RawShape
from pipeline.mr.kspace import CalibrationScan, KSpace, Readout
from pipeline.sandbox.reader import Allowance, Reader, Task

MODULE = "pipeline.ingest.raw.reading"

ENDINGS = (*HDF5_ENDINGS, ".cfl", ".npy", ".dat")
"""File name endings of what may be raw data, in lower case; NIfTI beside them."""

COPIES = 8
"""How often a reader holds the samples at a time: as stored, sorted, on the grid, answered."""

OVERSAMPLING = 2
"""Samples for each pixel of an image, along the readout."""

ROUNDING = 64 << 20
"""Bytes by which an answer may be longer than its samples: masks, headers."""


LOOK = Task(address=f"{MODULE}:found", records=(RawLook, RawPart, RawShape))
READ = Task(address=f"{MODULE}:read", records=(RawContent, KSpace, CalibrationScan, Readout))


def look(file: FoundFile, limits: Limits) -> RawLook | None:
    """Return what a file of raw data holds; None if it is none and does not claim to be.

    Parameters
    ----------
    file
        The file.
    limits
        What it may hold.

    Raises
    ------
    UnreadableFile, InconsistentSeries, NotApplicable
        If its headers show that it cannot be read.
    """
    if not is_nifti_name(file.path) and file.path.suffix.lower() not in ENDINGS:
        return None
    size = file.path.stat().st_size
    if size > limits.max_file_bytes:
        raise UnreadableFile(f"{file.name}: {size} bytes, limit {limits.max_file_bytes}")
    with Reader(file.name, _allowance(file.path, size, limits), MODULE) as reader:
        answer: RawLook | None = reader.call(LOOK, file.path.absolute(), file.name, limits)
    return answer


def content(file: FoundFile, kind: str, part: RawPart, limits: Limits) -> RawContent:
    """Return a part of a file, read.

    Parameters
    ----------
    file
        The file.
    kind
        Name of its format.
    part
        The part.
    limits
        What it may hold.

    Raises
    ------
    UnreadableFile, InconsistentSeries, NotApplicable
        If it cannot be read.
    """
    shape = part.shape
    n_pixels = shape.n_frames * shape.n_slices * shape.n_coils * shape.rows * shape.columns
    held = max(file.path.stat().st_size, 8 * OVERSAMPLING * n_pixels)
    with Reader(file.name, _allowance(file.path, held, limits), MODULE) as reader:
        asked = (file.path.absolute(), file.name, kind, part.name, limits)
        answer: RawContent = reader.call(READ, *asked)
    return answer


def _allowance(path: Path, held: int, limits: Limits) -> Allowance:
    """Return what a reader of a file may use; BART has a header beside its values."""
    return Allowance(
        readable=(path, path.with_suffix(".hdr")),
        memory_bytes=limits.reader_memory_bytes + COPIES * held,
        time_s=limits.reader_time_s,
        answer_bytes=limits.max_pixel_bytes + ROUNDING,
    )
