"""The run of a batch: studies are made ready ahead, processes do their jobs, the ledger tells all.

Nothing is kept here that could be lost: where a study stands is a row, and where its jobs stand is
theirs. Jobs wait in the ledger's queue in the lane ``batch``: the run's own processes claim them,
and so may workers of a service that share the ledger; whoever claims one first does it.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from threading import Event
from time import monotonic
from typing import Protocol
from uuid import UUID

from pipeline.batch.ahead import Ahead, Ready
from pipeline.batch.hands import Hands
from pipeline.batch.nights import Window, minute_of_day
from pipeline.batchsettings import BatchSettings
from pipeline.errors import LedgerUnavailable
from pipeline.job import failure_of
from pipeline.ledger.batches import Batch, Batches, BatchStudy, JobStanding
from pipeline.ledger.batchtables import FINISHED, StudyState
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import Queue
from pipeline.ledger.states import ENDED, JobState
from pipeline.owner import is_child, is_gone
from pipeline.perform import Reconstruction

LOG = logging.getLogger(__name__)

TICK_S = 0.2
"""Time between two looks at the ledger if no process says anything [s]."""

SLOW_S = 2.0
"""Time between two looks for a wish to pause, for the load, and for processes that died [s]."""


class Outcome(StrEnum):
    """Why a run has ended."""

    FINISHED = "finished"
    """Nothing waits any more."""

    PAUSED = "paused"
    """Somebody asked for it."""

    INTERRUPTED = "interrupted"
    """The process was told to end."""

    ARCHIVE_AWAY = "the archive fails"
    """Studies could not be fetched."""


class Listener(Protocol):
    """Is told how a run goes on, from its thread; does not raise."""

    def counted(self, counts: dict[StudyState, int]) -> None:
        """Hear how many studies are in each state."""
        ...

    def held(self, why: str | None) -> None:
        """Hear why nothing begins now; None if all does again."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Night:
    """When and under which load jobs may begin."""

    window: Window | None
    """Part of the day; None is always."""

    load: float
    """Ceiling on the load average of a minute; 0 sets none."""

    minute: Callable[[], int] = minute_of_day
    """Tells the minute of the day."""

    def why_not(self) -> str | None:
        """Return why no job may begin now; None if one may."""
        if self.window is not None and (left := self.window.opens_in_min(self.minute())):
            return f"outside of its window, which opens in {left // 60} h {left % 60:02d} min"
        if self.load and (load := os.getloadavg()[0]) > self.load:
            return f"the load average is {load:.1f}, its ceiling {self.load:g}"
        return None


@dataclass(kw_only=True, slots=True)
class _Open:
    """A study whose jobs wait or run."""

    study: BatchStudy
    job_ids: list[UUID]


class BatchRun:
    """One run of a batch.

    Parameters
    ----------
    batch
        The batch.
    ledger
        The ledger.
    ahead
        Makes its studies ready.
    hands
        Do its jobs.
    listener
        Is told.
    """

    def __init__(
        self, batch: Batch, ledger: Ledger, ahead: Ahead, hands: Hands, listener: Listener
    ) -> None:
        self._batch, self._batches = batch, Batches(ledger)
        self._ahead, self._hands, self._listener = ahead, hands, listener
        self._queue = Queue(ledger)
        self._open: dict[int, _Open] = {}
        self._preparing: dict[Future[Ready], BatchStudy] = {}
        self._slow_at = 0.0
        self._why: str | None = None
        self._wanted: Outcome | None = None

    def run(self, settings: BatchSettings, night: Night, ending: Event) -> Outcome:
        """Run until nothing waits, or somebody wants it to end; what runs is finished then.

        Parameters
        ----------
        settings
            How far ahead studies are made ready.
        night
            When jobs may begin.
        ending
            Set when the run is to end.

        Raises
        ------
        LedgerUnavailable
            If the ledger is away: resume the batch when it is back.
        UnusableCall
            If the processes cannot be started.
        """
        self._recover()
        most = settings.prefetch + max(settings.processes, 1)
        try:
            while (outcome := self._outcome()) is None:
                self._step(most, night, ending)
            # What the last processes have ended was not looked at yet.
            self._take_ready()
            self._close(self._standings())
            return outcome
        finally:
            if self._hands.busy:
                # Told to end at once: what they were at does not count as an attempt.
                self._hands.kill()
                self._queue.hand_back_all(is_child)
            self._ahead.end()
            self._batches.put_back(self._batch.name, StudyState.FETCHING)

    def _recover(self) -> None:
        """Take up what a run before has left."""
        name = self._batch.name
        self._batches.put_back(name, StudyState.FETCHING)
        for study in self._batches.studies(name, StudyState.SUBMITTED):
            standings = self._batches.standings(study.job_ids)
            to_do = any(each.state not in ENDED for each in standings.values())
            is_gone_again = (
                study.member.root is None and not self._ahead.shelf(study).folder.exists()
            )
            if to_do and is_gone_again:
                self._batches.change(study.row, StudyState.WAITING)
            else:
                self._add(study, study.job_ids)

    def _step(self, most: int, night: Night, ending: Event) -> None:
        """Do what can be done now, and wait a little."""
        self._take_ready()
        standings = self._standings()
        self._close(standings)
        self._look_around(standings, night, ending)
        if self._why is None and self._wanted is None:
            self._hand_out(standings)
            self._make_ready(most)
        elif self._why is not None and not self._hands.busy:
            self._hands.rest()
        self._hands.wait(TICK_S)

    def _standings(self) -> dict[UUID, JobStanding]:
        """Return where the jobs of the studies stand that have some."""
        return self._batches.standings(
            [job_id for each in self._open.values() for job_id in each.job_ids]
        )

    def _outcome(self) -> Outcome | None:
        """Return why the run ends now; None if it goes on."""
        if self._wanted is not None and not self._hands.busy and not self._running_futures():
            return self._wanted
        if self._open or self._preparing or self._wanted is not None:
            return None
        counts = self._batches.counts(self._batch.name)
        return Outcome.FINISHED if set(counts) <= set(FINISHED) else None

    def _running_futures(self) -> bool:
        """Tell whether a study is being made ready that can no longer be called off."""
        for future in list(self._preparing):
            if future.cancel():
                del self._preparing[future]
        return any(not future.done() for future in self._preparing)

    def _look_around(self, standings: dict[UUID, JobStanding], night: Night, ending: Event) -> None:
        """Find out, now and then, whether anything is to end or to wait."""
        if ending.is_set():
            self._wanted = self._wanted or Outcome.INTERRUPTED
            self._ahead.ending.set()
        if monotonic() < self._slow_at:
            return
        self._slow_at = monotonic() + SLOW_S
        if self._batches.named(self._batch.name).pause_requested:
            self._wanted = self._wanted or Outcome.PAUSED
            self._ahead.ending.set()
        why = night.why_not()
        if why != self._why:
            self._why = why
            self._listener.held(why)
        for job_id, standing in standings.items():
            if standing.state is JobState.RUNNING and job_id not in self._hands.busy:
                self._queue.reap_one(job_id, is_gone)
        self._listener.counted(self._batches.counts(self._batch.name))

    def _hand_out(self, standings: dict[UUID, JobStanding]) -> None:
        """Have free processes do jobs that wait, in the order of the studies."""
        busy = self._hands.busy
        for each in self._open.values():
            for job_id in each.job_ids:
                standing = standings.get(job_id)
                is_due = standing and standing.state is JobState.WAITING and standing.is_due
                if is_due and job_id not in busy and not self._hands.give(job_id):
                    return

    def _make_ready(self, most: int) -> None:
        """Have further studies made ready, as far as the ceiling allows."""
        while len(self._open) + len(self._preparing) < most:
            study = self._batches.next_to_fetch(self._batch.name)
            if study is None:
                return
            self._preparing[self._ahead.begin(study)] = study

    def _take_ready(self) -> None:
        """Record what became of the studies that were made ready."""
        for future in [each for each in self._preparing if each.done()]:
            study = self._preparing.pop(future)
            problem = future.exception()
            if isinstance(problem, LedgerUnavailable):
                raise problem
            if isinstance(problem, Exception):
                failure = failure_of(problem, f"study {study.number}")
                told = f"{failure.error}: {failure.reason}"
                self._batches.change(study.row, StudyState.FAILED, reason=told)
            elif problem is None:
                self._took(future.result())

    def _took(self, ready: Ready) -> None:
        """Record what became of one study."""
        study, looked = ready.study, ready.looked
        if looked is None:
            self._not_fetched(study, ready.not_fetched)
            return
        if looked.job_ids and (looked.to_do or study.job_ids):
            self._batches.change(
                study.row, StudyState.SUBMITTED, job_ids=looked.job_ids, reason=looked.reason
            )
            self._add(study, looked.job_ids)
            return
        # Before it is recorded: a run that is killed in between does not come back for it.
        self._ahead.shelf(study).clear()
        if not looked.job_ids:
            self._batches.change(study.row, StudyState.REFUSED, reason=looked.reason)
        else:
            self._batches.change(
                study.row, StudyState.SKIPPED, job_ids=looked.existing, reason=looked.reason
            )

    def _not_fetched(self, study: BatchStudy, why: str | None) -> None:
        """Record that a study did not come."""
        if why is None:
            self._batches.change(study.row, StudyState.WAITING)
            return
        self._batches.change(study.row, StudyState.FAILED, reason=f"not fetched: {why}")
        if self._ahead.is_away:
            self._wanted = self._wanted or Outcome.ARCHIVE_AWAY

    def _add(self, study: BatchStudy, job_ids: Sequence[UUID]) -> None:
        """Follow the jobs of a study."""
        self._open[study.row] = _Open(study=study, job_ids=list(job_ids))

    def _close(self, standings: dict[UUID, JobStanding]) -> None:
        """Record the studies whose jobs have all ended."""
        for row, each in list(self._open.items()):
            found = [standings[job_id] for job_id in each.job_ids if job_id in standings]
            # A job that was submitted since the ledger was read is not among them yet.
            if len(found) < len(each.job_ids) or any(one.state not in ENDED for one in found):
                continue
            further = self._follow_ups(each.job_ids, found)
            if further:
                each.job_ids += further
                self._batches.add_jobs(row, further)
                continue
            failed = any(one.state is not JobState.DONE for one in found)
            # Before it is recorded: a run that is killed in between does not come back for it.
            self._ahead.shelf(each.study).clear()
            self._batches.change(row, StudyState.FAILED if failed else StudyState.DONE)
            del self._open[row]

    def _follow_ups(self, known: Sequence[UUID], found: Sequence[JobStanding]) -> list[UUID]:
        """Return the jobs that the images of reconstructions are for."""
        folders = [
            one.folder
            for one in found
            if one.analysis == Reconstruction.name and one.folder is not None
        ]
        made = [job_id for folder in folders for job_id in self._batches.made_from(folder)]
        return [job_id for job_id in dict.fromkeys(made) if job_id not in known]
