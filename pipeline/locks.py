"""A lock between processes, released by the system when its holder dies.

POSIX advisory locks on a file of its own: Linux and macOS, local disks and NFS version 4.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is missing and stays; wait for it if need be.

    Raises
    ------
    OSError
        If the file cannot be made, or its file system knows no locks.
    """
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold the lock of a file together with others who share it, and keep ``locked`` waiting.

    Raises
    ------
    OSError
        If the file cannot be made, or its file system knows no locks.
    """
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock of a file if nobody else does, and tell whether it is held."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
