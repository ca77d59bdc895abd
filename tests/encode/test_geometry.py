"""From DICOM to a volume, to NIfTI, back to a volume and to SEG: no voxel moves."""

import tempfile
from pathlib import Path

import highdicom
import numpy as np
from hypothesis import given, settings
from numpy.typing import NDArray

from pipeline.demo import write_study
from pipeline.encode.perfusion import encode_perfusion
from pipeline.encode.sources import placed
from pipeline.imaging.nifti import read_volume
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
        result = result_on(series.image)
        (folder / "out").mkdir()
        encode_perfusion(result, series, CONTEXT, folder / "out")
        twin = read_volume(folder / "out" / "segmentation.nii.gz")
        assert farthest_mm(twin.affine, affine, SHAPE) < 1e-4
        for name in ("segmentation_binary.dcm", "segmentation_labelmap.dcm"):
            found = highdicom.seg.segread(folder / "out" / name).get_volume(combine_segments=True)
            frame_of_reference = found.frame_of_reference_uid
            back = found.match_geometry(placed(twin, frame_of_reference), tol=1e-4)
            assert farthest_mm(back.affine, affine, SHAPE) < 1e-4
            np.testing.assert_array_equal(back.array, result.segmentation.array)
