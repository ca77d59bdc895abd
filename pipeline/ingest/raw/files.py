"""Which format of raw data a file has, what parts it holds, and how each is read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.errors import UnreadableFile
from pipeline.imaging.complexnifti import is_complex
from pipeline.imaging.niftiheader import is_nifti_name
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.arrays import (
    may_be_kspace,
    nifti_parts,
    numpy_parts,
    read_nifti,
    read_numpy,
)
from pipeline.ingest.raw.bart import bart_parts, read_bart
from pipeline.ingest.raw.fastmri import fastmri_parts, is_fastmri, read_fastmri
from pipeline.ingest.raw.hdf5 import looks_like_hdf5, opened
from pipeline.ingest.raw.mrd import is_mrd, mrd_parts, read_mrd
from pipeline.ingest.raw.names import BART_NAME, HDF5_ENDINGS
from pipeline.ingest.raw.part import RawContent, RawPart
from pipeline.ingest.raw.twix import read_twix, twix_parts
from pipeline.ingest.raw.twixwalk import looks_like_twix


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFormat:
    """A format of raw data."""

    name: str
    """Its name."""

    parts: Callable[[Path, str, Limits], tuple[RawPart, ...]]
    """Returns the parts of a file."""

    read: Callable[[Path, str, str, Limits], RawContent]
    """Reads a part by its name."""


def _whole(
    read: Callable[[Path, str, Limits], RawContent], path: Path, name: str, _: str, limits: Limits
) -> RawContent:
    """Read a file that has one part only."""
    return read(path, name, limits)


MRD = RawFormat(name="MRD", parts=mrd_parts, read=read_mrd)
FASTMRI = RawFormat(name="fastMRI", parts=fastmri_parts, read=partial(_whole, read_fastmri))
BART = RawFormat(name=BART_NAME, parts=bart_parts, read=partial(_whole, read_bart))
NUMPY = RawFormat(name="NumPy", parts=numpy_parts, read=partial(_whole, read_numpy))
NIFTI = RawFormat(name="complex NIfTI", parts=nifti_parts, read=partial(_whole, read_nifti))
TWIX = RawFormat(name="twix", parts=twix_parts, read=partial(_whole, read_twix))
FORMATS = {kind.name: kind for kind in (MRD, FASTMRI, BART, NUMPY, NIFTI, TWIX)}
"""All formats, by name."""


def raw_format(path: Path, name: str) -> RawFormat | None:
    """Return the format of a file; None if it holds no raw data and does not claim to.

    Parameters
    ----------
    path
        The file.
    name
        Its name, for messages.

    Raises
    ------
    UnreadableFile
        If it claims to hold raw data by its name, and is damaged.
    """
    ending = path.suffix.lower()
    if is_nifti_name(path):
        return NIFTI if is_complex(path) else None
    if ending in HDF5_ENDINGS:
        return _hdf5_format(path, name)
    if ending == ".cfl":
        return BART
    if ending == ".npy":
        return NUMPY if may_be_kspace(path) else None
    if ending == ".dat" and looks_like_twix(path):
        return TWIX
    return None


def read_raw(path: Path, name: str, limits: Limits) -> RawContent:
    """Read the first part of a file of any format.

    Raises
    ------
    UnreadableFile
        If it holds no raw data, or is damaged.
    InconsistentSeries
        If it contradicts itself.
    NotApplicable
        If it cannot be reconstructed, such as non-Cartesian data.
    """
    found = raw_format(path, name)
    if found is None:
        raise UnreadableFile(f"{name}: no raw data of a known format")
    return found.read(path, name, found.parts(path, name, limits)[0].name, limits)


def _hdf5_format(path: Path, name: str) -> RawFormat | None:
    """Return the format of an HDF5 file."""
    if not looks_like_hdf5(path):
        raise UnreadableFile(f"{name}: not an HDF5 file, or truncated")
    with opened(path, name) as file:
        if is_mrd(file, name):
            return MRD
        return FASTMRI if is_fastmri(file, name) else None
