"""Put lines of k-space where they belong: what MRD and twix have in common.

A line has a place ``(frame, slice, partition, ky)`` and starts at a sample of ``kx``. Lines that
were measured more than once are averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, NotApplicable
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.content import check_finite, check_size, shared
from pipeline.mr.fourier import centred, ifft1c, without_oversampling


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One readout."""

    place: tuple[int, int, int, int]
    """Frame, slice, partition (kz) and ky, each from 0."""

    first_sample: int
    """Where its first sample lies on the grid of ``kx``."""

    samples: NDArray[np.complex64]
    """Shape ``(coils, samples)``."""

    label: str
    """How messages name it: ``acquisition 17``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LineGrid:
    """The grid that lines are put on."""

    n_frames: int
    """Time steps."""

    n_slices: int
    """Slices that were excited one by one."""

    encoded: tuple[int, int, int]
    """Partitions (kz), ky and kx, with readout oversampling."""

    columns: int
    """Columns that are left without readout oversampling."""

    partitions: int
    """Slices that are kept of the partitions, once they are transformed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gridded:
    """Lines on their grid."""

    array: NDArray[np.complex64]
    """Shape ``(frames, slices, coils, ky, kx)``."""

    mask: NDArray[np.bool_]
    """Shape ``(frames, slices, ky, kx)``."""

    n_averages: int
    """Least number of times that a line was measured."""

    notes: tuple[str, ...]
    """What was noticed."""


def put_on_grid(lines: Sequence[Line], grid: LineGrid, name: str, limits: Limits) -> Gridded:
    """Put lines on a grid, without readout oversampling.

    Parameters
    ----------
    lines
        The lines, in any order.
    grid
        The grid.
    name
        The file's name, for messages.
    limits
        What a file may hold.

    Raises
    ------
    InconsistentSeries
        If a line lies off the grid, holds zeros only or has another number of coils, or if a frame
        of a slice has none.
    NotApplicable
        If partitions are undersampled.
    UnreadableFile
        If samples are no numbers, or too many.
    """
    if not lines:
        raise InconsistentSeries(f"{name}: nothing was measured: it holds no imaging line")
    n_coils = len(lines[0].samples)
    kz, ky, kx = grid.encoded
    outer = (grid.n_frames, grid.n_slices, kz)
    check_size(int(np.prod([*outer, n_coils, ky, kx], dtype=object)), name, limits)
    array = np.zeros((*outer, n_coils, ky, kx), dtype=np.complex64)
    counts = np.zeros((*outer, ky), dtype=np.int32)
    sampled = np.zeros(kx, dtype=np.bool_)
    for line in lines:
        _check_line(line, n_coils, (*outer, ky), kx, name)
        stop = line.first_sample + line.samples.shape[1]
        frame, index, partition, row = line.place
        array[frame, index, partition, :, row, line.first_sample : stop] += line.samples
        counts[line.place] += 1
        sampled[line.first_sample : stop] = True
    array /= np.maximum(counts, 1)[:, :, :, None, :, None]
    return _finished(array, counts, sampled, (grid, name))


def _finished(
    array: NDArray[np.complex64],
    counts: NDArray[np.int32],
    sampled: NDArray[np.bool_],
    target: tuple[LineGrid, str],
) -> Gridded:
    """Return gridded lines with partitions transformed and oversampling removed."""
    grid, name = target
    least = int(counts[counts > 0].min())
    notes = []
    if counts.max() > 1:
        notes.append(f"lines were measured up to {counts.max()} times and averaged")
    lines = counts > 0
    if grid.encoded[0] > 1:
        array, lines = _transformed(array, lines, grid, name)
    else:
        array, lines = array[:, :, 0], lines[:, :, 0]
    missing = np.argwhere(~lines.any(axis=2))
    if missing.size:
        frame, index = missing[0]
        raise InconsistentSeries(f"{name}: frame {frame} of slice {index} has no line")
    array, read = _cut_readout(array, sampled, grid.columns)
    if not read.all():
        notes.append(f"partial echo: {np.count_nonzero(read)} of {read.size} samples a line")
        array = array * read
    mask = lines[..., None] & read
    return Gridded(
        array=np.ascontiguousarray(array), mask=shared(mask), n_averages=least, notes=tuple(notes)
    )


def _check_line(line: Line, n_coils: int, outer: tuple[int, ...], kx: int, name: str) -> None:
    """Refuse a line that does not fit the others, or says nothing."""
    if len(line.samples) != n_coils:
        raise InconsistentSeries(
            f"{name}: {line.label} has {len(line.samples)} coils, the first has {n_coils}"
        )
    check_finite(line.samples, f"{name}: {line.label}")
    if not line.samples.any():
        raise InconsistentSeries(f"{name}: {line.label} holds zeros only")
    inside = all(0 <= at < n for at, n in zip(line.place, outer, strict=True))
    if not inside or line.first_sample < 0 or line.first_sample + line.samples.shape[1] > kx:
        raise InconsistentSeries(
            f"{name}: {line.label} lies off the grid: frame, slice, kz, ky {line.place} of "
            f"{outer}, samples {line.first_sample} to "
            f"{line.first_sample + line.samples.shape[1]} of {kx}"
        )


def _transformed(
    array: NDArray[np.complex64], lines: NDArray[np.bool_], grid: LineGrid, name: str
) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """Return partitions as slices, and the lines of each slice.

    A fully sampled axis may be transformed before the others are reconstructed.
    """
    if grid.n_slices > 1:
        raise NotApplicable(f"{name}: {grid.n_slices} slabs of partitions; one can be read")
    any_partition = np.asarray(lines.any(axis=2, keepdims=True))
    if not (lines == any_partition).all():
        raise NotApplicable(
            f"{name}: the partitions (kz) of a 3-D acquisition are undersampled; only the lines "
            "within them may be"
        )
    slices = ifft1c(array[:, 0], axis=1)[:, centred(grid.encoded[0], grid.partitions)]
    shape = (grid.n_frames, grid.partitions, grid.encoded[1])
    return slices, np.broadcast_to(any_partition[:, 0], shape)


def _cut_readout(
    array: NDArray[np.complex64], sampled: NDArray[np.bool_], columns: int
) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """Return lines without oversampling, and which samples of theirs were measured."""
    kx = sampled.size
    if columns == kx:
        return array, sampled
    places = (np.arange(columns) - columns // 2) * kx / columns + kx // 2
    nearest = np.clip(np.rint(places), 0, kx - 1).astype(np.int64)
    return without_oversampling(array, columns), sampled[nearest]
