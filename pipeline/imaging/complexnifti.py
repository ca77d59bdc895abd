"""Complex NIfTI at the edge: k-space in, and images with their phase out.

As for other NIfTI files, RAS+ is outside and LPS+ inside, a file's axes ``(i, j, k)`` become
``(column, row, slice)``, and compressed files are byte-reproducible.
"""

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableFile
from pipeline.imaging.nifti import (
    LPS_FROM_RAS,
    MM_PER_UNIT,
    READ_ERRORS,
    lps_affine,
    open_image,
    time_step_s,
    units_of,
    write_image,
)

UNKNOWN, SCANNER = 0, 1
"""Codes of what a file's coordinates mean."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComplexHeader:
    """What the header of a complex file says, checked."""

    shape: tuple[int, int, int, int, int]
    """Frames, slices, coils, rows and columns."""

    affine: NDArray[np.float64]
    """Maps ``(slice, row, column, 1)`` to ``(x, y, z, 1)`` [mm], LPS+. Shape ``(4, 4)``."""

    slices_reversed: bool
    """Whether the slice axis is reversed to ascend along row x column."""

    step_s: float | None
    """Time step [s]; None where the header's is missing or a placeholder."""


def is_complex(path: Path) -> bool:
    """Tell whether a NIfTI file holds complex values.

    Raises
    ------
    UnreadableFile
        If it is no NIfTI file.
    """
    return bool(open_image(path).get_data_dtype().kind == "c")


def read_complex_header(path: Path, *, max_bytes: int) -> ComplexHeader:
    """Read and check the header of a file of axes ``(column, row, slice[, frame], coil)``.

    Raises
    ------
    UnreadableFile
        If it is no NIfTI file, holds no complex values, or is larger than allowed.
    InconsistentSeries
        If its affine does not describe a regular grid.
    """
    return _checked(open_image(path), path.name, max_bytes)


def read_complex(path: Path, *, max_bytes: int) -> tuple[ComplexHeader, NDArray[np.complex64]]:
    """Read a file.

    Returns
    -------
        Its header and its values. Shape ``(frames, slices, coils, rows, columns)``.

    Raises
    ------
    UnreadableFile
        As ``read_complex_header``, or if values are missing.
    InconsistentSeries
        As ``read_complex_header``.
    """
    image = open_image(path)
    header = _checked(image, path.name, max_bytes)
    try:
        values = np.asanyarray(image.dataobj).astype(np.complex64)
    except READ_ERRORS as error:
        raise UnreadableFile(
            f"{path.name}: fewer values than its header says, or damaged"
        ) from error
    array = values.reshape(_five(image.shape)).transpose(3, 2, 4, 1, 0)
    return header, np.ascontiguousarray(array[:, ::-1] if header.slices_reversed else array)


def write_complex(
    array: NDArray[np.complex64], affine: NDArray[np.float64], path: Path, step_s: float | None
) -> None:
    """Write images with their phase; ``.nii.gz`` compresses them, with the same bytes every time.

    Parameters
    ----------
    array
        Shape ``(frames, slices, rows, columns)``.
    affine
        Maps ``(slice, row, column, 1)`` to ``(x, y, z, 1)`` [mm], LPS+.
    path
        The file.
    step_s
        Time from frame to frame [s]; None where it is not known.
    """
    ras = LPS_FROM_RAS @ affine[:, [2, 1, 0, 3]]
    image = _as_image(array, ras, step_s)
    image.set_sform(ras, code=SCANNER)
    image.set_qform(ras, code=SCANNER)
    write_image(image, path)


def write_unplaced(
    array: NDArray[np.generic],
    spacing_mm: tuple[float, float, float],
    path: Path,
    step_s: float | None,
) -> None:
    """Write images whose place in the patient is not known, real or complex.

    The header states their spacing, and that their coordinates are unknown.

    Parameters
    ----------
    array
        Shape ``(frames, slices, rows, columns)``.
    spacing_mm
        Distance between slices, rows and columns [mm].
    path
        The file.
    step_s
        Time from frame to frame [s]; None where it is not known.
    """
    image = _as_image(array, np.diag([*spacing_mm[::-1], 1.0]), step_s)
    image.set_sform(None, code=UNKNOWN)
    image.set_qform(None, code=UNKNOWN)
    write_image(image, path)


def _as_image(
    array: NDArray[np.generic], ras: NDArray[np.float64], step_s: float | None
) -> nibabel.Nifti1Image:
    """Return ``(frames, slices, rows, columns)`` as an image; of one frame without its axis."""
    frames = array.transpose(3, 2, 1, 0)
    is_dynamic = frames.shape[3] > 1
    image = nibabel.Nifti1Image(frames if is_dynamic else frames[..., 0], ras)
    image.header.set_xyzt_units("mm", "unknown" if step_s is None else "sec")
    if is_dynamic:
        image.header["pixdim"][4] = 0.0 if step_s is None else step_s
    return image


def _checked(image: nibabel.Nifti1Image, name: str, max_bytes: int) -> ComplexHeader:
    """Check what a header promises, before anything is allocated."""
    kind = image.get_data_dtype()
    if kind.kind != "c":
        raise UnreadableFile(f"{name}: values of type {kind}, not complex numbers")
    if not 3 <= len(image.shape) <= 5 or min(image.shape) < 1:
        raise UnreadableFile(f"{name}: shape {image.shape}, k-space has 3 to 5 axes")
    columns, rows, n_slices, n_frames, n_coils = _five(image.shape)
    n_bytes = 8 * int(np.prod([int(n) for n in image.shape], dtype=object))
    if n_bytes > max_bytes:
        raise UnreadableFile(f"{name}: values need {n_bytes} bytes, limit {max_bytes}")
    units = units_of(image, name)
    ras = np.asarray(image.affine, dtype=np.float64).copy()
    ras[:3] *= MM_PER_UNIT.get(units[0], 1.0)
    affine, slices_reversed = lps_affine(ras[:, [2, 1, 0, 3]], n_slices, name)
    return ComplexHeader(
        shape=(n_frames, n_slices, n_coils, rows, columns),
        affine=affine,
        slices_reversed=slices_reversed,
        step_s=time_step_s(image, units[1]) if len(image.shape) == 5 else None,
    )


def _five(shape: tuple[int, ...]) -> tuple[int, int, int, int, int]:
    """Return columns, rows, slices, frames and coils: of four axes, the last are the coils."""
    sizes = [int(n) for n in shape]
    if len(sizes) == 3:
        sizes.append(1)
    if len(sizes) == 4:
        sizes.insert(3, 1)
    return sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
