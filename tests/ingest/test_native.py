"""Values that are taken from where they lie are those that pydicom decodes."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipeline.demo import write_study
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import take_inventory
from tests.support.traps import stack


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(("stored", "signed"), [(16, 0), (16, 1), (12, 0), (12, 1)])
def test_bits_above_the_stored_ones_are_no_part_of_a_value(
    tmp_path: Path, syntax: str, stored: int, signed: int
) -> None:
    image: TimeSeries = stack()
    junk = np.random.default_rng(5)
    expected = {}
    for path in write_study(image, tmp_path, name="native"):
        instance = pydicom.dcmread(path)
        instance.BitsStored, instance.HighBit = stored, stored - 1
        instance.PixelRepresentation = signed
        shape = (instance.Rows, instance.Columns)
        instance.PixelData = junk.integers(0, 1 << 16, shape, dtype=np.uint16).tobytes()
        instance.file_meta.TransferSyntaxUID = syntax
        implicit = syntax == ImplicitVRLittleEndian
        instance.save_as(path, implicit_vr=implicit, little_endian=True)
        again = pydicom.dcmread(path)
        expected[again.SOPInstanceUID] = again.pixel_array.astype(np.float32)
    (candidate,) = take_inventory([tmp_path]).candidates
    series = candidate.load()
    for beat, frames in enumerate(series.frames):
        for index, frame in enumerate(frames):
            found = series.image.array[beat, index]
            assert np.array_equal(found, expected[frame.sop_instance_uid])
