"""Perform the steps of a worklist: find, claim, get the inputs, follow the jobs, finish.

A round looks once at every step that is this installation's, and at the worklist for new ones. It
waits for nothing but answers, holds nothing in memory between two rounds, and may be stopped
anywhere: the next one goes on from the ledger and from what the worklist says. Several performers
may do the rounds of one worklist, on one ledger or on several: one of them gets a step, and what
two do to the same one is the same.

What it does not do: a step that the worklist has already cancelled or removed is not contested.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.analysis import Analysis
from pipeline.errors import PeerRefused, PeerUnavailable, UnreadableFile, UnusableCall
from pipeline.gateways.worklist import LOST, Refusal, Step, StepRefused, Wanted, Worklist
from pipeline.inservice import InService
from pipeline.ledger.care import Care
from pipeline.ledger.held import held_jobs
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import ENDED, JobState
from pipeline.ledger.tables import now
from pipeline.ledger.workitems import Workitem, Workitems
from pipeline.steps import FINAL, StepState, WorklistSettings, parse_code
from pipeline.submit import Submitted, Terms, submit
from pipeline.worklist.inputs import Inputs
from pipeline.worklist.jobs import ALL_ENDED, SUBMITTED, Standing, outputs, standing
from pipeline.worklist.performed import (
    BAD_OBJECTS,
    EQUIPMENT,
    INCOMPLETE,
    NOT_SUPPORTED,
    UNSPECIFIED,
    GivenUp,
    OutputSeries,
    Performance,
    RetrievePlace,
    cancellation,
    completion,
    progress,
)

LOG = logging.getLogger(__name__)

LANES = {"HIGH": "stat", "MEDIUM": "routine", "LOW": "batch"}
"""The lane of a job, by Scheduled Procedure Step Priority (0074,1200)."""

CLAIMED = 5
"""Progress of a step whose inputs are waited for [%]."""

CANCEL = GivenUp(code=UNSPECIFIED, reason="a cancel was asked for")
"""Why a step is given up that somebody asked to be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """What a performer works with."""

    ledger: Ledger
    """The ledger."""

    analyses: Callable[[Sequence[str]], Sequence[Analysis]]
    """Opens analyses by their names."""

    inputs: Inputs
    """Knows where inputs are."""

    output: Path
    """Folder for the results."""

    places: tuple[RetrievePlace, ...]
    """Where results can be retrieved from."""

    ae_title: str
    """Application entity that events are reported to."""

    attempts: int = 3
    """Attempts after which a job is quarantined."""

    service: InService | None = None
    """Says which versions do the jobs; None has them done by the bundles of the analyses."""


class Performer:
    """Performs the steps of one worklist.

    Parameters
    ----------
    name
        Name of the worklist in the settings.
    settings
        What the site says of it.
    worklist
        The worklist.
    site
        What is worked with.
    """

    def __init__(
        self, name: str, settings: WorklistSettings, worklist: Worklist, site: Site
    ) -> None:
        self._name, self._settings = name, settings
        self._worklist, self._site = worklist, site
        self._items = Workitems(site.ledger)

    def round(self) -> int:
        """Look at every step once, and return how many were claimed.

        Raises
        ------
        PeerUnavailable
            If the worklist is away: what was not looked at is in the next round.
        LedgerUnavailable
            If the ledger is.
        """
        for item in self._items.open(self._name):
            self._guarded(item, self._look)
        return self._claim_new()

    def _guarded(self, item: Workitem, act: Callable[[Workitem], None]) -> None:
        """Do something with a step; whatever the worklist refuses concerns it alone."""
        uid = item.sop_instance_uid
        try:
            act(item)
        except StepRefused as problem:
            if problem.why in LOST:
                self._lose(item, problem.why)
            else:
                self._items.told(uid, item.progress, str(problem))
                _log(logging.WARNING, f"the worklist refuses: {problem.why.value}", uid)
        except PeerRefused as problem:
            self._items.told(uid, item.progress, str(problem))
            _log(logging.WARNING, "the worklist refuses", uid)

    def _look(self, item: Workitem) -> None:
        """Look at a step, and take it one step further."""
        if item.state is StepState.SCHEDULED:
            self._settle(item)
            return
        step = self._worklist.retrieve(item.sop_instance_uid)
        if step.state in FINAL:
            self._close(item, step.state)
        elif item.job_ids:
            self._follow(item, step)
        else:
            self._begin(item, step)

    def _claim_new(self) -> int:
        """Claim steps that wait, as many as are allowed at a time."""
        room = self._settings.claims - len(self._items.open(self._name))
        claimed = 0
        for step in self._found() if room > 0 else ():
            if claimed >= room:
                break
            uid = step.sop_instance_uid
            item = self._items.intend(uid, self._name, step.study_instance_uid)
            if item is not None:
                self._guarded(item, self._settle)
                claimed += self._items.find(uid) is not None
        return claimed

    def _found(self) -> tuple[Step, ...]:
        """Return steps that wait and that are performed here, each once."""
        station, station_class = self._settings.station, self._settings.station_class
        found: dict[str, Step] = {}
        for code in dict.fromkeys(code for code, _ in self._settings.performs):
            wanted = Wanted(
                workitem=code,
                station=None if station is None else parse_code(station),
                station_class=None if station_class is None else parse_code(station_class),
            )
            found.update({s.sop_instance_uid: s for s in self._worklist.scheduled(wanted)})
        return tuple(sorted(found.values(), key=lambda s: list(LANES).index(_priority(s))))

    def _settle(self, item: Workitem) -> None:
        """Claim a step; one that was being claimed when a performer died may be its own already."""
        uid, transaction = item.sop_instance_uid, item.transaction_uid
        self._subscribe(uid)
        try:
            self._worklist.claim(uid, transaction)
        except StepRefused as refused:
            if not self._is_ours(item, refused):
                self._items.forget(uid)
                with suppress(PeerUnavailable, PeerRefused):
                    self._worklist.unsubscribe(uid, self._site.ae_title)
                _log(logging.INFO, f"not claimed: {refused.why.value}", uid)
                return
        if self._items.change(uid, (StepState.SCHEDULED, StepState.IN_PROGRESS)):
            _log(logging.INFO, "claimed", uid)

    def _is_ours(self, item: Workitem, refused: StepRefused) -> bool:
        """Tell whether a step that cannot be claimed was claimed with this Transaction UID."""
        if refused.why not in (Refusal.TAKEN, Refusal.CONFLICT, Refusal.NOT_OURS):
            return False
        try:
            self._worklist.update(
                item.sop_instance_uid, item.transaction_uid, progress(0, "claimed")
            )
        except StepRefused:
            return False
        return True

    def _subscribe(self, uid: str) -> None:
        """Have cancel requests reported; a worklist that does not report is looked at."""
        if not self._settings.events:
            return
        try:
            self._worklist.subscribe(uid, self._site.ae_title)
        except PeerRefused:
            _log(logging.INFO, "the worklist reports no events of it", uid)

    def _begin(self, item: Workitem, step: Step) -> None:
        """Get the inputs of a step, and submit its jobs."""
        if _is_to_be_cancelled(item, step):
            self._give_up(item, step, CANCEL)
            return
        if not any(each.sop_instance_uids for each in step.inputs):
            self._give_up(item, step, GivenUp(code=INCOMPLETE, reason="it names no inputs"))
            return
        try:
            files = self._site.inputs.files(step.inputs)
        except PeerUnavailable:
            files = None
        except PeerRefused as problem:
            self._give_up(item, step, GivenUp(code=INCOMPLETE, reason=str(problem)))
            return
        if files is not None:
            self._submit(item, step, files)
        elif (now() - item.claimed_at).total_seconds() > self._settings.inputs_s:
            waited = f"inputs were not there after {self._settings.inputs_s:g} s"
            self._give_up(item, step, GivenUp(code=INCOMPLETE, reason=waited))
        else:
            self._tell(item, CLAIMED, "inputs are waited for")

    def _submit(self, item: Workitem, step: Step, files: tuple[Path, ...]) -> None:
        """Submit the jobs of a step."""
        terms = Terms(
            output=self._site.output,
            lane=LANES[_priority(step)],
            priority=0,
            attempts=self._site.attempts,
            why=f"step {item.sop_instance_uid} of the worklist {self._name}",
            service=self._site.service,
        )
        analyses = self._site.analyses(self._settings.analyses_of(step.workitem))
        try:
            found = submit(files, analyses, terms, self._site.ledger)
        except UnusableCall:
            gone = GivenUp(code=INCOMPLETE, reason="inputs have gone before they were read")
            self._give_up(item, step, gone)
            return
        if not found.jobs:
            self._give_up(item, step, _why_none(found))
            return
        care = Care(self._site.ledger)
        # A step does not release what a person must: it is given up, and says why.
        held = {job.job_id for job in held_jobs(self._site.ledger)}
        for job in found.jobs:
            if job.job_id not in held and job.state in ENDED and job.state is not JobState.DONE:
                care.retry(job.job_id, self._site.attempts)
        self._items.assign(item.sop_instance_uid, [job.job_id for job in found.jobs])
        self._tell(item, SUBMITTED, f"{len(found.jobs)} jobs submitted")

    def _follow(self, item: Workitem, step: Step) -> None:
        """Follow the jobs of a step."""
        stand = standing(self._site.ledger, item.job_ids)
        if _is_to_be_cancelled(item, step) and not stand.is_done:
            care = Care(self._site.ledger)
            for job_id in stand.running:
                care.cancel(job_id)
            stand = standing(self._site.ledger, item.job_ids)
            if stand.has_ended and not stand.is_done:
                self._give_up(item, step, CANCEL)
        elif not stand.has_ended:
            self._tell(item, stand.progress, stand.told)
        elif (failure := stand.failure) is not None:
            self._give_up(item, step, failure)
        else:
            self._deliver(item, step, stand)

    def _deliver(self, item: Workitem, step: Step, stand: Standing) -> None:
        """Complete a step whose jobs are done, once its results are where they should be."""
        has = self._items.delivered(item.job_ids, self._settings.delivered)
        missing = [name for name, count in has.items() if count < len(item.job_ids)]
        if missing:
            self._tell(item, ALL_ENDED, f"delivery is waited for: {', '.join(missing)}")
            return
        try:
            made = outputs(stand)
        except UnreadableFile as problem:
            self._give_up(item, step, GivenUp(code=EQUIPMENT, reason=str(problem)))
            return
        changes = completion(self._performance(item, step, made))
        self._worklist.update(item.sop_instance_uid, item.transaction_uid, changes)
        self._finish(item, StepState.COMPLETED, None)

    def _give_up(self, item: Workitem, step: Step, why: GivenUp) -> None:
        """Have a step become CANCELED, and say why."""
        made: tuple[OutputSeries, ...] = ()
        with suppress(UnreadableFile):
            made = outputs(standing(self._site.ledger, item.job_ids))
        changes = cancellation(self._performance(item, step, made), why, item.progress)
        self._worklist.update(item.sop_instance_uid, item.transaction_uid, changes)
        self._finish(item, StepState.CANCELED, why.reason)

    def _finish(self, item: Workitem, state: StepState, reason: str | None) -> None:
        """Have a step become final, there and here."""
        self._worklist.finish(item.sop_instance_uid, item.transaction_uid, state)
        self._close(item, state, reason)

    def _close(self, item: Workitem, state: StepState, reason: str | None = None) -> None:
        """Record the end of a step; jobs of one that was cancelled are of no use any more."""
        if state is StepState.CANCELED:
            self._stop_jobs(item)
        uid = item.sop_instance_uid
        if self._items.change(uid, (StepState.IN_PROGRESS, state), reason):
            _log(logging.INFO, state.value.lower(), uid)

    def _lose(self, item: Workitem, why: Refusal) -> None:
        """Record that a step is not this installation's any more."""
        self._stop_jobs(item)
        if not self._items.forget(item.sop_instance_uid):
            states = (StepState.IN_PROGRESS, StepState.CANCELED)
            self._items.change(item.sop_instance_uid, states, why.value)
        _log(logging.WARNING, f"lost: {why.value}", item.sop_instance_uid)

    def _stop_jobs(self, item: Workitem) -> None:
        """Cancel the jobs of a step that have not ended."""
        for job_id in standing(self._site.ledger, item.job_ids).running:
            Care(self._site.ledger).cancel(job_id)

    def _tell(self, item: Workitem, percent: int, description: str) -> None:
        """Tell the worklist how far a step is, where that is news."""
        if (item.progress, item.reason) == (percent, description):
            return
        uid = item.sop_instance_uid
        self._worklist.update(uid, item.transaction_uid, progress(percent, description))
        self._items.told(uid, percent, description)

    def _performance(
        self, item: Workitem, step: Step, made: tuple[OutputSeries, ...]
    ) -> Performance:
        """Return how a step was performed."""
        performs = self._settings.performs
        return Performance(
            performer=parse_code(self._settings.performer),
            workitem=step.workitem or performs[0][0],
            began=item.claimed_at,
            ended=now(),
            outputs=made,
            places=self._site.places,
        )


def _priority(step: Step) -> str:
    """Return the priority of a step; one that says none is of MEDIUM."""
    return step.priority if step.priority in LANES else "MEDIUM"


def _is_to_be_cancelled(item: Workitem, step: Step) -> bool:
    """Tell whether somebody asks for a step to be given up."""
    return item.cancel_requested or step.has_cancellation


def _why_none(found: Submitted) -> GivenUp:
    """Return why the inputs of a step make no job."""
    if found.refusals:
        reasons = "; ".join(dict.fromkeys(refusal.reason for refusal in found.refusals))
        return GivenUp(code=BAD_OBJECTS, reason=reasons)
    return GivenUp(code=NOT_SUPPORTED, reason="no analysis of the step is made for its inputs")


def _log(level: int, what: str, uid: str) -> None:
    """Log what happens to a step."""
    LOG.log(level, "step %s: %s", uid, what, extra={"action": "step", "sop_instance_uid": uid})
