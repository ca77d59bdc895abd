"""Bare arrays: NumPy files and complex NIfTI."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.imaging.complexnifti import read_complex, write_complex
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.files import NIFTI, NUMPY, raw_format, read_raw
from pipeline.mr.fourier import fft2c
from pipeline.mr.kspace import KSpace
from tests.mr.test_fourier import draw
from tests.support.rawfiles import coil_images, write_nifti
from tests.support.realdata import real_data

AFFINE = np.array([[0, 0, 2.0, -20], [0, 1.5, 0, -30], [-5, 0, 0, 40], [0, 0, 0, 1.0]])


def read(path: Path) -> KSpace:
    """Read a file."""
    return read_raw(path, path.name, Limits()).kspace


@pytest.mark.parametrize("shape", [(3, 8, 7), (2, 3, 8, 7), (4, 2, 3, 8, 7)])
def test_numpy_files_of_three_to_five_axes_are_read(shape: tuple[int, ...], tmp_path: Path) -> None:
    samples = draw(1, *shape)
    path = tmp_path / "k.npy"
    np.save(path, samples.astype(np.complex128))
    assert raw_format(path, path.name) is NUMPY
    kspace = read(path)
    assert kspace.array.dtype == np.complex64
    np.testing.assert_allclose(kspace.array.reshape(shape), samples)


def test_the_real_phantom_is_fully_sampled() -> None:
    kspace = read(real_data("kspace", "phantom_16ch", "kspace.npy"))
    assert (kspace.array.shape, kspace.acceleration) == ((1, 1, 16, 128, 128), 1.0)


def test_numpy_files_of_other_things_are_no_raw_data(tmp_path: Path) -> None:
    path = tmp_path / "k.npy"
    np.save(path, np.zeros((3, 8, 8)))
    assert raw_format(path, path.name) is None


def test_bad_numpy_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "k.npy"
    np.save(path, draw(1, 8, 8))
    with pytest.raises(UnreadableFile, match=r"k\.npy: not k-space: that is complex, of 3 to 5"):
        read(path)
    np.save(path, draw(1, 3, 8, 8))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UnreadableFile, match="not a readable NumPy file, or truncated"):
        read(path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"(3, 8, 8)", b"(3, 8, 8 "))
    with pytest.raises(UnreadableFile, match="not a readable NumPy file"):
        read(path)
    np.save(path, np.array([{"an": "object"}]), allow_pickle=True)
    with pytest.raises(UnreadableFile, match="not a readable NumPy file"):
        read(path)
    np.save(path, np.full((3, 8, 8), np.inf, dtype=np.complex64))
    with pytest.raises(UnreadableFile, match="192 samples are NaN or infinite"):
        read(path)
    np.save(path, np.zeros((3, 8, 8), dtype=np.complex64))
    with pytest.raises(InconsistentSeries, match="the mask keeps no sample"):
        read(path)
    with pytest.raises(UnreadableFile, match="limit 1000"):
        read_raw(path, path.name, Limits(max_pixel_bytes=1000))


def test_complex_nifti_is_k_space_and_keeps_its_place(tmp_path: Path) -> None:
    samples = draw(1, 2, 3, 4, 8, 7)
    path = write_nifti(tmp_path / "k.nii.gz", samples, AFFINE)
    assert raw_format(path, path.name) is NIFTI
    kspace = read(path)
    # Slices were written against row x column.
    np.testing.assert_allclose(kspace.array, samples[:, ::-1])
    assert kspace.affine is not None
    np.testing.assert_allclose(kspace.affine[:3, 0], (0, 0, 5))
    np.testing.assert_allclose(kspace.affine[:3, 3], (-20, -30, 30))
    assert kspace.pixel_spacing_mm == pytest.approx((1.5, 2.0))


def test_of_four_axes_the_last_are_the_coils(tmp_path: Path) -> None:
    samples = draw(1, 1, 2, 4, 8, 7)
    path = write_nifti(tmp_path / "k.nii", samples, np.diag([5, 1.5, 2, 1.0]))
    assert read(path).array.shape == samples.shape


def test_bad_complex_nifti_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "k.nii", draw(1, 1, 2, 4, 8, 7), AFFINE)
    path.write_bytes(path.read_bytes()[:-99])
    with pytest.raises(UnreadableFile, match=r"k\.nii: fewer values than its header says"):
        read(path)
    path = write_nifti(tmp_path / "k.nii", 0 * draw(1, 1, 2, 4, 8, 7), AFFINE)
    with pytest.raises(InconsistentSeries, match="nothing was measured in frame 0 of slice 0"):
        read(path)
    with pytest.raises(UnreadableFile, match="limit 1000"):
        read_raw(path, path.name, Limits(max_pixel_bytes=1000))


@pytest.mark.parametrize("n_frames", [1, 3])
def test_complex_images_are_written_with_phase_and_place_and_the_same_bytes(
    n_frames: int, tmp_path: Path
) -> None:
    affine = np.array([[0, 0, 2.0, -20], [0, 1.5, 0, -30], [5, 0, 0, 40], [0, 0, 0, 1.0]])
    images = draw(1, n_frames, 2, 8, 7)
    paths = [tmp_path / f"{i}.nii.gz" for i in range(2)]
    for path in paths:
        write_complex(images, affine, path, 0.5)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    header, back = read_complex(paths[0], max_bytes=10**6)
    np.testing.assert_allclose(header.affine, affine, atol=1e-5)
    # Of four axes the last are taken for coils: here they are the frames.
    np.testing.assert_allclose(back[0].transpose(1, 0, 2, 3), images)


def test_images_and_unshifted_k_space_are_not_taken_for_k_space(tmp_path: Path) -> None:
    images = coil_images(1, 2)
    path = write_nifti(tmp_path / "k.nii", images, AFFINE)
    with pytest.raises(InconsistentSeries, match=r"k\.nii: an image and not k-space"):
        read(path)
    np.save(tmp_path / "k.npy", np.fft.fft2(images[0]))
    with pytest.raises(InconsistentSeries, match="the origin of k-space lies in a corner"):
        read(tmp_path / "k.npy")
    np.save(tmp_path / "k.npy", fft2c(images[0]))
    assert read(tmp_path / "k.npy").n_slices == 2
