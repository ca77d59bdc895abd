"""BART files: a header of sizes (.hdr) beside complex64 values in column-major order (.cfl).

The axes are BART's sixteen: read, phase 1, phase 2, coils, and so on. A readout of length one was
transformed away, and both phase encodings become the plane; else a second phase encoding of more
than one, fully sampled, is transformed to slices.

References
----------
.. [BART] BART toolbox, src/misc/mri.h (DIMS) and doc/: 16 dimensions, centred unitary transforms.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NotApplicable, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.content import (
    check_finite,
    check_origin,
    check_size,
    mask_of,
    silent_coils,
)
from pipeline.ingest.raw.part import RawContent, RawPart, RawShape
from pipeline.mr.fourier import ifft1c
from pipeline.mr.kspace import KSpace, Readout, uncounted_times

NAMES = (
    "read",
    "phase 1",
    "phase 2",
    "coils",
    "maps",
    "echoes",
    "coefficients",
    "coefficients 2",
    "iterations",
    "shifts",
    "time",
    "time 2",
    "level",
    "slices",
    "averages",
    "batch",
)
"""What each axis of a file is [BART]_."""

READ, PHASE_1, PHASE_2, COILS, TIME, SLICES = 0, 1, 2, 3, 10, 13
USED = (READ, PHASE_1, PHASE_2, COILS, TIME, SLICES)
MAX_HEADER_BYTES = 64 * 1024


def bart_parts(path: Path, name: str, limits: Limits) -> tuple[RawPart, ...]:
    """Return what a file holds; no samples are read.

    Raises
    ------
    UnreadableFile, NotApplicable
        As ``read_bart``, as far as the header shows it.
    """
    sizes = _sizes(path, name, limits)
    _, rows, columns, _ = _plane(sizes)
    n_slices = sizes[SLICES] if sizes[READ] == 1 else sizes[SLICES] * sizes[PHASE_2]
    shape = RawShape(
        n_frames=sizes[TIME], n_slices=n_slices, n_coils=sizes[COILS], rows=rows, columns=columns
    )
    return (RawPart(name="", shape=shape, study_instance_uid=None),)


def read_bart(path: Path, name: str, limits: Limits) -> RawContent:
    """Read a file.

    Parameters
    ----------
    path
        The .cfl; the .hdr lies beside it.
    name
        Its name, for messages.
    limits
        What a file may hold.

    Raises
    ------
    UnreadableFile
        If the header is missing or its sizes are not those of the values, or values are no numbers.
    InconsistentSeries
        If nothing was measured.
    NotApplicable
        If it has axes that k-space of one contrast has not, or phase 2 of a 3-D acquisition is
        undersampled.
    """
    sizes = _sizes(path, name, limits)
    values = np.fromfile(path, dtype="<c8").reshape(sizes, order="F")
    check_finite(values, name)
    readout, rows, columns, axes = _plane(sizes)
    order = (TIME, SLICES, *axes)
    unused = [axis for axis in range(len(sizes)) if axis not in order]
    kept = values.transpose(*order, *unused).reshape([sizes[axis] for axis in order])
    array = _two_dimensional(kept, name) if readout is Readout.COLUMNS else kept[:, :, 0]
    array = np.ascontiguousarray(array, dtype=np.complex64)
    mask = mask_of(array, name)
    check_origin(array, name)
    return RawContent(
        kspace=KSpace(
            array=array,
            mask=mask,
            image_shape=(rows, columns),
            readout=readout,
            affine=None,
            pixel_spacing_mm=None,
            times_s=uncounted_times(array.shape[0], array.shape[1]),
            times_are_estimated=True,
        ),
        header=None,
        notes=(
            "BART files state no position: the image has no place in the patient",
            *silent_coils(array),
        ),
    )


def _plane(sizes: tuple[int, ...]) -> tuple[Readout, int, int, tuple[int, int, int, int]]:
    """Return readout, rows, columns and the axes of ``(partition, coil, ky, kx)``."""
    if sizes[READ] == 1:
        return Readout.NONE, sizes[PHASE_1], sizes[PHASE_2], (READ, COILS, PHASE_1, PHASE_2)
    return Readout.COLUMNS, sizes[PHASE_1], sizes[READ], (PHASE_2, COILS, PHASE_1, READ)


def _two_dimensional(kept: NDArray[np.complex64], name: str) -> NDArray[np.complex64]:
    """Return partitions as slices. Shape ``(frames, slices, coils, ky, kx)``."""
    n_frames, n_slabs, n_partitions = kept.shape[:3]
    if n_partitions == 1:
        return kept[:, :, 0]
    if n_slabs > 1:
        raise NotApplicable(
            f"{name}: {n_slabs} slabs of {n_partitions} partitions; one can be read"
        )
    measured = np.any(kept != 0, axis=3)
    if not (measured == measured.any(axis=2, keepdims=True)).all():
        raise NotApplicable(
            f"{name}: the second phase encoding of a 3-D acquisition is undersampled; transform "
            "the readout first, so that its axis has length one"
        )
    return ifft1c(kept[:, 0], axis=1).reshape(n_frames, n_partitions, *kept.shape[3:])


def _sizes(path: Path, name: str, limits: Limits) -> tuple[int, ...]:
    """Return the sixteen sizes of a header, compared with the limits and the values beside it."""
    header = path.with_suffix(".hdr")
    if not header.is_file():
        raise UnreadableFile(f"{name}: its header {header.name} is missing")
    with header.open("rb") as file:
        lines = file.read(MAX_HEADER_BYTES).decode("latin-1").splitlines()
    stated = [
        lines[i + 1].split()
        for i, line in enumerate(lines[:-1])
        if line.strip().lower() == "# dimensions"
    ]
    if not stated or not all(w.isdecimal() and len(w) < 12 and int(w) > 0 for w in stated[0]):
        raise UnreadableFile(f"{name}: {header.name} states no dimensions")
    sizes = tuple(int(word) for word in stated[0])
    if len(sizes) > len(NAMES) or not sizes:
        raise UnreadableFile(f"{name}: {header.name} states {len(sizes)} dimensions, at most 16")
    sizes += (1,) * (len(NAMES) - len(sizes))
    n_samples = int(np.prod(sizes, dtype=object))
    check_size(n_samples, name, limits)
    n_bytes = path.stat().st_size
    if n_bytes != 8 * n_samples:
        raise UnreadableFile(
            f"{name}: {n_bytes} bytes, its header promises {8 * n_samples}: truncated, or another's"
        )
    for axis, size in enumerate(sizes):
        if size > 1 and axis not in USED:
            raise NotApplicable(
                f"{name}: {size} {NAMES[axis]}; k-space of one contrast, time and slices is read"
            )
    return sizes
