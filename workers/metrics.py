"""The figures of the ledger as Prometheus metrics: lanes, events, classes and stages as labels.

They are read from the ledger when they are asked for, so that they are the same whoever asks, and
stay right when a process is started anew.
"""

from collections.abc import Iterator, Sequence
from threading import Lock
from time import monotonic

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric
from prometheus_client.core import SummaryMetricFamily as Summary
from prometheus_client.registry import Collector

from pipeline.errors import LedgerUnavailable
from pipeline.ledger.arrivals import Arrivals
from pipeline.ledger.breaker import Destinations, DestinationStatus
from pipeline.ledger.deliverycare import OPEN, Queued, queued
from pipeline.ledger.deliverytables import DeliveryState
from pipeline.ledger.events import Event
from pipeline.ledger.figures import PLAIN, Figures, figures
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.references import Window, last_windows
from pipeline.servicesettings import LANES

COUNTED = (
    ("vesalius_jobs_submitted", "Jobs that were submitted, again or not.", Event.SUBMITTED),
    ("vesalius_attempts", "Attempts that workers have begun.", Event.CLAIMED),
    ("vesalius_jobs_done", "Attempts that ended with a result.", Event.DONE),
    ("vesalius_jobs_quarantined", "Jobs that were set aside.", Event.QUARANTINED),
    ("vesalius_jobs_cancelled", "Jobs that a person has ended.", Event.CANCELLED),
    (
        "vesalius_leases_expired",
        "Attempts whose lease ran out or whose process was gone.",
        Event.ABANDONED,
    ),
    ("vesalius_jobs_handed_back", "Attempts that a worker gave back.", Event.HANDED_BACK),
)
"""Counters, and the events that they count."""


REST = 10.0
"""Figures are told again for so many times as long as it took to read them."""


class QueueCollector(Collector):
    """Collects the metrics of a ledger.

    Reading counts what has happened to all jobs, so a large ledger is not read at every scrape.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = Lock()
        self._figures: Figures | None = None
        self._good_until = 0.0

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; only that the ledger is away, where it is."""
        found = self._found()
        yield Gauge("vesalius_ledger_up", "Whether the ledger answers.", value=float(bool(found)))
        if found is not None:
            yield from _standing(found)
            yield from _counted(found)
            yield _failures(found)
            yield _stages(found)
            yield from self._delivered()
            yield from self._received()
            yield from self._drifted()

    def _received(self) -> Iterator[Metric]:
        """Yield the metrics of reception; none if the ledger went away meanwhile."""
        try:
            found = Arrivals(self._ledger).received()
        except LedgerUnavailable:
            return
        yield Counter(
            "vesalius_instances_received", "Instances that were received.", value=found.instances
        )
        yield Gauge("vesalius_studies_arriving", "Studies that arrive.", value=found.arriving)
        yield Gauge(
            "vesalius_oldest_arriving_seconds",
            "Time since the first instance of the oldest study that arrives.",
            value=found.oldest_s,
        )
        yield Gauge("vesalius_studies_taken", "Studies that are whole.", value=found.taken)
        yield Gauge(
            "vesalius_instances_set_aside",
            "Data sets that came under the UID of another one.",
            value=found.suspects,
        )

    def _delivered(self) -> Iterator[Metric]:
        """Yield the metrics of deliveries; none if the ledger went away meanwhile."""
        try:
            standing, doors = queued(self._ledger), Destinations(self._ledger).all()
        except LedgerUnavailable:
            return
        yield from _deliveries(standing)
        yield from _doors(doors)

    def _drifted(self) -> Iterator[Metric]:
        """Yield what the last windows say of drift; none if the ledger went away meanwhile."""
        try:
            standing = last_windows(self._ledger)
        except LedgerUnavailable:
            return
        yield _drift(standing)

    def _found(self) -> Figures | None:
        """Return the figures; None if the ledger is away."""
        with self._lock:
            began = monotonic()
            if self._figures is None or began >= self._good_until:
                try:
                    self._figures = figures(self._ledger)
                except LedgerUnavailable:
                    self._figures = None
                self._good_until = monotonic() + REST * (monotonic() - began)
            return self._figures


def _standing(found: Figures) -> Iterator[Metric]:
    """Yield how the lanes stand now; a lane without a job is told as 0."""
    waiting = Gauge("vesalius_jobs_waiting", "Jobs that wait.", labels=["lane"])
    oldest = Gauge(
        "vesalius_oldest_waiting_seconds", "Time that the first of them waits.", labels=["lane"]
    )
    running = Gauge("vesalius_jobs_running", "Jobs that are claimed.", labels=["lane"])
    by_lane = {status.lane: status for status in found.lanes}
    for lane in LANES:
        status = by_lane.get(lane)
        waiting.add_metric([lane], status.waiting if status else 0)
        oldest.add_metric([lane], status.oldest_s if status else 0.0)
        running.add_metric([lane], status.running if status else 0)
    yield from (waiting, oldest, running)


def _deliveries(standing: Sequence[Queued]) -> Iterator[Metric]:
    """Yield how the deliveries to each destination stand."""
    count = Gauge(
        "vesalius_deliveries", "Deliveries in each state.", labels=["destination", "state"]
    )
    oldest = Gauge(
        "vesalius_oldest_delivery_seconds",
        "Time since the first delivery was recorded that is still on its way.",
        labels=["destination"],
    )
    blocked = Gauge(
        "vesalius_deliveries_blocked",
        "Deliveries with an object that must not leave: a person is needed.",
        labels=["destination"],
    )
    for name in dict.fromkeys(each.destination for each in standing):
        here = [each for each in standing if each.destination == name]
        by_state = {each.state: each.count for each in here}
        for state in DeliveryState:
            count.add_metric([name, state.value], by_state.get(state, 0))
        ages = [each.oldest_s for each in here if each.state in OPEN]
        oldest.add_metric([name], max(ages, default=0.0))
        blocked.add_metric([name], by_state.get(DeliveryState.BLOCKED, 0))
    yield from (count, oldest, blocked)


def _doors(doors: Sequence[DestinationStatus]) -> Iterator[Metric]:
    """Yield which destinations do not answer, and which are held."""
    broken = Gauge(
        "vesalius_destination_broken",
        "Whether too much has failed there, so that nothing is sent for a time.",
        labels=["destination"],
    )
    held = Gauge("vesalius_destination_held", "Whether all is kept back.", labels=["destination"])
    for door in doors:
        broken.add_metric([door.name], float(door.closed_s is not None))
        held.add_metric([door.name], float(door.held is not None))
    yield from (broken, held)


def _drift(standing: Sequence[Window]) -> Metric:
    """Return which statistics alarm in the last windows that were compared with a reference."""
    gauge = Gauge(
        "vesalius_drift_alarms",
        "References whose last window says that the statistic has changed.",
        labels=["analysis", "statistic"],
    )
    counts: dict[tuple[str, str], int] = {}
    for window in standing:
        alarms = set(window.alarms)
        for statistic in {str(found["statistic"]) for found in window.findings}:
            if PLAIN.fullmatch(statistic) and PLAIN.fullmatch(window.analysis):
                key = (window.analysis, statistic)
                counts[key] = counts.get(key, 0) + (statistic in alarms)
    for (analysis, statistic), count in sorted(counts.items()):
        gauge.add_metric([analysis, statistic], count)
    return gauge


def _counted(found: Figures) -> Iterator[Metric]:
    """Yield how often things have happened."""
    for name, meaning, event in COUNTED:
        counter = Counter(name, meaning, labels=["lane"])
        for lane in LANES:
            counter.add_metric([lane], found.events.get((lane, event), 0))
        yield counter


def _failures(found: Figures) -> Metric:
    """Return the attempts without a result, by class."""
    counter = Counter(
        "vesalius_failures", "Attempts without a result, by class.", labels=["lane", "reason"]
    )
    for (lane, reason), count in sorted(found.failures.items()):
        counter.add_metric([lane, reason], count)
    return counter


def _stages(found: Figures) -> Metric:
    """Return how long the stages took."""
    summary = Summary(
        "vesalius_stage_seconds",
        "Time of a stage, over the jobs that are done.",
        labels=["lane", "analysis", "stage"],
    )
    for stage in found.stages:
        labels = [stage.lane, stage.analysis, stage.stage]
        summary.add_metric(labels, count_value=stage.count, sum_value=stage.total_s)
    return summary
