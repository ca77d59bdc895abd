"""k-space as a bare array: NumPy files (.npy) and complex NIfTI.

A NumPy file holds ``(coil, ky, kx)``, with ``slice`` or ``frame, slice`` before them. No standard
says how NIfTI holds k-space. Here its axes are ``(kx, ky, slice, frame, coil)``; of four axes the
last are the coils, since a dynamic series has all five.
"""

from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableFile
from pipeline.imaging.complexnifti import ComplexHeader, read_complex, read_complex_header
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.content import check_origin, check_size, mask_of, silent_coils
from pipeline.ingest.raw.part import RawContent, RawPart, RawShape
from pipeline.mr.kspace import KSpace, Readout, uncounted_times

LOAD_ERRORS = (
    ValueError,
    OSError,
    EOFError,
    SyntaxError,
    TypeError,
    OverflowError,
    TokenError,
)
"""What NumPy raises on a file that is none of its own, or damaged."""

NO_PLACE = "NumPy files state no position: the image has no place in the patient"


def may_be_kspace(path: Path) -> bool:
    """Tell whether a NumPy file may be k-space; one of other values than complex is not."""
    try:
        return bool(np.load(path, mmap_mode="r", allow_pickle=False).dtype.kind == "c")
    except LOAD_ERRORS:
        # A damaged file is refused with its reason when it is read.
        return True


def numpy_parts(path: Path, name: str, limits: Limits) -> tuple[RawPart, ...]:
    """Return what a NumPy file holds; no samples are read.

    Raises
    ------
    UnreadableFile
        As ``read_numpy``, as far as the header shows it.
    """
    return (_part(_mapped(path, name, limits).shape),)


def read_numpy(path: Path, name: str, limits: Limits) -> RawContent:
    """Read a NumPy file.

    Raises
    ------
    UnreadableFile
        If it is no array of complex numbers of three to five axes, truncated or larger than
        allowed, or if values are no numbers.
    InconsistentSeries
        If nothing was measured.
    """
    mapped = _mapped(path, name, limits)
    array = _five_axes(np.array(mapped, dtype=np.complex64))
    return RawContent(kspace=_kspace(array, None, name), header=None, notes=(NO_PLACE,))


def nifti_parts(path: Path, name: str, limits: Limits) -> tuple[RawPart, ...]:
    """Return what a complex NIfTI file holds; no samples are read.

    Raises
    ------
    UnreadableFile, InconsistentSeries
        As ``read_nifti``, as far as the header shows it.
    """
    header = read_complex_header(path, max_bytes=limits.max_pixel_bytes)
    check_size(int(np.prod(header.shape, dtype=object)), name, limits)
    return (_part(header.shape),)


def read_nifti(path: Path, name: str, limits: Limits) -> RawContent:
    """Read a complex NIfTI file.

    Raises
    ------
    UnreadableFile
        If it is no NIfTI file, truncated or larger than allowed, or if values are no numbers.
    InconsistentSeries
        If its affine is no regular grid, or nothing was measured.
    """
    header, array = read_complex(path, max_bytes=limits.max_pixel_bytes)
    kspace = _kspace(array, header, name)
    return RawContent(kspace=kspace, header=None, notes=silent_coils(array))


def _kspace(array: NDArray[np.complex64], header: ComplexHeader | None, name: str) -> KSpace:
    """Return an array as k-space."""
    mask = mask_of(array, name)
    check_origin(array, name)
    n_frames, n_slices, _, rows, columns = array.shape
    times, estimated = uncounted_times(n_frames, n_slices), True
    if header is not None and header.step_s is not None:
        times, estimated = times * header.step_s, False
    spacing = None
    if header is not None:
        lengths = np.linalg.norm(header.affine[:3, :3], axis=0)
        spacing = float(lengths[1]), float(lengths[2])
    return KSpace(
        array=array,
        mask=mask,
        image_shape=(rows, columns),
        readout=Readout.COLUMNS,
        affine=None if header is None else header.affine,
        pixel_spacing_mm=spacing,
        times_s=times,
        times_are_estimated=estimated,
    )


def _mapped(path: Path, name: str, limits: Limits) -> NDArray[np.complexfloating]:
    """Return the array of a NumPy file, still on disk."""
    try:
        # Mapping allocates nothing, and an array of Python objects cannot be mapped.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except LOAD_ERRORS as error:
        raise UnreadableFile(f"{name}: not a readable NumPy file, or truncated") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind != "c" or found.ndim not in (3, 4, 5):
        raise UnreadableFile(
            f"{name}: not k-space: that is complex, of 3 to 5 axes that end in (coil, ky, kx)"
        )
    check_size(found.size, name, limits)
    return found


def _five_axes(array: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return an array with axes for frames and slices."""
    return array.reshape((1,) * (5 - array.ndim) + array.shape)


def _part(shape: tuple[int, ...]) -> RawPart:
    """Return the one part of a file of ``([frame, slice,] coil, ky, kx)``."""
    frames, slices, coils, rows, columns = (1,) * (5 - len(shape)) + tuple(shape)
    found = RawShape(n_frames=frames, n_slices=slices, n_coils=coils, rows=rows, columns=columns)
    return RawPart(name="", shape=found, study_instance_uid=None)
