"""The processes of a service on one machine: kept running, and ended together.

A process that ends is started again, after a pause that doubles while it keeps ending at once. One
that says that its call is unusable ends the service: it would say so for ever.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from time import monotonic, sleep

from pipeline.options import UNUSABLE_CALL

LOG = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Pauses before a process is started again [s]."""

SOUND_S = 60.0
"""A process that ran for so long was sound: its pause begins anew [s]."""

LOOK_S = 0.1
"""Time between two looks at the processes [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A process of the service."""

    name: str
    """Its name in the log."""

    command: Sequence[str]
    """What runs; the first word is a path."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """What is added to its environment."""

    patience_s: float = 10.0
    """Time that it has to end by itself [s]."""


@dataclass(kw_only=True, slots=True)
class _Kept:
    """A part, and its process if it runs."""

    part: Part
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S


class Supervisor:
    """Keeps the parts of a service running. Its methods belong to the main thread alone.

    The kernel ends a part when the thread that has started it ends.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._kept = [_Kept(part=part) for part in parts]

    def run(self, ending: Event, by_force: Event) -> int:
        """Keep the parts running until told to end, then end them, the last first.

        Parameters
        ----------
        ending
            Set when the service is to end.
        by_force
            Set when it is to end at once.

        Returns
        -------
            Exit status: 0, or that of a part whose call is unusable.
        """
        status = 0
        try:
            while not ending.is_set() and not status:
                status = max([self._looked_after(kept) for kept in self._kept])
                ending.wait(LOOK_S)
        finally:
            for kept in reversed(self._kept):
                _end(kept, by_force)
        return status

    def _looked_after(self, kept: _Kept) -> int:
        """Start a part if it does not run and its time has come; return a status that ends all."""
        process, part = kept.process, kept.part
        if process is not None:
            ended = process.poll()
            if ended is None:
                return 0
            kept.process = None
            if ended == UNUSABLE_CALL:
                return ended
            if monotonic() - kept.started_at > SOUND_S:
                kept.pause_s = FIRST_PAUSE_S
            kept.start_at = monotonic() + kept.pause_s
            _log(logging.WARNING, f"has ended ({ended}), again in {kept.pause_s:g} s", part)
            kept.pause_s = min(2 * kept.pause_s, LONGEST_PAUSE_S)
        if monotonic() >= kept.start_at:
            kept.process, kept.started_at = _started(part), monotonic()
        return 0


def _started(part: Part) -> subprocess.Popen[bytes]:
    """Start a part, out of reach of the terminal's Ctrl-C, which is this process's to act on."""
    process = subprocess.Popen(  # noqa: S603 - a part of the service
        [sys.executable, "-m", "workers.bound", str(os.getpid()), *part.command],
        env={**os.environ, **part.environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    _log(logging.INFO, f"has started as process {process.pid}", part)
    return process


def _end(kept: _Kept, by_force: Event) -> None:
    """End a part: ask, wait, then by force."""
    process = kept.process
    if process is None:
        return
    process.send_signal(signal.SIGTERM)
    until = monotonic() + kept.part.patience_s
    while process.poll() is None and monotonic() < until and not by_force.is_set():
        sleep(LOOK_S)
    if process.poll() is None:
        _log(logging.WARNING, "is ended by force", kept.part)
        process.kill()
    process.wait()
    kept.process = None


def _log(level: int, what: str, part: Part) -> None:
    """Log what happens to a part."""
    LOG.log(level, "%s %s", part.name, what, extra={"action": "part", "part": part.name})
