"""HDF5, opened so that a file reaches nothing but itself.

Links out of the file or aside, data kept in other files, and compression that needs a plug-in are
refused; sizes are compared with the limits before anything is allocated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from pipeline.errors import UnreadableFile
from pipeline.ingest.limits import in_force
from pipeline.ingest.raw.freelist import check_free_lists

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of a file."""

BUILT_IN_FILTERS = frozenset(
    {
        h5py.h5z.FILTER_DEFLATE,
        h5py.h5z.FILTER_SHUFFLE,
        h5py.h5z.FILTER_FLETCHER32,
        h5py.h5z.FILTER_SZIP,
        h5py.h5z.FILTER_NBIT,
        h5py.h5z.FILTER_SCALEOFFSET,
        h5py.h5z.FILTER_LZF,
    }
)
"""Filters that need no plug-in: a plug-in is foreign code."""

READ_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError)
"""What h5py raises on a damaged file."""


def looks_like_hdf5(path: Path) -> bool:
    """Tell whether a file's first bytes are HDF5's."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def opened(path: Path, name: str) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises
    ------
    UnreadableFile
        If it is no HDF5, truncated or damaged: also when that shows while it is read.
    """
    try:
        check_free_lists(path, name)
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except READ_ERRORS as error:
        raise UnreadableFile(f"{name}: HDF5 is truncated or damaged") from error


def dataset(group: h5py.Group, path: str, name: str) -> h5py.Dataset | None:
    """Return a dataset of a file, checked; None if it has none of that path.

    Parameters
    ----------
    group
        Where the path starts.
    path
        Names with slashes between.
    name
        The file's name, for messages.

    Raises
    ------
    UnreadableFile
        If a link leads out of the file or aside, or its data need other files or a plug-in.
    """
    here: object = group
    for step in path.split("/"):
        if not isinstance(here, h5py.Group) or step not in here.keys():  # noqa: SIM118 - no follow
            return None
        if type(here.get(step, getlink=True)) is not h5py.HardLink:
            raise UnreadableFile(f"{name}: {path} is a link, links are not followed")
        here = here[step]
    if not isinstance(here, h5py.Dataset):
        return None
    _check_storage(here, path, name)
    return here


def _check_storage(found: h5py.Dataset, path: str, name: str) -> None:
    """Refuse a dataset whose values are not in the file or need foreign code."""
    if found.external or found.is_virtual:
        raise UnreadableFile(f"{name}: {path} has its values in other files")
    chunk = found.dtype.itemsize * int(
        np.prod([int(n) for n in found.chunks or (0,)], dtype=object)
    )
    if chunk > in_force().max_chunk_bytes:
        raise UnreadableFile(
            f"{name}: {path} has chunks of {chunk} bytes, limit {in_force().max_chunk_bytes}"
        )
    creation = found.id.get_create_plist()
    filters = [int(creation.get_filter(i)[0]) for i in range(creation.get_nfilters())]
    foreign = [f for f in filters if f not in BUILT_IN_FILTERS]
    if foreign:
        raise UnreadableFile(
            f"{name}: {path} is compressed by HDF5 filter {foreign[0]}, unsupported"
        )


def n_values(found: h5py.Dataset) -> int:
    """Return the number of values that a dataset claims to hold."""
    return int(np.prod([int(n) for n in found.shape or (0,)], dtype=object))
