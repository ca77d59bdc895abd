"""NIfTI as candidates of an inventory, read by a process of its own.

``nifti_candidate`` asks; ``pipeline.ingest.niftireading`` is what the process does.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.identity import digest_file, digest_set
from pipeline.imaging.niftiheader import NiftiHeader
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.collect import FoundFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.quantity import Beside, stated_beside
from pipeline.sandbox.kept import last_reader_of, reader_of
from pipeline.sandbox.reader import Allowance, Reader, Task
from pipeline.study import InputSeries

MODULE = "pipeline.ingest.niftireading"
HEADER = Task(address=f"{MODULE}:header", records=(NiftiHeader,))
SERIES = Task(address=f"{MODULE}:series", records=(TimeSeries,))

COPIES = 6
"""How often a reader holds the values at a time, in units of float32."""

FEW_BYTES = 16 << 20
"""Size of values that a reader of a header may read as well: they need no second reader."""

ROUNDING = 16 << 20
"""Bytes by which an answer may be longer than its values: the times of slices."""


def nifti_candidate(file: FoundFile, limits: Limits) -> Candidate | None:
    """Return a NIfTI file as a candidate; None if its values are complex: raw data.

    Raises
    ------
    UnreadableFile, InconsistentSeries
        If its header shows that it cannot be read.
    """
    size = file.path.stat().st_size
    if size > limits.max_file_bytes:
        raise UnreadableFile(f"{file.name}: {size} bytes, limit {limits.max_file_bytes}")
    with reader_of(file.path, lambda: _reader(file, 0, limits)) as reader:
        found: NiftiHeader | None = reader.call(
            HEADER, file.path.absolute(), limits.max_pixel_bytes
        )
    if found is None:
        return None
    notes = []
    if found.time_first:
        notes.append("time stands on the file's first axis")
    if found.step_s is None and found.shape[0] > 1:
        notes.append("times are estimated: the header's time step is missing or a placeholder")
    n_beats, n_slices, rows, columns = found.shape
    sha256 = digest_file(file.path)
    beside = stated_beside(file.path, file.name)
    n_bytes = 4 * n_beats * n_slices * rows * columns
    return Candidate(
        label=file.name,
        study_instance_uid=None,
        series_instance_uids=(),
        modality="NIFTI",
        sop_class_uid=None,
        n_instances=1,
        n_beats=n_beats,
        n_slices=n_slices,
        rows=rows,
        columns=columns,
        input_digest=_digest(sha256, beside),
        files=(file.path,),
        notes=tuple(notes),
        read=partial(_load, file, (sha256, beside, n_bytes), tuple(notes), limits),
    )


def _digest(sha256: str, beside: Beside | None) -> str:
    """Return the digest of a NIfTI file, and of what states what its values are."""
    return digest_set([sha256] if beside is None else [sha256, beside.sha256])


def _load(
    file: FoundFile,
    what: tuple[str, Beside | None, int],
    notes: tuple[str, ...],
    limits: Limits,
) -> InputSeries:
    """Read a NIfTI file that has not changed since the inventory."""
    sha256, beside, n_bytes = what
    try:
        is_same = digest_file(file.path) == sha256
        changed = not is_same or stated_beside(file.path, file.name) != beside
    except OSError as error:
        raise UnreadableFile(f"{file.name}: cannot be read again") from error
    if changed:
        raise InconsistentSeries(f"{file.name}: the file has changed since it was checked")
    with _reader_of_values(file, n_bytes, limits) as reader:
        image: TimeSeries = reader.call(SERIES, file.path.absolute(), limits.max_pixel_bytes)
    return InputSeries(
        label=file.name,
        study_instance_uid=None,
        series_instance_uids=(),
        image=replace(image, unit=None if beside is None else beside.unit),
        frames=(),
        header=None,
        input_digest=_digest(sha256, beside),
        notes=notes,
    )


def _reader_of_values(
    file: FoundFile, n_bytes: int, limits: Limits
) -> AbstractContextManager[Reader]:
    """Return a reader of a file whose values take so many bytes: that of its header, for few."""
    if n_bytes > FEW_BYTES:
        return _reader(file, n_bytes, limits)
    return last_reader_of(file.path, lambda: _reader(file, n_bytes, limits))


def _reader(file: FoundFile, n_bytes: int, limits: Limits) -> Reader:
    """Return a new reader of a file; what few values take, each may use."""
    n_bytes = max(n_bytes, FEW_BYTES)
    allowance = Allowance(
        readable=(file.path,),
        memory_bytes=limits.reader_memory_bytes + COPIES * n_bytes,
        time_s=limits.reader_time_s,
        answer_bytes=n_bytes + ROUNDING,
    )
    return Reader(file.name, allowance, MODULE)
