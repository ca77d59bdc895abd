"""How a process is told to end: SIGTERM from whoever runs it, SIGINT from a person."""

import signal
from threading import Event
from types import FrameType


def told_to_end() -> Event:
    """Return what is set once this process is told to end by SIGTERM or SIGINT."""
    ending = Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return ending
