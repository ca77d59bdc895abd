"""Siemens twix files: a generated acquisition, the real one that is refused, and damaged ones."""

import struct
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import twixtools
from numpy.typing import NDArray
from twixtools.mdb import Mdb_local

from pipeline.errors import InconsistentSeries, NotApplicable, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.files import TWIX, raw_format, read_raw
from pipeline.mr.fourier import fft2c
from pipeline.mr.kspace import KSpace
from tests.support.rawfiles import coil_images
from tests.support.realdata import real_data

PROTOCOL = """### ASCCONV BEGIN ###
sKSpace.lBaseResolution = 24
sKSpace.lPhaseEncodingLines = 32
sKSpace.ucDimension = 2
sKSpace.ucTrajectory = {trajectory}
sKSpace.dPhaseOversamplingForDialog = 0.6
sSliceArray.lSize = 1
sSliceArray.asSlice[0].dReadoutFOV = 48.0
sSliceArray.asSlice[0].dPhaseFOV = 30.0
sSliceArray.asSlice[0].dThickness = 5.0
### ASCCONV END ###
"""


def write_twix(path: Path, samples: NDArray[np.complex64], **changes: object) -> Path:
    """Write k-space ``(coils, ky, kx)``, twice oversampled along the readout, and return the path.

    Lines whose samples are zero are left out.
    """
    protocol = PROTOCOL.format(trajectory=changes.get("trajectory", 1)).encode()
    buffers = struct.pack("<I", 1) + b"MeasYaps\0" + struct.pack("<I", len(protocol)) + protocol
    header = struct.pack("<I", 4 + len(buffers)) + buffers
    blocks = []
    for line in range(samples.shape[1]):
        if samples[:, line].any():
            block = Mdb_local(data=samples[:, line], version_is_ve=True)
            block.mdh.Counter.Lin, block.mdh.CenterLin = line, samples.shape[1] // 2
            block.mdh.CenterCol = samples.shape[2] // 2
            block.add_flag("ONLINE")
            if line in changes.get("flags", {}):  # type: ignore[operator]
                block.add_flag(changes["flags"][line])  # type: ignore[index]
            blocks.append(block)
    scan = {"hdr_str": np.frombuffer(header, dtype="S1"), "mdb": blocks}
    with redirect_stdout(StringIO()):
        twixtools.write_twix([scan], str(path))
    return path


def oversampled(images: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return k-space of images with as much air on both sides along the readout."""
    pad = images.shape[-1] // 2
    return fft2c(np.pad(images, [(0, 0), (0, 0), (pad, pad)]).astype(np.complex64))


def read(path: Path) -> KSpace:
    """Read a file."""
    assert raw_format(path, path.name) is TWIX
    return read_raw(path, path.name, Limits()).kspace


def test_lines_come_back_where_they_were_measured(tmp_path: Path) -> None:
    images = coil_images()[0, 0]
    samples = oversampled(images)
    samples[:, 3:20:2] = 0
    kspace = read(write_twix(tmp_path / "meas.dat", samples))
    expected = fft2c(images)
    expected[:, 3:20:2] = 0
    np.testing.assert_allclose(kspace.array[0, 0], expected, atol=1e-4)
    assert (kspace.grid, kspace.image_shape) == ((32, 24), (20, 24))
    assert kspace.pixel_spacing_mm == pytest.approx((1.5, 2.0))
    assert kspace.affine is None
    assert np.flatnonzero(~kspace.mask[0, 0, :, 0]).tolist() == list(range(3, 20, 2))


def test_reference_lines_serve_the_coils_and_no_image(tmp_path: Path) -> None:
    samples = oversampled(coil_images()[0, 0])
    samples[:, [n for n in range(32) if n % 4 and not 11 <= n < 22]] = 0
    flags = {n: "PATREFSCAN" for n in range(11, 22) if n % 4}
    kspace = read(write_twix(tmp_path / "meas.dat", samples, flags=flags))
    assert np.flatnonzero(kspace.mask[0, 0, :, 0]).tolist() == list(range(0, 32, 4))
    assert kspace.calibration is not None
    lines = np.flatnonzero(kspace.calibration.mask[0, :, 0]).tolist()
    assert lines == list(flags)
    expected = fft2c(coil_images()[0, 0])
    np.testing.assert_allclose(
        kspace.calibration.array[0, :, lines], expected.swapaxes(0, 1)[lines], atol=1e-4
    )


def test_the_real_echo_planar_file_is_refused_with_its_reason() -> None:
    path = real_data("kspace", "twix_epi.dat")
    with pytest.raises(
        NotApplicable, match=r"twix_epi\.dat: echo-planar data \(EPI\): .* need phase correction"
    ):
        read(path)


def test_what_is_no_twix_is_left_alone(tmp_path: Path) -> None:
    for content in (
        b"",
        b"some text that goes on for a while, as a table of numbers may",
        bytes(999),
    ):
        path = tmp_path / "file.dat"
        path.write_bytes(content)
        assert raw_format(path, path.name) is None


def test_bad_twix_files_are_refused(tmp_path: Path) -> None:
    samples = oversampled(coil_images()[0, 0])
    path = write_twix(tmp_path / "meas.dat", samples)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableFile, match=r"meas\.dat: twix file is truncated: it ends before"):
        read(path)
    path.write_bytes(whole.replace(b"lBaseResolution", b"lBaseXXXXXXXXXX"))
    with pytest.raises(UnreadableFile, match="twix headers are damaged or incomplete"):
        read(path)
    path.write_bytes(whole.replace(b"asSlice[0].dThickness ", b"asSlice[999999999].x "))
    with pytest.raises(UnreadableFile, match="lists of impossible length"):
        read(path)
    with pytest.raises(UnreadableFile, match="limit 1000"):
        read_raw(path, path.name, Limits(max_pixel_bytes=1000))


def test_a_block_that_never_ends_does_not_hang(tmp_path: Path) -> None:
    path = write_twix(tmp_path / "meas.dat", oversampled(coil_images()[0, 0]))
    content = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<I", content, 10240)
    struct.pack_into("<Q", content, 10240 + length + 40, 1 << 5)
    struct.pack_into("<I", content, 10240 + length, 0)
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="a twix block of 0 bytes"):
        read(path)


@pytest.mark.parametrize("flag", ["REFLECT", "PHASCOR"])
def test_lines_that_run_both_ways_are_refused(flag: str, tmp_path: Path) -> None:
    samples = oversampled(coil_images()[0, 0])
    path = write_twix(tmp_path / "meas.dat", samples, flags={3: flag})
    with pytest.raises(NotApplicable, match="echo-planar"):
        read(path)


def test_other_trajectories_and_files_without_lines_are_refused(tmp_path: Path) -> None:
    samples = oversampled(coil_images()[0, 0])
    with pytest.raises(NotApplicable, match="trajectory 2 of the protocol is not Cartesian"):
        read(write_twix(tmp_path / "radial.dat", samples, trajectory=2))
    path = write_twix(
        tmp_path / "noise.dat", samples, flags=dict.fromkeys(range(32), "NOISEADJSCAN")
    )
    with pytest.raises(InconsistentSeries, match="it holds no imaging line"):
        read(path)


def test_a_last_block_that_the_library_passes_over_is_not_the_last(tmp_path: Path) -> None:
    samples = oversampled(coil_images()[0, 0])
    path = write_twix(tmp_path / "meas.dat", samples, flags={31: "SYNCDATA"})
    content = bytearray(path.read_bytes())
    marks = struct.pack("<Q", 1 << 3 | 1 << 5)
    at = content.rindex(marks)
    struct.pack_into("<Q", content, at, 1 << 5 | 1)
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="twix"):
        read(path)


@pytest.mark.parametrize(
    ("stated", "impossible"),
    [
        (b"lBaseResolution = 24", b"lBaseResolution = 00"),
        (b"lPhaseEncodingLines = 32", b"lPhaseEncodingLines = 00"),
        (b"ForDialog = 0.6", b"ForDialog = -1."),
        (b"ForDialog = 0.6", b"ForDialog = -9."),
    ],
)
def test_a_matrix_that_cannot_be_is_refused(
    stated: bytes, impossible: bytes, tmp_path: Path
) -> None:
    path = write_twix(tmp_path / "meas.dat", oversampled(coil_images()[0, 0]))
    content = path.read_bytes()
    assert stated in content
    path.write_bytes(content.replace(stated, impossible))
    with pytest.raises(UnreadableFile, match=r"meas\.dat: the twix protocol states an impossible"):
        read(path)
