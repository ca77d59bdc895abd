"""What is to be on disk when the power fails."""

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Flush a file's content, or the names in a folder, to disk.

    Raises
    ------
    OSError
        If it cannot be. What could not be written is forgotten: a second flush finds nothing to do.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(folder: Path) -> None:
    """Flush all files and folders under a folder, and itself, to disk.

    Raises
    ------
    OSError
        If one cannot be.
    """
    for path in (*folder.rglob("*"), folder):
        flush(path)
