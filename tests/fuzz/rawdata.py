"""Files of raw data, one reader a format."""

import struct
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from pipeline.errors import PipelineError
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.bart import bart_parts, read_bart
from pipeline.ingest.raw.files import raw_format
from pipeline.ingest.raw.mrdheader import parse_header
from pipeline.mr.fourier import fft2c
from tests.fuzz.target import Target
from tests.ingest.raw.test_twix import oversampled, write_twix
from tests.support.rawfiles import IDENTITY, Mrd, coil_images, write_bart, write_fastmri

LIMITS = Limits(max_pixel_bytes=32 << 20)


def _reader(name: str):
    """Return how a file of a name is read: its format by its bytes, its parts, its samples."""

    def read(content: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(content)
        _read(path)

    return read


def _read(path: Path) -> None:
    """Read all parts of a file."""
    try:
        found = raw_format(path, path.name)
        if found is not None:
            for part in found.parts(path, path.name, LIMITS):
                found.read(path, path.name, part.name, LIMITS)
    except PipelineError:
        return


def twix(folder: Path) -> list[bytes]:
    """Return a small acquisition, and one with calibration lines."""
    samples = oversampled(coil_images(n_coils=1)[0, 0])[:, :, :48]
    plain = write_twix(folder / "plain.dat", samples)
    flags = dict.fromkeys((12, 13), "PATREFANDIMASCAN")
    return [p.read_bytes() for p in (plain, write_twix(folder / "b.dat", samples, flags=flags))]


def hdf5(folder: Path) -> list[bytes]:
    """Return small files of MRD and of fastMRI."""
    small = fft2c(coil_images(n_coils=1, shape=(8, 6)))
    mask = np.arange(6) % 2
    paths = [
        Mrd(kspace=small).write(folder / "plain.mrd"),
        Mrd(kspace=small, noise=np.ones((1, 8), np.complex64), sections=IDENTITY).write(
            folder / "identity.mrd"
        ),
        write_fastmri(folder / "fast.h5", small[0]),
        write_fastmri(folder / "mask.h5", small[0] * mask, mask=mask.astype(np.float32)),
    ]
    return [path.read_bytes() for path in paths]


def read_xml(content: bytes, folder: Path) -> None:
    """Read the XML of an MRD file."""
    try:
        parse_header(content, "input.mrd", LIMITS)
    except PipelineError:
        return


def xml(folder: Path) -> list[bytes]:
    """Return headers with and without an identity."""
    found = []
    for name, sections in (("a", ""), ("b", IDENTITY)):
        path = Mrd(sections=sections, lines=(0,)).write(folder / f"{name}.mrd")
        with h5py.File(path) as file:
            found.append(bytes(file["dataset/xml"][0]))
    return found


def read_bart_pair(content: bytes, folder: Path) -> None:
    """Read a header and its values: the input begins with the length of the header."""
    length = int.from_bytes(content[:2], "little")
    path = folder / "input.cfl"
    path.with_suffix(".hdr").write_bytes(content[2 : 2 + length])
    path.write_bytes(content[2 + length :])
    try:
        bart_parts(path, path.name, LIMITS)
        read_bart(path, path.name, LIMITS)
    except PipelineError:
        return


def bart(folder: Path) -> list[bytes]:
    """Return small arrays of two and of three dimensions."""
    plane = fft2c(coil_images(n_coils=2, shape=(6, 4)))[0, 0].transpose(2, 1, 0)
    found = []
    for name, sizes in (("a", (4, 6, 1, 2)), ("b", (1, 6, 4, 2))):
        path = write_bart(plane.reshape(sizes, order="F"), folder / f"{name}.cfl", sizes)
        header = path.with_suffix(".hdr").read_bytes()
        found.append(struct.pack("<H", len(header)) + header + path.read_bytes())
    return found


def arrays(_: Path) -> list[bytes]:
    """Return NumPy arrays of several shapes and types."""
    small = fft2c(coil_images(n_coils=2, shape=(8, 6)))
    found = []
    for array in (small, small[0, 0], small[0, 0].astype(np.complex128), small.real):
        content = BytesIO()
        np.save(content, array)
        found.append(content.getvalue())
    return found


TARGETS = {
    "twix": Target(read=_reader("input.dat"), seeds=twix, longest=1 << 18, n_tried=150),
    "hdf5": Target(read=_reader("input.h5"), seeds=hdf5, longest=1 << 17, n_tried=150),
    "mrdxml": Target(read=read_xml, seeds=xml, longest=1 << 13, n_tried=2000),
    "bart": Target(read=read_bart_pair, seeds=bart, longest=2048),
    "numpy": Target(read=_reader("input.npy"), seeds=arrays, longest=4096),
}
