"""The lease of a claimed job: renewed from a thread of its own while the job is done.

The same thread ends the job when it is another's, when a person has cancelled it, and when it takes
too long.
"""

import threading
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

from pipeline.errors import LedgerUnavailable
from pipeline.infer.interrupt import Interrupt, Reason
from pipeline.ledger.queue import Claim, Queue, Renewal
from pipeline.servicesettings import LONGEST_BEAT_S

BEATS = 4
"""Renewals within the time of a lease."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """For how long a job may be claimed and may run."""

    lease_s: float
    """Time of a lease [s]."""

    longest_s: float
    """Time after which the job is ended [s]."""


class Lease:
    """Keeps a claim while its job is done: a context."""

    def __init__(self, queue: Queue, claim: Claim, interrupt: Interrupt, limits: Limits) -> None:
        self._queue, self._claim = queue, claim
        self._interrupt, self._limits = interrupt, limits
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        """Renew the lease until the job has ended or is to end."""
        until = monotonic() + self._limits.longest_s
        beat_s = min(self._limits.lease_s / BEATS, LONGEST_BEAT_S)
        while not self._ended.wait(min(beat_s, max(until - monotonic(), 0.0))):
            if monotonic() >= until:
                # Not renewed from here on: if nothing can end it, the lease runs out.
                self._interrupt.stop(Reason.TIMED_OUT)
                return
            if not self._renewed():
                return

    def _renewed(self) -> bool:
        """Renew the lease once; tell whether it is to be renewed again."""
        claim = self._claim
        try:
            renewal = self._queue.renew(claim.job_id, claim.attempt, self._limits.lease_s)
        except LedgerUnavailable:
            # Only the ledger can say that the job is another's; it is asked again.
            return True
        if renewal is Renewal.LOST:
            self._interrupt.stop(Reason.LOST)
        elif renewal is Renewal.CANCELLED:
            self._interrupt.stop(Reason.CANCELLED)
        return renewal is not Renewal.LOST
