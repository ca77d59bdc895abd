"""What a slice's coils are known by: its own centre, a scan for them, or the mean over time."""

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.rawslice import slice_of
from pipeline.mr.kspace import CalibrationScan, KSpace, Readout
from tests.support.reconstruction import disc_kspace

SHAPE = (64, 60)


def _raw(mask: NDArray[np.bool_], calibration: CalibrationScan | None = None) -> KSpace:
    """Return frames of a disc, one mask each. Shape of the masks ``(frames, ky, kx)``."""
    masks = mask[:, None]
    array = np.stack([disc_kspace(SHAPE)[None]] * len(mask)) * masks[:, :, None]
    return KSpace(
        array=array.astype(np.complex64),
        mask=masks,
        image_shape=SHAPE,
        readout=Readout.COLUMNS,
        affine=None,
        pixel_spacing_mm=None,
        times_s=np.zeros(masks.shape[:2]),
        times_are_estimated=True,
        calibration=calibration,
    )


def _lines(*chosen: range) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, dtype=np.bool_)
    for lines in chosen:
        mask[list(lines)] = True
    return mask


def test_a_wide_centre_of_its_own_is_used() -> None:
    mask = np.stack([_lines(range(0, 64, 4), range(27, 37)), _lines(range(1, 64, 2))])
    found = slice_of(_raw(mask), 0, 0)
    assert found.calibration_kspace is found.kspace
    assert found.calibration.shape == (10, 60)


def test_interleaved_frames_together_have_the_centre_that_each_lacks() -> None:
    mask = np.stack([_lines(range(start, 64, 4)) for start in range(4)])
    found = slice_of(_raw(mask), 2, 0)
    assert found.calibration.shape == SHAPE
    np.testing.assert_allclose(found.calibration_kspace, disc_kspace(SHAPE), atol=1e-4)
    assert (found.mask == mask[2]).all()


def test_a_scan_for_the_coils_is_brought_to_the_scale_of_the_images() -> None:
    centre = _lines(range(20, 45))
    scan = CalibrationScan(array=(7 * disc_kspace(SHAPE) * centre)[None], mask=centre[None])
    found = slice_of(_raw(_lines(range(0, 64, 4))[None], scan), 0, 0)
    assert found.calibration.shape == (25, 60)
    np.testing.assert_allclose(found.calibration_kspace, disc_kspace(SHAPE) * centre, atol=1e-3)


def test_where_nothing_has_a_centre_the_own_samples_are_kept() -> None:
    found = slice_of(_raw(_lines(range(1, 64, 4))[None]), 0, 0)
    assert found.calibration_kspace is found.kspace
    assert min(found.calibration.shape) < 4
