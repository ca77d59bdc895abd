"""The part of the day in which a batch works, and how often it asks an archive."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from time import localtime, monotonic

from pipeline.batchsettings import NIGHT
from pipeline.errors import UnusableCall

DAY_MIN = 24 * 60
"""Minutes of a day."""


def minute_of_day() -> int:
    """Return the minute of this machine's day, local time, from 0."""
    now = localtime()
    return 60 * now.tm_hour + now.tm_min


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A part of the day; one that ends before it begins goes over midnight."""

    begins_min: int
    """Its first minute of the day."""

    ends_min: int
    """The first minute that is not in it any more; the same as its first one is the whole day."""

    def is_open(self, minute: int) -> bool:
        """Tell whether a minute of the day lies in it."""
        length = (self.ends_min - self.begins_min) % DAY_MIN or DAY_MIN
        return (minute - self.begins_min) % DAY_MIN < length

    def opens_in_min(self, minute: int) -> int:
        """Return how long after a minute of the day it opens; 0 while it is open [min]."""
        return 0 if self.is_open(minute) else (self.begins_min - minute) % DAY_MIN


def parse_window(text: str | None) -> Window | None:
    """Return a window such as ``20:00-06:00``; None for none.

    Raises
    ------
    UnusableCall
        If it is none.
    """
    if text is None:
        return None
    found = NIGHT.fullmatch(text)
    if found is None:
        raise UnusableCall(f"window is {text!r}, possible is HH:MM-HH:MM")
    begins_h, begins_min, ends_h, ends_min = map(int, found.groups())
    return Window(begins_min=60 * begins_h + begins_min, ends_min=60 * ends_h + ends_min)


@dataclass(kw_only=True, slots=True)
class Pace:
    """Spaces what is asked of an archive evenly. Several threads may use the same one."""

    per_minute: float
    """Most turns a minute."""

    clock: Callable[[], float] = monotonic
    """Tells the time [s]."""

    _lock: Lock = field(default_factory=Lock)
    _next: float = 0.0

    def turn(self, ending: Event) -> bool:
        """Wait for one's turn; False if the run ends meanwhile."""
        with self._lock:
            now = self.clock()
            at = max(now, self._next)
            self._next = at + 60.0 / self.per_minute
        return not ending.wait(max(at - now, 0.0))
