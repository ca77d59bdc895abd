"""A reader gives the same as reading in process, for every format."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UnreadableFile
from pipeline.ingest.collect import FoundFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.confined import content, look
from pipeline.ingest.raw.files import raw_format, read_raw
from pipeline.mr.fourier import fft2c
from tests.mr.test_fourier import draw
from tests.support.rawfiles import (
    IDENTITY,
    Mrd,
    coil_images,
    write_bart,
    write_fastmri,
    write_nifti,
)


def array(path: Path) -> Path:
    np.save(path, fft2c(coil_images(2, 3))[0])
    return path


WRITTEN: dict[str, Callable[[Path], Path]] = {
    "a.h5": lambda path: Mrd(kspace=fft2c(coil_images(2, 3)), sections=IDENTITY).write(path),
    "b.h5": lambda path: write_fastmri(path, fft2c(coil_images(2, 3))[0]),
    "c.cfl": lambda path: write_bart(draw(1, 12, 16, 1, 3), path),
    "d.npy": array,
    "e.nii.gz": lambda path: write_nifti(path, fft2c(coil_images(2, 3)), np.eye(4)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_reader_gives_what_reading_here_gives(name: str, tmp_path: Path) -> None:
    path, limits = WRITTEN[name](tmp_path / name), Limits()
    file = FoundFile(path=path, name=name, was_named=True)
    found, here = look(file, limits), raw_format(path, name)
    assert found is not None
    assert here is not None
    assert (found.kind, found.parts) == (here.name, here.parts(path, name, limits))
    apart, inside = content(file, found.kind, found.parts[0], limits), read_raw(path, name, limits)
    assert (apart.header, apart.notes) == (inside.header, inside.notes)
    for field in fields(inside.kspace):
        one, other = getattr(apart.kspace, field.name), getattr(inside.kspace, field.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        elif field.name != "calibration":
            assert one == other


def test_a_reader_that_may_hold_little_refuses_what_is_large(tmp_path: Path) -> None:
    path = write_fastmri(tmp_path / "a.h5", np.zeros((8, 16, 640, 640), dtype=np.complex64))
    file = FoundFile(path=path, name="a.h5", was_named=True)
    with pytest.raises(UnreadableFile, match=r"a\.h5: .* limit 1048576"):
        look(file, Limits(max_pixel_bytes=1 << 20))
