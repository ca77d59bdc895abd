"""End the model runs of a job from another thread.

A process does one job at a time. What its sessions run goes with the options of the current
interrupt, and ONNX Runtime looks at them between the nodes of a graph: Python's own ways to end a
piece of work wait until the whole run is over.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import onnxruntime

from pipeline.errors import Interrupted


class Reason(StrEnum):
    """Why a job is ended."""

    CANCELLED = "cancelled"
    """A person wants it to end."""

    LOST = "claim lost"
    """The job is another's now."""

    TIMED_OUT = "out of time"
    """It has taken longer than a job may."""

    STOPPING = "worker stopping"
    """The worker stops and gives it back."""


class Interrupt:
    """Ends the model runs of one job."""

    def __init__(self) -> None:
        self.options = onnxruntime.RunOptions()
        self.reason: Reason | None = None

    def stop(self, reason: Reason) -> None:
        """End the runs that go on, and all that would begin; the first reason counts."""
        self.reason = self.reason or reason
        self.options.terminate = True

    def check(self) -> None:
        """Raise if the job is to end.

        Raises
        ------
        Interrupted
            If it is.
        """
        if self.reason is not None:
            raise Interrupted(self.reason.value)


_current: list[Interrupt] = []
"""The interrupt of the job that this process does, if it can be ended."""


@contextmanager
def interruptible(interrupt: Interrupt) -> Iterator[None]:
    """Let the model runs within be ended by an interrupt."""
    _current.append(interrupt)
    try:
        yield
    finally:
        _current.remove(interrupt)


def current() -> Interrupt | None:
    """Return the interrupt of the job that this process does; None if it cannot be ended."""
    return _current[-1] if _current else None
