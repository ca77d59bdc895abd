"""BART files: column-major order, the axes of BART, and named refusals."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InconsistentSeries, NotApplicable, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.files import BART, raw_format, read_raw
from pipeline.mr.coils import calibration_region
from pipeline.mr.fourier import fft2c, ifft2c
from pipeline.mr.kspace import KSpace, Readout
from tests.mr.test_fourier import draw
from tests.support.rawfiles import coil_images, write_bart
from tests.support.realdata import real_data


def read(path: Path) -> KSpace:
    """Read a file."""
    assert raw_format(path, path.name) is BART
    return read_raw(path, path.name, Limits()).kspace


def test_the_first_axis_varies_fastest_and_is_the_readout(tmp_path: Path) -> None:
    samples = fft2c(coil_images()[0, 0])
    path = write_bart(samples.transpose(2, 1, 0)[:, :, None], tmp_path / "k.cfl")
    kspace = read(path)
    np.testing.assert_array_equal(kspace.array[0, 0], samples)
    assert kspace.readout is Readout.COLUMNS


def test_a_readout_of_one_leaves_both_phase_encodings(tmp_path: Path) -> None:
    samples = draw(1, 1, 12, 10, 3)
    kspace = read(write_bart(samples, tmp_path / "k.cfl"))
    np.testing.assert_array_equal(kspace.array[0, 0], samples[0].transpose(2, 0, 1))
    assert (kspace.readout, kspace.image_shape) == (Readout.NONE, (12, 10))


def test_time_and_slices_have_their_axes(tmp_path: Path) -> None:
    samples = draw(1, 3, 2, 4, 12, 10)
    sizes = (10, 12, 1, 4, 1, 1, 1, 1, 1, 1, 3, 1, 1, 2)
    path = write_bart(
        samples.transpose(4, 3, 2, 0, 1).reshape(sizes, order="F"), tmp_path / "k.cfl"
    )
    np.testing.assert_array_equal(read(path).array, samples)


def test_a_full_second_phase_encoding_becomes_slices(tmp_path: Path) -> None:
    images = coil_images(1, 5)[0]
    partitions = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(images, 0), axis=0, norm="ortho"), 0)
    samples = fft2c(partitions.astype(np.complex64))
    kspace = read(write_bart(samples.transpose(3, 2, 0, 1), tmp_path / "k.cfl"))
    np.testing.assert_allclose(ifft2c(kspace.array)[0], images, atol=1e-4)
    samples[2, :, 5] = 0
    path = write_bart(samples.transpose(3, 2, 0, 1), tmp_path / "k.cfl")
    with pytest.raises(NotApplicable, match="second phase encoding of a 3-D acquisition is under"):
        read(path)


def test_the_real_brain_is_read_with_its_mask() -> None:
    kspace = read(real_data("kspace", "brain_8ch", "ksp.cfl"))
    assert kspace.array.shape == (1, 1, 8, 180, 230)
    assert kspace.acceleration == pytest.approx(7.90, abs=0.01)
    assert np.abs(kspace.array).max() > 1e13
    assert calibration_region(kspace.mask[0, 0]).shape == (20, 20)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path = write_bart(draw(1, 8, 8, 1, 2), tmp_path / "k.cfl", sizes=(8, 8, 1, 3))
    with pytest.raises(
        UnreadableFile, match=r"k\.cfl: 1024 bytes, its header promises 1536: trunc"
    ):
        read(path)
    path.with_suffix(".hdr").write_text("# Dimensions\n8 -8 1 2\n")
    with pytest.raises(UnreadableFile, match=r"k\.hdr states no dimensions"):
        read(path)
    path.with_suffix(".hdr").write_text("# Dimensions\n" + "1 " * 17)
    with pytest.raises(UnreadableFile, match="states 17 dimensions, at most 16"):
        read(path)
    path.with_suffix(".hdr").write_text("# Dimensions\n99999 99999 99 99\n")
    with pytest.raises(UnreadableFile, match="limit 2147483648"):
        read(path)
    path.with_suffix(".hdr").unlink()
    with pytest.raises(UnreadableFile, match=r"k\.cfl: its header k\.hdr is missing"):
        read(path)


def test_what_is_no_k_space_is_refused(tmp_path: Path) -> None:
    path = write_bart(draw(1, 8, 8, 1, 2, 2), tmp_path / "k.cfl")
    with pytest.raises(NotApplicable, match="2 maps; k-space of one contrast"):
        read(path)
    path = write_bart(np.full((8, 8, 1, 2), np.nan, dtype=np.complex64), tmp_path / "k.cfl")
    with pytest.raises(UnreadableFile, match="128 samples are NaN"):
        read(path)
    path = write_bart(np.zeros((8, 8, 1, 2), dtype=np.complex64), tmp_path / "k.cfl")
    with pytest.raises(InconsistentSeries, match="nothing was measured: the mask keeps no sample"):
        read(path)
