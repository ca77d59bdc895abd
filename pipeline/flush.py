"""What is to be on disk when the power fails."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

AT_ONCE = 8
"""Files that are flushed at the same time: those that wait together share a write of the journal.
Fewer files are flushed one after the other, which is faster than to start threads."""


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
    paths = (*folder.rglob("*"), folder)
    if len(paths) < AT_ONCE:
        for path in paths:
            flush(path)
        return
    with ThreadPoolExecutor(AT_ONCE) as executor:
        # Names are on disk with their folders, whichever of them comes first.
        list(executor.map(flush, paths))
