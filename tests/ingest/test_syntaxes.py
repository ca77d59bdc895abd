"""Every supported transfer syntax gives the values that were put in."""

from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.demo import write_instance
from pipeline.errors import UnreadableFile
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import take_inventory
from tests.support.geometry import affine_of, series_on
from tests.support.traps import AXIAL, instances_of

SHAPE = (3, 2, 40, 36)


def image() -> TimeSeries:
    """Return a series with values from 0 to 8639."""
    return series_on(affine_of(AXIAL, (8.0, 2.0, 1.5), (0.0, 0.0, 0.0)), SHAPE)


def write_compressed(instance: Dataset, path: Path, syntax: UID) -> None:
    """Write an instance in a syntax that pydicom can encode."""
    write_instance(instance, path)
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path)


def write_uncompressed(instance: Dataset, path: Path, syntax: UID) -> None:
    """Write an instance in another native syntax."""
    write_instance(instance, path)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    pydicom.dcmwrite(
        path,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        force_encoding=True,
    )


def write_jpeg_lossless(instance: Dataset, path: Path, syntax: UID) -> None:
    """Write an instance as lossless JPEG, which only GDCM encodes."""
    write_instance(instance, path)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


WAYS: dict[str, tuple[Callable[[Dataset, Path, UID], None], UID]] = {
    "implicit VR": (write_uncompressed, ImplicitVRLittleEndian),
    "big endian": (write_uncompressed, ExplicitVRBigEndian),
    "deflated": (write_uncompressed, DeflatedExplicitVRLittleEndian),
    "RLE": (write_compressed, RLELossless),
    "JPEG-LS": (write_compressed, JPEGLSLossless),
    "JPEG 2000": (write_compressed, JPEG2000Lossless),
    "lossless JPEG": (write_jpeg_lossless, UID("1.2.840.10008.1.2.4.70")),
}


@pytest.mark.parametrize(("write", "syntax"), WAYS.values(), ids=WAYS.keys())
def test_a_syntax_gives_back_the_values(
    write: Callable[[Dataset, Path, UID], None], syntax: UID, tmp_path: Path
) -> None:
    for number, instance in enumerate(instances_of(image())):
        path = tmp_path / f"{number}.dcm"
        write(instance, path, syntax)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    inventory = take_inventory([tmp_path])
    assert not inventory.refusals
    series = inventory.candidates[0].load()
    assert series.image.array.dtype == np.float32
    np.testing.assert_array_equal(series.image.array, image().array)


@pytest.mark.parametrize("preamble", ["meta without preamble", "data set alone"])
def test_a_file_without_preamble_is_read(preamble: str, tmp_path: Path) -> None:
    for number, instance in enumerate(instances_of(image())):
        path = write_instance(instance, tmp_path / str(number))
        content = path.read_bytes()[132:]
        length = 12 + int.from_bytes(content[8:12], "little")
        path.write_bytes(content if preamble.startswith("meta") else content[length:])
    series = take_inventory([tmp_path]).candidates[0].load()
    np.testing.assert_array_equal(series.image.array, image().array)


def test_signed_values_keep_their_sign(tmp_path: Path) -> None:
    for number, instance in enumerate(instances_of(image())):
        instance.PixelRepresentation = 1
        stored = np.frombuffer(instance.PixelData, np.uint16).astype(np.int16) - 1000
        instance.PixelData = stored.astype(np.int16).tobytes()
        write_instance(instance, tmp_path / str(number))
    series = take_inventory([tmp_path]).candidates[0].load()
    np.testing.assert_array_equal(series.image.array, image().array - 1000)


def test_a_decoder_that_aborts_costs_its_series_only(tmp_path: Path) -> None:
    """Noise for a scan aborts a decoder; the process that dies is not this one."""
    for number, instance in enumerate(instances_of(image())):
        path = write_instance(instance, tmp_path / f"good {number}")
        write_jpeg_lossless(instance, path, UID("1.2.840.10008.1.2.4.70"))
    rng = np.random.default_rng(0)
    for number, instance in enumerate(instances_of(image(), "damaged")):
        path = write_instance(instance, tmp_path / f"damaged {number}")
        write_jpeg_lossless(instance, path, UID("1.2.840.10008.1.2.4.70"))
        dataset = pydicom.dcmread(path)
        stream = bytearray(next(pydicom.encaps.generate_frames(dataset.PixelData)))
        scan = stream.index(b"\xff\xda") + 10
        stream[scan : scan + 52] = rng.bytes(52)
        dataset.PixelData = encapsulate([bytes(stream)])
        dataset.save_as(path)
    candidates = take_inventory([tmp_path]).candidates
    assert len(candidates) == 2
    results = []
    for candidate in candidates:
        try:
            results.append(candidate.load().image.array)
        except UnreadableFile as error:
            assert "pixel data" in str(error)  # noqa: PT017 - one of two fails
    (array,) = results
    np.testing.assert_array_equal(array, image().array)
