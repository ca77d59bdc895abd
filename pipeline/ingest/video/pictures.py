"""Pictures of a video at a fixed rate, by presentation time.

For each moment ``k / rate`` the picture is taken that is shown then: the last that is not later. So
variable frame rates, pictures that are stored in another order than they are shown (B-frames)
and any frame rate give what a viewer sees. A picture is shown until the next, but no longer than
``LONGEST_SHOWN_S`` and not across a damaged stretch: the moments after that have none.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableFile
from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.video.container import Damaged, Decoded, decoded, picture_at
from pipeline.ingest.video.source import DamagedStretch
from pipeline.sandbox.child import pulse

LONGEST_SHOWN_S = 10.0
"""A recorder that writes a picture only when it changes writes one so often at least [s]."""

EPSILON_S = 1e-4
"""Times are rounded by containers: a picture so little late is still in time [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoSource:
    """One file of a case."""

    name: str
    """How messages name it."""

    start_seconds: float
    """Where it begins in the case [s]."""

    open: Callable[[], AbstractContextManager[BinaryIO | str]] = field(repr=False, compare=False)
    """Opens the container, or gives the address of a source that is going on."""


class Pictures:
    """The pictures of a case, in order of time; decoded while they are iterated over, and once.

    Parameters
    ----------
    sources
        The files of the case, in order.
    rate_hz
        Pictures for each second.
    threads
        Threads of the decoder.
    """

    def __init__(self, sources: Sequence[VideoSource], rate_hz: float, *, threads: int = 1) -> None:
        self._sources = sources
        self._rate_hz = rate_hz
        self._threads = threads
        self.damage: list[DamagedStretch] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be decoded so far."""
        return tuple(str(stretch) for stretch in self.damage)

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield the pictures.

        Raises
        ------
        UnreadableFile
            If not one picture can be decoded.
        NotApplicable
            If a file holds no picture that is read.
        """
        found = False
        for source in self._sources:
            with source.open() as file:
                events = decoded(file, source.name, threads=self._threads)
                sampler = _Sampler(source.start_seconds, self._rate_hz, self.damage)
                for event in events:
                    pulse()
                    for frame in sampler.take(event):
                        found = True
                        yield frame
                for frame in sampler.end():
                    found = True
                    yield frame
        if not found:
            names = ", ".join(source.name for source in self._sources)
            raise UnreadableFile(
                f"{names}: no picture can be decoded: the stream is empty, damaged, or not of the "
                "codec that its container names"
            )


def still(sources: Sequence[VideoSource], t_seconds: float) -> TimedFrame | None:
    """Return the picture of a case that is shown at a time; None if there is none.

    Parameters
    ----------
    sources
        The files of the case, in order.
    t_seconds
        The time, from the start of the case [s].
    """
    source = [s for s in sources if s.start_seconds <= t_seconds + EPSILON_S][-1]
    with source.open() as file:
        if isinstance(file, str):
            return None
        frame = picture_at(file, source.name, t_seconds - source.start_seconds + EPSILON_S)
    if frame is None:
        return None
    return TimedFrame(t_seconds=t_seconds, rgb=np.asarray(frame.to_ndarray(format="rgb24")))


class _Sampler:
    """Takes what the decoder gives, and gives the pictures that are shown at the moments asked."""

    def __init__(self, start: float, rate_hz: float, damage: list[DamagedStretch]) -> None:
        self._start, self._rate_hz, self._damage = start, rate_hz, damage
        self._next = int(np.ceil((start - EPSILON_S) * rate_hz))
        self._shown: Decoded | None = None
        self._pixels: NDArray[np.uint8] | None = None
        self._last_good = start
        self._broken_at: float | None = None

    def take(self, event: Decoded | Damaged) -> Iterator[TimedFrame]:
        """Take the next event, and yield the pictures that it completes."""
        if isinstance(event, Damaged):
            if self._broken_at is None:
                yield from self._until(self._last_good + EPSILON_S)
                self._broken_at = self._last_good
            self._shown = None
            return
        t = self._start + event.t_seconds
        yield from self._until(t - EPSILON_S)
        if self._broken_at is not None:
            self._add_damage(self._broken_at, t)
            self._broken_at = None
        self._shown, self._pixels, self._last_good = event, None, t

    def end(self) -> Iterator[TimedFrame]:
        """Yield the pictures that are still shown at the end."""
        yield from self._until(self._last_good + EPSILON_S)
        if self._broken_at is not None:
            self._add_damage(self._broken_at, None)

    def _add_damage(self, start: float, end: float | None) -> None:
        """Add a stretch; one that begins where the last one ended makes it longer."""
        last = self._damage[-1] if self._damage else None
        ended = None if last is None else last.end_seconds
        if last is not None and ended is not None and ended - EPSILON_S <= start <= ended + 1.0:
            self._damage.pop()
            start = last.start_seconds
        self._damage.append(DamagedStretch(start_seconds=start, end_seconds=end))

    def _until(self, t: float) -> Iterator[TimedFrame]:
        """Yield the picture that is shown at each moment before a time."""
        while self._next / self._rate_hz < t:
            moment = self._next / self._rate_hz
            self._next += 1
            if self._shown is None:
                continue
            if moment - (self._start + self._shown.t_seconds) <= LONGEST_SHOWN_S:
                yield TimedFrame(t_seconds=moment, rgb=self._rgb())

    def _rgb(self) -> NDArray[np.uint8]:
        """Return the picture that is shown; it is converted once."""
        if self._pixels is None:
            assert self._shown is not None  # noqa: S101 - asked for only where there is one
            self._pixels = np.asarray(self._shown.frame.to_ndarray(format="rgb24"))
        return self._pixels
