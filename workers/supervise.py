"""Keep processes running: started together, started again when one ends, stopped in order.

A child is told by the kernel when the supervisor is gone, however it went, and ends (Linux).
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

LOG = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Time before a child is started again: it doubles with each time [s]."""

STEADY_S = 60.0
"""A child that ran for so long starts again as if for the first time [s]."""

LOOK_EVERY_S = 0.2
"""Time between two looks at the children [s]."""

PR_SET_PDEATHSIG = 1
"""Option of prctl(2): the signal that a process gets when its parent is gone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What a child runs."""

    name: str
    """How logs name it."""

    command: Sequence[str]
    """Its words; never logged, for they may hold a secret."""

    stop_s: float
    """Time that it gets to end by itself [s]."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What is added to its environment."""


class Child:
    """A program that is kept running."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._start_at = 0.0
        self._pause = FIRST_PAUSE_S

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    def look(self) -> None:
        """Start it if it does not run and its time has come."""
        if self.is_running:
            return
        if self._process is not None:
            self._ended(self._process.returncode)
        if monotonic() >= self._start_at:
            self._start()

    def stop(self) -> None:
        """Tell it to end."""
        if self._process is not None and self.is_running:
            self._process.terminate()

    def wait(self) -> None:
        """Wait until it has ended, and end it if it takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(self.program.stop_s)
        except subprocess.TimeoutExpired:
            LOG.warning("%s does not end: killed", self.program.name)
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        """Start it in a process group of its own: Ctrl-C is the supervisor's to hear."""
        self._process = subprocess.Popen(  # noqa: S603 - the words are ours, no shell reads them
            list(self.program.command),
            env={**os.environ, **self.program.environment},
            process_group=0,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        self._started = monotonic()

    def _ended(self, status: int) -> None:
        """Say that it has ended, and set when it is started again."""
        LOG.warning(
            "%s ended with status %d: started again in %.1f s",
            self.program.name,
            status,
            self._pause,
            extra={"action": "child_ended", "child": self.program.name},
        )
        if monotonic() - self._started > STEADY_S:
            self._pause = FIRST_PAUSE_S
        self._start_at = monotonic() + self._pause
        self._pause = min(LONGEST_PAUSE_S, 2 * self._pause)
        self._process = None


def supervise(children: Sequence[Child], ending: threading.Event) -> None:
    """Keep children running until told to end, then stop them, the last one first."""
    try:
        while not ending.is_set():
            for child in children:
                child.look()
            ending.wait(LOOK_EVERY_S)
    finally:
        for child in reversed(children):
            child.stop()
            child.wait()


def _end_with_parent() -> None:
    """Have this process ended when its parent is gone; called between fork and exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
