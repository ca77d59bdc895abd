"""fastMRI files: the images they were made for, their masks, and named refusals."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, StudyRejected, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.files import FASTMRI, raw_format, read_raw
from pipeline.mr.fourier import crop, fft2c, ifft2c
from pipeline.mr.kspace import Readout
from pipeline.mr.sense import zero_filled_rss
from tests.mr.test_fourier import draw
from tests.support.rawfiles import Mrd, coil_images, write_fastmri

WIDE = coil_images(1, 2, 3, (64, 30))[0]
"""Coil images of two slices, twice oversampled along the rows."""


def header(rows: int = 32, columns: int = 24) -> bytes:
    """Return a header whose readout (x) runs along the rows."""
    mrd = Mrd(kspace=np.zeros((1, 1, 1, 30, rows), dtype=np.complex64), recon_rows=columns)
    return mrd._header().encode()


def test_images_are_those_of_fastmri(tmp_path: Path) -> None:
    path = write_fastmri(tmp_path / "file.h5", fft2c(WIDE), ismrmrd_header=header())
    assert raw_format(path, path.name) is FASTMRI
    kspace = read_raw(path, path.name, Limits()).kspace
    assert (kspace.grid, kspace.image_shape) == ((32, 30), (32, 24))
    assert kspace.readout is Readout.ROWS
    found = crop(zero_filled_rss(kspace.array), kspace.image_shape)[0]
    # fastMRI crops the image of all samples.
    expected = crop(np.sqrt((np.abs(ifft2c(fft2c(WIDE))) ** 2).sum(1)), (32, 24))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert kspace.pixel_spacing_mm == pytest.approx((2.0, 1.5))


def test_the_mask_of_a_test_file_is_along_columns_and_padding_is_not_measured(
    tmp_path: Path,
) -> None:
    samples = fft2c(WIDE)
    samples[..., :3] = 0
    lines = np.ones(30, dtype=np.uint8)
    lines[5::2] = 0
    path = write_fastmri(
        tmp_path / "file.h5",
        samples * lines.astype(np.float32),
        mask=lines,
        ismrmrd_header=header(),
    )
    kspace = read_raw(path, path.name, Limits()).kspace
    expected = lines.astype(bool)
    expected[:3] = False
    np.testing.assert_array_equal(kspace.mask[0, 0], np.broadcast_to(expected, (32, 30)))


def test_single_coil_files_and_files_without_a_header_are_read(tmp_path: Path) -> None:
    single = fft2c(WIDE[:, 0])
    content = read_raw(write_fastmri(tmp_path / "a.h5", single), "a.h5", Limits())
    np.testing.assert_allclose(content.kspace.array[0, :, 0], single, atol=1e-5)
    assert content.header is None
    assert any("state no position" in note for note in content.notes)


def bad(index: int, value: complex) -> NDArray[np.complex64]:
    """Return samples with a bad column."""
    samples = fft2c(WIDE)
    samples[..., index] = value
    return samples


@pytest.mark.parametrize(
    ("samples", "datasets", "error", "reason"),
    [
        (bad(4, np.nan), {}, UnreadableFile, "384 samples are NaN or infinite"),
        (bad(4, np.inf), {"mask": np.ones(30)}, UnreadableFile, "384 samples are NaN or inf"),
        (bad(4, 0), {"mask": np.ones(30)}, InconsistentSeries, "2 lines count as measured and hol"),
        (fft2c(WIDE), {"mask": np.zeros(30)}, InconsistentSeries, "the mask keeps no sample"),
        (fft2c(WIDE), {"mask": np.ones(29)}, InconsistentSeries, "a mask of 29 columns, kspace ha"),
        (0 * WIDE, {}, InconsistentSeries, "nothing was measured in frame 0 of slice 0"),
        (np.abs(WIDE), {}, UnreadableFile, "kspace is float32 of 4 axes, fastMRI's is complex"),
        (WIDE[0, 0], {}, UnreadableFile, "kspace is complex64 of 2 axes"),
        (fft2c(WIDE), {"ismrmrd_header": b"<a/>"}, UnreadableFile, "header has no encoding"),
    ],
)
def test_a_bad_file_is_refused_by_its_name_and_the_reason(
    samples: NDArray[np.complex64],
    datasets: dict[str, object],
    error: type[StudyRejected],
    reason: str,
    tmp_path: Path,
) -> None:
    path = write_fastmri(tmp_path / "file.h5", samples, **datasets)
    with pytest.raises(error, match=rf"file\.h5.*{reason}"):
        read_raw(path, path.name, Limits())


def test_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = write_fastmri(tmp_path / "file.h5", draw(1, 1, 2, 8, 8))
    with pytest.raises(UnreadableFile, match="128 samples need 1024 bytes, limit 1000"):
        read_raw(path, path.name, Limits(max_pixel_bytes=1000))


def test_a_heap_whose_free_list_goes_round_is_refused(tmp_path: Path) -> None:
    """The library would follow it for ever, and no signal would end it."""
    path = write_fastmri(tmp_path / "a.h5", np.ones((1, 1, 8, 6), np.complex64))
    content = bytearray(path.read_bytes())
    heap = content.index(b"HEAP")
    free, segment = struct.unpack_from("<QQ", content, heap + 16)
    struct.pack_into("<Q", content, segment + free, free)
    path.write_bytes(content)
    with pytest.raises(
        UnreadableFile, match=r"a\.h5: HDF5 is damaged: a heap's free list has no end"
    ):
        raw_format(path, path.name)
