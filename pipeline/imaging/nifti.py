"""NIfTI at the edge: RAS+ files in and out, LPS+ inside.

A file's axes ``(i, j, k)`` become ``(column, row, slice)`` without resampling, and so do a
label's: two files with one affine have one layout. Only the slice axis is ever reversed, so that
slices ascend along ``row cosines x column cosines``. Compressed files are byte-reproducible.

Not handled: image pairs (.hdr/.img), vectors and colours; all are refused. Complex values are read
and written in ``pipeline.imaging.complexnifti``.

References
----------
.. [NIFTI] NIfTI-1 data format, nifti1.h, "3D image (volume) orientation and location in space".
"""

import gzip
import zlib
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.imaging.niftiheader import NiftiHeader
from pipeline.imaging.volume import TimeSeries, Volume

MAX_IMAGE_BYTES = 2 * 1024**3
"""Largest image that is read, in bytes as float32."""

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns patient coordinates of NIfTI into DICOM's, and back."""

MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
SECONDS_PER_UNIT = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}

PLACEHOLDER_STEP = 1.0
"""A time step of exactly this is what software writes that does not know the step."""

PLAUSIBLE_STEP_S = (0.02, 60.0)
"""Range of a time step that is taken for real [s]."""

IMPOSSIBLE_EXTENT_MM = {0: 500.0, 2: 1000.0}
"""Length beyond which a stack of thick slices along a file's axis is none: across, nobody is that
wide; along the body, whole-body stacks are longer."""

THICK_RATIO = 3.0
"""How many times the pixel spacing a slice spacing is at least, for an axis to be told as time."""

SHEAR_TOLERANCE = 1e-3
"""Largest cosine between two axes of a grid."""

READ_ERRORS = (
    ImageFileError,
    HeaderDataError,
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    OverflowError,
)
"""What nibabel raises on a broken file."""


def read_header(path: Path, *, max_bytes: int = MAX_IMAGE_BYTES) -> NiftiHeader:
    """Read and check a file's header.

    Raises
    ------
    UnreadableFile
        If it is no NIfTI file, holds values that are no real numbers, or is larger than allowed.
    InconsistentSeries
        If its affine does not describe a regular grid.
    """
    return _checked_header(open_image(path), path.name, max_bytes)


def read_time_series(path: Path, *, max_bytes: int = MAX_IMAGE_BYTES) -> TimeSeries:
    """Read a file as a series over time; a single volume has one beat.

    Raises
    ------
    UnreadableFile
        As ``read_header``, or if values are missing, NaN or infinite.
    InconsistentSeries
        As ``read_header``.
    """
    image = open_image(path)
    header = _checked_header(image, path.name, max_bytes)
    array = _arranged(_values(image, path.name), header)
    n_beats, n_slices = header.shape[:2]
    beats = np.arange(n_beats, dtype=np.float64) * (header.step_s or PLACEHOLDER_STEP)
    return TimeSeries(
        array=array,
        affine=header.affine,
        times_s=np.repeat(beats[:, None], n_slices, axis=1),
        times_are_estimated=header.step_s is None,
    )


def read_volume(path: Path) -> Volume:
    """Read a single volume.

    Raises
    ------
    UnreadableFile
        As ``read_time_series``.
    InconsistentSeries
        As ``read_header``, or if the file has more than one beat.
    """
    series = read_time_series(path)
    if series.n_beats > 1:
        raise InconsistentSeries(f"{path.name}: {series.n_beats} beats, one volume was asked for")
    return Volume(array=series.array[0], affine=series.affine)


def read_labels(path: Path) -> NDArray[np.int16]:
    """Read a label file on the layout of its image.

    Values are rounded: a scaled header stores 1 as 0.99998.

    Returns
    -------
        Labels. Shape ``(slices, rows, columns)``, or ``(beats, slices, rows, columns)`` where the
        file has a time axis.

    Raises
    ------
    UnreadableFile, InconsistentSeries
        As ``read_time_series``.
    """
    image = open_image(path)
    header = _checked_header(image, path.name, MAX_IMAGE_BYTES)
    labels = np.rint(_arranged(_values(image, path.name), header)).astype(np.int16)
    return labels if header.is_dynamic else labels[0]


def write_volume(volume: Volume, path: Path) -> None:
    """Write a volume; ``.nii.gz`` compresses it, with the same bytes every time."""
    image = _as_image(volume.array.transpose(2, 1, 0), volume.affine)
    write_image(image, path)


def write_time_series(series: TimeSeries, path: Path, step_s: float | None) -> None:
    """Write a series; ``.nii.gz`` compresses it, with the same bytes every time.

    Parameters
    ----------
    series
        The series.
    path
        The file.
    step_s
        Time from beat to beat [s]: NIfTI has one for all. None where it is not known.
    """
    image = _as_image(series.array.transpose(3, 2, 1, 0), series.affine)
    image.header["pixdim"][4] = 0.0 if step_s is None else step_s
    image.header.set_xyzt_units("mm", "unknown" if step_s is None else "sec")
    write_image(image, path)


def open_image(path: Path) -> nibabel.Nifti1Image:
    """Read the header of a file."""
    try:
        image = nibabel.load(path)
    except READ_ERRORS as error:
        raise UnreadableFile(f"{path.name}: not a readable NIfTI file") from error
    if not isinstance(image, nibabel.Nifti1Image | nibabel.Nifti2Image):
        raise UnreadableFile(f"{path.name}: not a NIfTI file")
    return image


def _checked_header(image: nibabel.Nifti1Image, name: str, max_bytes: int) -> NiftiHeader:
    """Check what the header promises, before anything is allocated."""
    shape = _shape_4d(image.shape, name)
    if image.get_data_dtype().kind not in "iuf":
        raise UnreadableFile(f"{name}: values of type {image.get_data_dtype()}, not real numbers")
    n_bytes = 4 * int(np.prod([int(n) for n in shape], dtype=object))
    if n_bytes > max_bytes:
        size = "x".join(str(n) for n in shape)
        raise UnreadableFile(f"{name}: {size} values need {n_bytes} bytes, limit {max_bytes}")
    units = units_of(image, name)
    ras = np.asarray(image.affine, dtype=np.float64).copy()
    ras[:3] *= MM_PER_UNIT.get(units[0], 1.0)
    axes, columns = _axis_roles(shape, ras)
    affine, slices_reversed = lps_affine(ras[:, columns], shape[axes[1]], name)
    return NiftiHeader(
        shape=(shape[axes[0]], shape[axes[1]], shape[axes[2]], shape[axes[3]]),
        axes=axes,
        is_dynamic=len(image.shape) > 3 or axes[0] == 0,
        time_first=axes[0] == 0,
        slices_reversed=slices_reversed,
        affine=affine,
        step_s=None if axes[0] == 0 else time_step_s(image, units[1]),
    )


def _shape_4d(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Return a file's shape with four axes: ones are added, trailing ones are dropped."""
    padded = tuple(int(n) for n in shape) + (1,) * (4 - len(shape))
    if any(n != 1 for n in padded[4:]):
        raise UnreadableFile(f"{name}: {len(shape)} axes, at most 4 can be read")
    if min(padded) < 1:
        raise UnreadableFile(f"{name}: empty, shape {padded[:4]}")
    return padded[:4]


def _axis_roles(
    shape: tuple[int, ...], ras: NDArray[np.float64]
) -> tuple[tuple[int, int, int, int], list[int]]:
    """Return the file axes of beats, slices, rows, columns, and the affine columns of space.

    The latter are those of slices, rows, columns and the origin.

    A file of one slice is sometimes written time first, as ``(t, x, y)`` or ``(t, y, x)``, under a
    header for three dimensions of space. Read as space it would be a stack of thick slices longer
    than a body, and that gives it away. Where the thick spacing stands first, the header follows
    the file's axes; where it stands last, it was copied from an image ``(x, y, z)``.
    """
    spacing = np.linalg.norm(ras[:3, :3], axis=0)

    def is_time_first(thick: int) -> bool:
        too_long = shape[thick] * spacing[thick] > IMPOSSIBLE_EXTENT_MM[thick]
        thick_enough = spacing[thick] >= THICK_RATIO * np.delete(spacing, thick).max()
        return bool(too_long and thick_enough)

    if shape[3] == 1 and is_time_first(0):
        return (0, 3, 2, 1), [0, 2, 1, 3]
    if shape[3] == 1 and shape[1] == shape[2] and is_time_first(2):
        return (0, 3, 1, 2), [2, 1, 0, 3]
    return (3, 2, 1, 0), [2, 1, 0, 3]


def lps_affine(
    ras: NDArray[np.float64], n_slices: int, name: str
) -> tuple[NDArray[np.float64], bool]:
    """Return the affine in LPS+ with slices ascending, and whether they were reversed for that.

    Parameters
    ----------
    ras
        Maps ``(slice, row, column, 1)`` to RAS+ [mm]. Shape ``(4, 4)``.
    n_slices
        Number of slices.
    name
        The file's name, for messages.
    """
    affine = LPS_FROM_RAS @ ras
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or lengths.min() < 1e-6:
        raise InconsistentSeries(f"{name}: the affine is singular or not finite")
    unit = affine[:3, :3] / lengths
    shear = np.abs(unit.T @ unit - np.eye(3)).max()
    if shear > SHEAR_TOLERANCE:
        raise InconsistentSeries(f"{name}: the axes are sheared by {shear:.2g}")
    if np.cross(unit[:, 2], unit[:, 1]) @ unit[:, 0] > 0:
        return affine, False
    affine[:3, 3] += (n_slices - 1) * affine[:3, 0]
    affine[:3, 0] *= -1
    return affine, True


def units_of(image: nibabel.Nifti1Image, name: str) -> tuple[str, str]:
    """Return the units of space and of time, by nibabel's names.

    Raises
    ------
    UnreadableFile
        If the header has codes that NIfTI does not define.
    """
    try:
        space, time = image.header.get_xyzt_units()
    except KeyError as error:
        raise UnreadableFile(f"{name}: its units are none of NIfTI's") from error
    return str(space), str(time)


def time_step_s(image: nibabel.Nifti1Image, unit: str) -> float | None:
    """Return the time step [s], or None where the header's says nothing."""
    step = float(image.header["pixdim"][4])
    if step == PLACEHOLDER_STEP or unit not in SECONDS_PER_UNIT:
        return None
    seconds = step * SECONDS_PER_UNIT[unit]
    return seconds if PLAUSIBLE_STEP_S[0] <= seconds <= PLAUSIBLE_STEP_S[1] else None


def _values(image: nibabel.Nifti1Image, name: str) -> NDArray[np.float32]:
    """Read all values of a file whose header was checked."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            values = image.get_fdata(dtype=np.float32, caching="unchanged")
    except READ_ERRORS as error:
        raise UnreadableFile(f"{name}: fewer values than its header says, or damaged") from error
    n_bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if n_bad:
        raise UnreadableFile(f"{name}: {n_bad} values are NaN or infinite")
    return np.asarray(values, dtype=np.float32)


def _arranged(values: NDArray[np.float32], header: NiftiHeader) -> NDArray[np.float32]:
    """Return a file's values as ``(beats, slices, rows, columns)``."""
    padded = values.reshape(values.shape[:4] + (1,) * (4 - values.ndim))
    array = padded.transpose(header.axes)
    return np.ascontiguousarray(array[:, ::-1] if header.slices_reversed else array)


def _as_image(array: NDArray[np.generic], affine: NDArray[np.float64]) -> nibabel.Nifti1Image:
    """Return values ``(column, row, slice[, beat])`` as an image in RAS+."""
    ras = LPS_FROM_RAS @ affine[:, [2, 1, 0, 3]]
    kinds = {"b": np.uint8, "i": np.int32, "u": np.uint32}
    if array.dtype == np.bool_ or array.dtype.itemsize > 4:
        array = array.astype(kinds.get(array.dtype.kind, np.float32))
    image = nibabel.Nifti1Image(array, ras)
    image.set_sform(ras, code=1)
    image.set_qform(ras, code=1)
    image.header.set_xyzt_units("mm")
    return image


def write_image(image: nibabel.Nifti1Image, path: Path) -> None:
    """Write an image; the gzip header holds neither a name nor a time."""
    content = image.to_bytes()
    if path.name.lower().endswith(".gz"):
        packed = BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
            file.write(content)
        content = packed.getvalue()
    path.write_bytes(content)
