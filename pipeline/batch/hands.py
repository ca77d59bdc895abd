"""The processes that do a batch's jobs: one job at a time each, told and answered by lines.

A process says ``ready``, is told the id of a job, and answers with it when the job has come to an
end, or was somebody else's: where it stands, the ledger says. One that dies is replaced; what it
was at is handed out by the ledger.
"""

import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import UUID

from pipeline.errors import UnusableCall
from pipeline.work import Bench, work

READY = "ready"
"""What a process says when it can be told its first job."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that tell the libraries for linear algebra how many threads to use."""

ENDS_S = 10.0
"""Time that an idle process has to end by itself [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """How a process of a batch is started."""

    command: Sequence[str]
    """What runs."""

    threads: int
    """Cores that it uses."""

    log: Path
    """File that it writes what it has to say to."""


@dataclass(kw_only=True, slots=True)
class _Hand:
    """A process."""

    process: subprocess.Popen[bytes]
    is_ready: bool = False
    job_id: UUID | None = None
    heard: bytearray = field(default_factory=bytearray)


class Hands:
    """The processes of a batch: a context. They are started when there is work for them.

    Parameters
    ----------
    call
        How each is started.
    count
        How many at most.
    """

    def __init__(self, call: Call, count: int) -> None:
        self._call, self._count = call, count
        self._hands: list[_Hand] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
        self.rest()
        self.kill()
        self._selector.close()

    @property
    def busy(self) -> set[UUID]:
        """The jobs that they are at."""
        return {hand.job_id for hand in self._hands if hand.job_id is not None}

    @property
    def pids(self) -> tuple[int, ...]:
        """Their process numbers."""
        return tuple(hand.process.pid for hand in self._hands)

    def give(self, job_id: UUID) -> bool:
        """Have a process do a job; False if all are busy or not ready yet."""
        for hand in self._hands:
            if hand.is_ready and hand.job_id is None:
                assert hand.process.stdin is not None  # noqa: S101 - it was opened with one
                try:
                    hand.process.stdin.write(f"{job_id}\n".encode())
                    hand.process.stdin.flush()
                except BrokenPipeError:
                    continue
                hand.job_id = job_id
                return True
        if len(self._hands) < self._count:
            self._start()
        return False

    def wait(self, timeout_s: float) -> None:
        """Wait until one of them has something to say, or for some time.

        Raises
        ------
        UnusableCall
            If one has ended before it was ready.
        """
        for key, _ in self._selector.select(timeout_s):
            self._hear(key.data)

    def rest(self) -> None:
        """End those that are idle; they are started again when they are needed."""
        for hand in [each for each in self._hands if each.job_id is None]:
            assert hand.process.stdin is not None  # noqa: S101 - it was opened with one
            hand.process.stdin.close()
            try:
                hand.process.wait(ENDS_S)
            except subprocess.TimeoutExpired:
                hand.process.kill()
            self._forget(hand)

    def kill(self) -> None:
        """End all of them at once."""
        for hand in list(self._hands):
            hand.process.kill()
            self._forget(hand)

    def _start(self) -> None:
        """Start one, out of reach of the terminal's Ctrl-C, which is the run's to act on."""
        threads = dict.fromkeys(THREADS, str(self._call.threads))
        with self._call.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - this program's own
                list(self._call.command),
                env={**os.environ, **threads},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        hand = _Hand(process=process)
        self._hands.append(hand)
        assert process.stdout is not None  # noqa: S101 - it was opened with one
        self._selector.register(process.stdout, selectors.EVENT_READ, hand)

    def _hear(self, hand: _Hand) -> None:
        """Take what one says, or its end."""
        assert hand.process.stdout is not None  # noqa: S101 - it was opened with one
        said = os.read(hand.process.stdout.fileno(), 4096)
        if not said:
            status = hand.process.wait()
            was_ready = hand.is_ready
            self._forget(hand)
            if not was_ready:
                raise UnusableCall(
                    f"a process of the batch ended before it was ready ({status}): see "
                    f"{self._call.log}"
                )
            return
        hand.heard += said
        while b"\n" in hand.heard:
            line, _, rest = bytes(hand.heard).partition(b"\n")
            hand.heard = bytearray(rest)
            hand.is_ready = hand.is_ready or line == READY.encode()
            if line != READY.encode():
                hand.job_id = None

    def _forget(self, hand: _Hand) -> None:
        """Drop one that has ended or is ending."""
        assert hand.process.stdout is not None  # noqa: S101 - it was opened with one
        assert hand.process.stdin is not None  # noqa: S101 - it was opened with one
        self._selector.unregister(hand.process.stdout)
        hand.process.stdout.close()
        with suppress(BrokenPipeError):
            hand.process.stdin.close()
        hand.process.wait()
        self._hands.remove(hand)


def serve(bench: Bench, orders: BinaryIO) -> None:
    """Do jobs as one of the processes, until no more can come.

    Standard output is for the answers alone; what else writes there goes to standard error.

    Parameters
    ----------
    bench
        What it works with.
    orders
        Ids of jobs, one a line.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print(READY, file=answers, flush=True)
    for line in orders:
        job_id = UUID(line.decode().strip())
        work(job_id, bench)
        print(job_id, file=answers, flush=True)
