"""From DICOM to a volume, to NIfTI, back to a volume and to SEG: no voxel moves."""

import tempfile
from pathlib import Path

import numpy as np
from highdicom.seg import segread
from hypothesis import given, settings
from numpy.typing import NDArray

from pipeline.demo import write_study
from pipeline.encode.segmentation import segmentation_object
from pipeline.encode.sources import placed, source_header, stand_in
from pipeline.imaging.nifti import read_volume, write_volume
from pipeline.imaging.volume import Volume
from pipeline.ingest.inventory import take_inventory
from tests.support.geometry import farthest_mm, oblique_affines, series_on
from tests.support.results import CONTEXT, result_on

SHAPE = (3, 6, 5)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(affine=oblique_affines())
def test_every_voxel_keeps_its_place_from_dicom_to_segmentation(
    affine: NDArray[np.float64],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_study(series_on(affine, (2, *SHAPE)), folder / "study", name="geometry")
        (candidate,) = take_inventory([folder / "study"]).candidates
        series = candidate.load()
        assert farthest_mm(series.image.affine, affine, SHAPE) < 1e-4
        classes = result_on(series.image).segmentation
        write_volume(classes, folder / "twin.nii.gz")
        twin = read_volume(folder / "twin.nii.gz")
        assert farthest_mm(twin.affine, affine, SHAPE) < 1e-4
        header = source_header(series)
        source = series, stand_in(series, header, CONTEXT)
        for kind in ("BINARY", "LABELMAP"):
            instance = segmentation_object(labels_of(twin), kind, source, CONTEXT)
            instance.save_as(folder / "segmentation.dcm", enforce_file_format=True)
            found = segread(folder / "segmentation.dcm").get_volume(combine_segments=True)
            back = found.match_geometry(placed(twin, found.frame_of_reference_uid), tol=1e-4)
            assert farthest_mm(back.affine, affine, SHAPE) < 1e-4
            np.testing.assert_array_equal(back.array, classes.array)


def labels_of(volume: Volume) -> Volume:
    """Return a volume's values as labels."""
    return volume.with_array(volume.array.astype(np.uint8))
