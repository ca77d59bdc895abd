"""The service's figures for Prometheus, read off the ledger when they are asked for.

Labels are lanes, analyses, stages and classes of failures: nothing in them can be of a patient.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from pipeline.config import DELIVERY, LANES
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.listing import LaneStatus, status
from pipeline.ledger.totals import Totals, totals

FIGURES: tuple[tuple[str, str, Callable[[LaneStatus], float]], ...] = (
    ("waiting", "Jobs that wait", lambda lane: lane.waiting),
    ("oldest_seconds", "Time since the first waiting job waits", lambda lane: lane.oldest_s),
    ("running", "Jobs that are claimed", lambda lane: lane.running),
)
"""Name, meaning and value of each figure of a lane."""


class LedgerCollector(Collector):
    """Collects from a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Yield all figures as they stand."""
        yield from self._queue()
        found = totals(self._ledger)
        yield from _happened(found)
        stages = SummaryMetricFamily(
            "vesalius_stage_seconds",
            "Time of each stage of the latest finished jobs",
            labels=("analysis", "stage"),
        )
        for (analysis, stage), (count, seconds) in found.stage_seconds.items():
            stages.add_metric((analysis, stage), count_value=count, sum_value=seconds)
        yield stages

    def _queue(self) -> Iterator[Metric]:
        """Yield how each lane stands."""
        lanes = {lane.lane: lane for lane in status(self._ledger).lanes}
        for name, told, value in FIGURES:
            family = GaugeMetricFamily(f"vesalius_jobs_{name}", told, labels=("lane",))
            for lane in (*LANES, DELIVERY):
                family.add_metric((lane,), value(lanes[lane]) if lane in lanes else 0.0)
            yield family


def _happened(found: Totals) -> Iterator[Metric]:
    """Yield counts of what happened."""
    events = CounterMetricFamily(
        "vesalius_job_events",
        "What happened to jobs: claimed, done, failed, abandoned, quarantined and so on",
        labels=("lane", "event"),
    )
    for (lane, event), count in found.events.items():
        events.add_metric((lane, event), count)
    yield events
    failures = GaugeMetricFamily(
        "vesalius_jobs_failing",
        "Jobs whose last attempt failed, by the class of the failure",
        labels=("lane", "error"),
    )
    for (lane, error), count in found.failures.items():
        failures.add_metric((lane, error), count)
    yield failures
