"""What an analysis asks of its networks, kept, and asked again of the same sessions and no more.

Bare is what no serving can avoid: ``session.run`` on arrays of the same shapes, on the very
sessions that the analysis opened, with their threads and options, by as many callers at a time as
ever ran at once. Callers take the next run as soon as they are free: bare waits for nothing that an
analysis has to wait for. Of each session and shape the first arrays stand for all others, since
how long a network takes does not depend on the values; gigabytes need not be kept.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pipeline.infer.arena import use_arena
from pipeline.infer.session import Session

Feed = dict[str, NDArray[np.float32]]
"""Arrays by the names of a graph's inputs."""

Shapes = tuple[int, tuple[tuple[int, ...], ...]]
"""Which session, and the shapes of what goes in."""


@dataclass(slots=True)
class Tape:
    """Runs of sessions in the order in which they began."""

    sessions: list[Session] = field(default_factory=list)
    """The sessions that were opened."""

    runs: list[tuple[Shapes, tuple[str, ...]]] = field(default_factory=list)
    """Session and shapes of each run, and the outputs that it asked for."""

    feeds: dict[Shapes, Feed] = field(default_factory=dict)
    """The first arrays of each kind."""

    at_once: int = 0
    """Most runs that were in progress at one time."""

    is_on: bool = False
    """Whether runs are being kept."""

    _in_progress: int = 0
    _lock: Lock = field(default_factory=Lock)

    def begin(self, session: int, outputs: Sequence[str], feed: Feed) -> None:
        """Keep a run."""
        kind = (session, tuple(array.shape for array in feed.values()))
        with self._lock:
            self.runs.append((kind, tuple(outputs)))
            if kind not in self.feeds:
                self.feeds[kind] = {name: array.copy() for name, array in feed.items()}
            self._in_progress += 1
            self.at_once = max(self.at_once, self._in_progress)

    def end(self) -> None:
        """Hear that a run has ended."""
        with self._lock:
            self._in_progress -= 1

    def replay(self) -> int:
        """Do all runs again, bare; return how many."""
        waiting, lock = iter(self.runs), Lock()

        def caller(_number: int) -> int:
            done = 0
            while True:
                with lock:
                    following = next(waiting, None)
                if following is None:
                    return done
                kind, outputs = following
                self.sessions[kind[0]].run(outputs, self.feeds[kind])
                done += 1

        with ThreadPoolExecutor(self.at_once) as callers:
            return sum(callers.map(caller, range(self.at_once)))


class _Kept:
    """Stands where a session stands, and tells a tape of its runs."""

    def __init__(self, session: Session, tape: Tape) -> None:
        self._session, self._tape, self._number = session, tape, len(tape.sessions)
        tape.sessions.append(session)
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs
        self.get_providers = session.get_providers

    def run(
        self, output_names: Sequence[str], feed: Feed, run_options: object = None
    ) -> list[NDArray[np.float32]]:
        """Run the graph."""
        if not self._tape.is_on:
            return self._session.run(output_names, feed, run_options)
        self._tape.begin(self._number, output_names, feed)
        try:
            return self._session.run(output_names, feed, run_options)
        finally:
            self._tape.end()


@contextmanager
def kept_runs() -> Iterator[Tape]:
    """Keep what the sessions that are opened within are asked for, until it ends."""
    # The arena's own session computes nothing, and is not to be kept.
    use_arena(onnxruntime.SessionOptions())
    tape, opens = Tape(is_on=True), onnxruntime.InferenceSession
    onnxruntime.InferenceSession = lambda *args, **named: _Kept(opens(*args, **named), tape)
    try:
        yield tape
    finally:
        onnxruntime.InferenceSession = opens
        tape.is_on = False
