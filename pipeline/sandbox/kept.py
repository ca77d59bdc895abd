"""Keep the reader of an input for the next question about the same input.

Within ``one_reader`` the reader that was used last stays until another input is read. It was made
for one input and is asked about no other; outside, each question has a reader of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.sandbox.reader import Reader

Input = tuple[Path, int, int]
"""A file: its path, and what lies there now."""


class _Kept:
    """The reader that was used last, if it was not closed."""

    def __init__(self) -> None:
        self._input: Input | None = None
        self._reader: Reader | None = None

    def take(self, wanted: Input) -> Reader | None:
        """Hand over the reader of an input; None if it is another's, which is closed."""
        reader, is_its = self._reader, self._input == wanted
        self._input = self._reader = None
        if reader is not None and not is_its:
            reader.close()
            return None
        return reader

    def put(self, read: Input, reader: Reader) -> None:
        """Keep a reader; there is none now, since one is taken before another is made."""
        self._input, self._reader = read, reader

    def close(self) -> None:
        """End the reader."""
        if self._reader is not None:
            self._reader.close()


_current: list[_Kept] = []
"""Where a reader is kept, while one is to be."""


@contextmanager
def one_reader() -> Iterator[None]:
    """Have the questions about one input answered by one reader, where its allowance is enough."""
    kept = _Kept()
    _current.append(kept)
    try:
        yield
    finally:
        _current.remove(kept)
        kept.close()


@contextmanager
def reader_of(path: Path, make: Callable[[], Reader]) -> Iterator[Reader]:
    """Ask the reader that is kept for a file, or a new one; it is kept if it answers.

    Parameters
    ----------
    path
        The file: the only one that the reader may read.
    make
        Makes a reader for it.

    Raises
    ------
    OSError
        If the file is gone.
    """
    kept = _current[-1] if _current else _Kept()
    read = _found(path)
    with ExitStack() as held:
        reader = held.enter_context(kept.take(read) or make())
        yield reader
        if _current:
            held.pop_all()
            kept.put(read, reader)


@contextmanager
def last_reader_of(path: Path, make: Callable[[], Reader]) -> Iterator[Reader]:
    """Ask the reader that is kept for a file, or a new one, for the last time.

    Parameters and failures are those of ``reader_of``.
    """
    kept = _current[-1] if _current else _Kept()
    with kept.take(_found(path)) or make() as reader:
        yield reader


def _found(path: Path) -> Input:
    """Return what lies at a path: what takes its place later is out of a reader's reach."""
    found = path.stat()
    return path, found.st_dev, found.st_ino
