"""The worklist: which results are to be read, the least certain first.

What the rows show is kept in memory and made anew when the ledger has changed. Headers that the
index does not have yet are read a few at a time, so that nobody waits for ten thousand of them:
rows whose turn has not come have no patient yet, and the revision tells when they do.
"""

import threading
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviewlist import (
    Marks,
    delivery_states,
    listed,
    marks,
    result_jobs,
)
from pipeline.ledger.reviews import UNREAD, Standing, standings
from pipeline.ledger.tables import now
from pipeline.review.index import Entry, Index
from pipeline.review.rows import Bundle, DestinationState, Row, Uncertainty

LOOKS_S = 0.5
"""The ledger is asked for news so often at most [s]."""

READS_S = 1.0
"""Time for which headers are read at a time [s]."""

READS = 100
"""Headers that are kept at a time."""

LANES = ("stat", "routine", "batch")
"""Lanes, the most urgent first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which rows are asked for; what is None does not matter."""

    analysis: str | None = None
    """Name of the analysis."""

    review: str | None = None
    """Where the review stands."""

    destination: str | None = None
    """A destination."""

    version: str | None = None
    """Version of the bundle."""

    scanner: str | None = None
    """The scanner."""

    since: datetime | None = None
    """Done then or later."""

    until: datetime | None = None
    """Done before."""

    text: str | None = None
    """Words of patient, study, series, or of the job."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The worklist at one moment."""

    revision: int
    """Grows with every change."""

    rows: Mapping[UUID, Row]
    """The rows, by job."""

    orders: Mapping[str, tuple[Row, ...]]
    """The rows by ``uncertainty``, ``priority`` and ``date``."""

    is_whole: bool
    """Whether all headers were read."""

    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """How many rows have which value."""


class Worklist:
    """The worklist of a ledger. It may be used from several threads.

    Parameters
    ----------
    ledger
        The ledger.
    index
        Keeps what objects say of patients and studies.
    clock
        The time since some moment [s].
    """

    def __init__(
        self, ledger: Ledger, index: Index, clock: Callable[[], float] = monotonic
    ) -> None:
        self._ledger, self._index, self._clock = ledger, index, clock
        self._lock = threading.Lock()
        self._entries: dict[UUID, Entry] | None = None
        self._marks: Marks = ()
        self._looked_at = -float("inf")
        # Later than any that an earlier process has told.
        revision = int(now().timestamp())
        self._snapshot = Snapshot(revision=revision, rows={}, orders={}, is_whole=False)

    def close(self) -> None:
        """Close the index."""
        with self._lock:
            self._index.close()

    def snapshot(self) -> Snapshot:
        """Return the worklist as it is now, or was at the last look at the ledger.

        Raises
        ------
        LedgerUnavailable
            If the ledger cannot be read.
        """
        with self._lock:
            if self._clock() - self._looked_at >= LOOKS_S or not self._snapshot.orders:
                self._look()
                self._looked_at = self._clock()
            return self._snapshot

    def find(self, wanted: Wanted, order: str) -> tuple[Snapshot, list[Row]]:
        """Return the rows that are asked for, in an order of ``Snapshot.orders``."""
        snapshot = self.snapshot()
        rows: Iterable[Row] = snapshot.orders[order]
        if wanted.text is not None and wanted.text.strip():
            named = {str(job_id) for job_id in self._index.found(wanted.text)}
            rows = (row for row in rows if row.job_id in named)
        return snapshot, [row for row in rows if _fits(row, wanted)]

    def row(self, job_id: UUID) -> Row | None:
        """Return the row of a job, also of one that is not listed; None if it has no result."""
        found = self.snapshot().rows.get(job_id)
        if found is not None:
            return found
        for job in result_jobs(self._ledger, [job_id]):
            with self._ledger.reading() as session:
                standing = standings(session, [job_id]).get(job_id, UNREAD)
                going = delivery_states(session).get(job_id, ())
            return _row(Entry.of(job), standing, going, {})
        return None

    def _look(self) -> None:
        """Make the snapshot anew if something has changed."""
        found = marks(self._ledger)
        if found == self._marks and self._snapshot.is_whole:
            return
        with self._ledger.reading() as session:
            wanted = listed(session)
            standing, going = standings(session), delivery_states(session)
        if self._entries is None:
            self._entries = self._index.entries()
        gone = self._entries.keys() - wanted.keys()
        if gone:
            self._index.remove(gone)
            self._entries = {job: e for job, e in self._entries.items() if job not in gone}
        self._read(self._missing(wanted))
        entries = {job: entry for job in wanted if (entry := self._entries.get(job)) is not None}
        self._snapshot = _snapshot(
            self._snapshot.revision + 1,
            entries,
            {job: (standing.get(job, UNREAD), going.get(job, ())) for job in entries},
            is_whole=len(entries) == len(wanted) and not self._missing(wanted),
        )
        self._marks = found

    def _missing(self, wanted: Mapping[UUID, datetime]) -> list[UUID]:
        """Return the jobs that the index does not have as they are now."""
        entries = self._entries or {}
        return [
            job
            for job, changed_at in wanted.items()
            if (entry := entries.get(job)) is None or entry.changed_at != changed_at
        ]

    def _read(self, missing: list[UUID]) -> None:
        """Read the headers of some jobs, as many as the time allows."""
        assert self._entries is not None  # noqa: S101 - read before
        until = self._clock() + READS_S
        for start in range(0, len(missing), READS):
            jobs = result_jobs(self._ledger, missing[start : start + READS])
            read = [Entry.of(job) for job in jobs]
            self._index.put(read)
            self._entries |= {entry.job_id: entry for entry in read}
            if self._clock() > until:
                return


Told = Mapping[UUID, tuple[Standing, tuple[tuple[str, str], ...]]]
"""Of each job, where its review and its deliveries stand."""


def _snapshot(
    revision: int, entries: Mapping[UUID, Entry], told: Told, *, is_whole: bool
) -> Snapshot:
    """Return the worklist of some entries."""
    values = defaultdict(list)
    for entry in entries.values():
        if entry.measure is not None:
            values[entry.analysis].append(entry.measure.value)
    ranks = {analysis: sorted(each) for analysis, each in values.items()}
    rows = {job: _row(entry, *told[job], ranks) for job, entry in entries.items()}
    by_date = sorted(rows.values(), key=lambda row: row.done_at, reverse=True)
    by_rank = sorted(by_date, key=_certainty)
    by_priority = sorted(by_rank, key=_urgency)
    # What is equally uncertain goes by its urgency.
    by_rank = sorted(by_priority, key=_certainty)
    return Snapshot(
        revision=revision,
        rows=rows,
        orders={
            "uncertainty": tuple(by_rank),
            "priority": tuple(by_priority),
            "date": tuple(by_date),
        },
        is_whole=is_whole,
        facets=_facets(by_date),
    )


def _certainty(row: Row) -> float:
    """Return the key that has the least certain first, and those that say nothing last."""
    return 1.0 if row.uncertainty is None else -row.uncertainty.rank


def _urgency(row: Row) -> tuple[int, int]:
    """Return the key that has the most urgent first."""
    lane = LANES.index(row.lane) if row.lane in LANES else len(LANES)
    return lane, -row.priority


def _row(
    entry: Entry,
    standing: Standing,
    going: tuple[tuple[str, str], ...],
    ranks: Mapping[str, list[float]],
) -> Row:
    """Return the row of a job."""
    name, version, digest = entry.bundle
    uncertainty, measure = None, entry.measure
    if measure is not None:
        ranked = ranks.get(entry.analysis) or [measure.value]
        uncertainty = Uncertainty(
            name=measure.name,
            value=measure.value,
            rank=bisect_right(ranked, measure.value) / len(ranked),
            flagged=measure.flagged,
        )
    return Row(
        job_id=str(entry.job_id),
        analysis=entry.analysis,
        study_instance_uid=entry.study_instance_uid,
        patient=entry.patient,
        study=entry.study,
        series_description=entry.series_description,
        scanner=entry.scanner,
        bundle=Bundle(name=name, version=version, digest=digest),
        lane=entry.lane,
        priority=entry.priority,
        done_at=entry.changed_at.isoformat(),
        uncertainty=uncertainty,
        review=str(standing.state),
        readings=standing.readings,
        destinations=tuple(DestinationState(name=to, state=state) for to, state in going),
    )


def _facets(rows: Iterable[Row]) -> dict[str, Counter[str]]:
    """Return how many rows have which value."""
    facets: dict[str, Counter[str]] = {
        name: Counter() for name in ("analyses", "versions", "scanners", "destinations", "reviews")
    }
    for row in rows:
        facets["analyses"][row.analysis] += 1
        facets["versions"][row.bundle.version] += 1
        facets["reviews"][row.review] += 1
        if row.scanner is not None:
            facets["scanners"][row.scanner] += 1
        for destination in row.destinations:
            facets["destinations"][destination.name] += 1
    return facets


def _fits(row: Row, wanted: Wanted) -> bool:
    """Tell whether a row is asked for."""
    for value, asked in (
        (row.analysis, wanted.analysis),
        (row.review, wanted.review),
        (row.bundle.version, wanted.version),
        (row.scanner, wanted.scanner),
    ):
        if asked is not None and value != asked:
            return False
    if wanted.destination is not None and all(
        d.name != wanted.destination for d in row.destinations
    ):
        return False
    return _is_of_then(row, wanted)


def _is_of_then(row: Row, wanted: Wanted) -> bool:
    """Tell whether a row is of the time that is asked for."""
    if wanted.since is None and wanted.until is None:
        return True
    at = datetime.fromisoformat(row.done_at)
    since, until = (None if t is None else _with_zone(t) for t in (wanted.since, wanted.until))
    return (since is None or at >= since) and (until is None or at < until)


def _with_zone(at: datetime) -> datetime:
    """Return a time with its zone: UTC unless it says otherwise."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
