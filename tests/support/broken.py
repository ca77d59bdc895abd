"""Files that no pipeline can use, one kind of damage each, made from a good instance."""

import gzip
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
)

from pipeline.demo import add_file_meta, mr_instance, stored_values, study_identity
from pipeline.identity import derived_uid
from pipeline.imaging.volume import TimeSeries
from tests.support.geometry import affine_of, series_on

ROWS, COLUMNS = 12, 10
NESTED_TOO_DEEP = 500
INFLATED_BYTES = 64 * 1024**2


def write_broken_inputs(folder: Path) -> tuple[str, ...]:
    """Write broken DICOM and NIfTI files into a folder, and return their names.

    Each DICOM file is a series of its own in one study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = good_image()
    for name, damage in {**_CHANGED_ATTRIBUTES, **_CHANGED_BYTES}.items():
        (folder / name).write_bytes(damage(_good_instance(image, name)))
    for name, content in _other_files().items():
        (folder / name).write_bytes(content)
    return tuple(sorted(p.name for p in folder.iterdir()))


def good_image() -> TimeSeries:
    """Return a small axial series that is sound: to be damaged, or to lie beside the damaged."""
    directions = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    affine = affine_of(directions, (10.0, 2.0, 1.5), (-5.0, 12.0, 30.0))
    return series_on(affine, (5, 3, ROWS, COLUMNS))


def _good_instance(image: TimeSeries, name: str) -> Dataset:
    """Return a sound instance in a series of its own."""
    study = study_identity(image, "broken")
    instance = mr_instance(image, stored_values(image.array), study, (0, 0))
    instance.InstanceNumber = 1
    instance.SeriesInstanceUID = derived_uid(study, f"series of {name}")
    instance.SOPInstanceUID = derived_uid(study, f"instance of {name}")
    del instance.TemporalPositionIdentifier, instance.NumberOfTemporalPositions
    return instance


def _file_of(instance: Dataset) -> bytes:
    """Return the file of an instance, explicit VR little endian."""
    content = BytesIO()
    add_file_meta(instance)
    instance.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _with(**attributes: object) -> Callable[[Dataset], bytes]:
    """Return how to write an instance with other attributes; None deletes one."""

    def damage(instance: Dataset) -> bytes:
        for keyword, value in attributes.items():
            if value is None:
                delattr(instance, keyword)
            else:
                setattr(instance, keyword, value)
        return _file_of(instance)

    return damage


def _cut(share: float) -> Callable[[Dataset], bytes]:
    """Return how to write only the beginning of a file."""

    def damage(instance: Dataset) -> bytes:
        content = _file_of(instance)
        return content[: int(share * len(content))]

    return damage


def _claiming(syntax: UID) -> Callable[[Dataset], bytes]:
    """Return how to write native pixels under another transfer syntax."""

    def damage(instance: Dataset) -> bytes:
        return _with_syntax(_file_of(instance), syntax)

    return damage


def _with_syntax(content: bytes, syntax: UID) -> bytes:
    """Return a file that claims another transfer syntax."""
    start = content.index(b"\x02\x00\x10\x00UI")
    length = struct.unpack_from("<H", content, start + 6)[0]
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    grown = len(value) - length
    group = struct.unpack_from("<L", content, 140)[0] + grown
    meta = content[:140] + struct.pack("<L", group) + content[144 : start + 6]
    return meta + struct.pack("<H", len(value)) + value + content[start + 8 + length :]


def _data_set(content: bytes) -> tuple[bytes, bytes]:
    """Return a file's meta information and its data set."""
    start = 144 + struct.unpack_from("<L", content, 140)[0]
    return content[:start], content[start:]


def _deflate_bomb(instance: Dataset) -> bytes:
    """Return a deflated file that inflates a thousand times."""
    meta, data_set = _data_set(_with_syntax(_file_of(instance), DeflatedExplicitVRLittleEndian))
    padding = b"\xfc\xff\xfc\xffOB\0\0" + struct.pack("<L", INFLATED_BYTES) + bytes(INFLATED_BYTES)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return meta + deflater.compress(data_set + padding) + deflater.flush()


def _deep_nesting(instance: Dataset) -> bytes:
    """Return a file whose first sequence holds itself over and over."""
    meta, data_set = _data_set(_file_of(instance))
    undefined = b"\xff\xff\xff\xff"
    opening = b"\x08\x00\x40\x11SQ\0\0" + undefined + b"\xfe\xff\x00\xe0" + undefined
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    where = data_set.index(b"\x10\x00\x10\x00PN")
    nested = NESTED_TOO_DEEP * opening + NESTED_TOO_DEEP * closing
    return meta + data_set[:where] + nested + data_set[where:]


def _lying_length(instance: Dataset) -> bytes:
    """Return a file with an element that claims more bytes than there are."""
    content = _file_of(instance)
    where = content.index(b"\x08\x00\x70\x00LO") + 6
    return content[:where] + b"\xf0\xff" + content[where + 2 :]


def _damaged_jpeg2000(instance: Dataset) -> bytes:
    """Return a file with noise for a JPEG 2000 code stream."""
    noise = np.random.default_rng(0).bytes(400)
    add_file_meta(instance)
    instance.file_meta.TransferSyntaxUID = JPEG2000Lossless
    instance.PixelData = encapsulate([b"\xff\x4f\xff\x51" + noise])
    content = BytesIO()
    instance.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _nifti(array: np.ndarray, *, compressed: bool = True) -> bytes:
    """Return a NIfTI file of some values."""
    content: bytes = nibabel.Nifti1Image(array, np.diag([2.0, 2.0, 8.0, 1.0])).to_bytes()
    return gzip.compress(content, mtime=0) if compressed else content


def _with_one(value: float) -> bytes:
    """Return a NIfTI series with one value that is no number."""
    array = np.ones((COLUMNS, ROWS, 1, 4), dtype=np.float32)
    array[3, 4, 0, 2] = value
    return _nifti(array)


def _gigantic_nifti() -> bytes:
    """Return a NIfTI header that promises an exabyte."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    content = bytearray(header.binaryblock)
    struct.pack_into("<8h", content, 40, 4, 32767, 32767, 32767, 32767, 1, 1, 1)
    struct.pack_into("<f", content, 108, 352.0)
    content[344:348] = b"n+1\0"
    return bytes(content) + bytes(4 + 1000)


def _other_files() -> dict[str, bytes]:
    """Return files that are not a damaged DICOM instance."""
    series = np.arange(COLUMNS * ROWS * 4, dtype=np.float32).reshape(COLUMNS, ROWS, 1, 4)
    packed = _nifti(series)
    return {
        "empty.dcm": b"",
        "text.dcm": b"This is a note about a study, not a study.\n" * 20,
        "meta_only.dcm": _data_set(_file_of(_good_instance(good_image(), "meta_only.dcm")))[0],
        "empty.nii": b"",
        "text.nii.gz": b"This is not even compressed.\n",
        "nan.nii.gz": _with_one(float("nan")),
        "infinite.nii.gz": _with_one(float("inf")),
        "gigantic.nii": _gigantic_nifti(),
        "truncated.nii.gz": packed[: len(packed) // 2],
        "cut_short.nii": _nifti(series, compressed=False)[:-100],
        "complex.nii.gz": _nifti(series.astype(np.complex64)),
    }


_CHANGED_ATTRIBUTES: dict[str, Callable[[Dataset], bytes]] = {
    "no_pixel_data.dcm": _with(PixelData=None),
    "zero_frames.dcm": _with(NumberOfFrames="0"),
    "too_many_frames.dcm": _with(NumberOfFrames="2147483647"),
    "gigantic_matrix.dcm": _with(Rows=65535, Columns=65535),
    "no_rows.dcm": _with(Rows=None),
    "short_pixel_data.dcm": _with(PixelData=bytes(2 * ROWS * COLUMNS - 40)),
    "no_position.dcm": _with(ImagePositionPatient=None),
    "no_orientation.dcm": _with(ImageOrientationPatient=None),
    "slanted_cosines.dcm": _with(ImageOrientationPatient=[1, 0, 0, 0.5, 1, 0]),
    "zero_spacing.dcm": _with(PixelSpacing=[0, 0]),
    "zero_slope.dcm": _with(RescaleSlope="0", RescaleIntercept="0"),
    "colour.dcm": _with(SamplesPerPixel=3, PhotometricInterpretation="RGB"),
    "mosaic.dcm": _with(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]),
    "no_series_uid.dcm": _with(SeriesInstanceUID=None),
}


def _nan_slope(instance: Dataset) -> bytes:
    """Return a file whose rescale slope is no number."""
    instance.RescaleSlope, instance.RescaleIntercept = "123", "0"
    return _file_of(instance).replace(b"\x53\x10DS\x04\x00123 ", b"\x53\x10DS\x04\x00NaN ")


_CHANGED_BYTES: dict[str, Callable[[Dataset], bytes]] = {
    "truncated_header.dcm": _cut(0.4),
    "truncated_pixels.dcm": _cut(0.95),
    "wrong_transfer_syntax.dcm": _claiming(JPEG2000Lossless),
    "explicit_as_implicit.dcm": _claiming(ImplicitVRLittleEndian),
    "jpeg_extended.dcm": _claiming(JPEGExtended12Bit),
    "video.dcm": _claiming(MPEG4HP41),
    "unknown_transfer_syntax.dcm": _claiming(UID("1.2.3.4.5")),
    "nan_slope.dcm": _nan_slope,
    "lying_length.dcm": _lying_length,
    "deep_nesting.dcm": _deep_nesting,
    "deflate_bomb.dcm": _deflate_bomb,
    "damaged_jpeg2000.dcm": _damaged_jpeg2000,
}
