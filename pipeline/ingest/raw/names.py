"""Which files may be raw data and belong to it, told without the libraries that read them."""

from pathlib import Path

from pipeline.errors import UnreadableFile

HDF5_ENDINGS = (".h5", ".hdf5", ".mrd")
"""File name endings of HDF5 with raw data, in lower case."""

BART_NAME = "BART"
"""Name of the format that has a header beside its values."""


def is_bart_header(path: Path) -> bool:
    """Tell whether a file begins as the header of a BART file."""
    with path.open("rb") as file:
        return file.read(12) == b"# Dimensions"


def belongs_to_raw(path: Path) -> bool:
    """Tell whether a file is the header of a BART file that lies beside it."""
    return path.suffix.lower() == ".hdr" and path.with_suffix(".cfl").is_file()


def check_not_alone(path: Path, name: str) -> None:
    """Refuse the header of a BART file whose values are missing.

    Raises
    ------
    UnreadableFile
        If it is one.
    """
    if path.suffix.lower() == ".hdr" and is_bart_header(path):
        values = path.with_suffix(".cfl").name
        raise UnreadableFile(f"{name}: a BART header whose values {values} are missing")
