"""Run a worker until it is told to end."""

import gc
import logging
import os
import signal
import threading
from typing import Any

from celery.signals import (
    setup_logging,
    worker_process_init,
    worker_shutdown,
    worker_shutting_down,
)

# Loaded before a worker's processes are made, so that they share what it takes.
import pipeline.analyses.bundled.analysis
import pipeline.analyses.perfusion.analysis
import pipeline.analyses.phases.analysis
import pipeline.analyses.reconstruction.analysis
import pipeline.drift.describe
import pipeline.encode.evidence
import pipeline.encode.perfusion
import pipeline.encode.phases
import pipeline.encode.reconstruction
import pipeline.encode.volumeresult  # noqa: F401
from pipeline.config import Configuration
from pipeline.errors import LedgerUnavailable, UnusableCall
from pipeline.infer.session import check_providers
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import Queue
from pipeline.owner import is_child
from pipeline.servicesettings import FORCE_S
from workers.app import is_rabbitmq, make_app, queue_name
from workers.bound import end_with
from workers.tasks import add_run

LOG = logging.getLogger(__name__)


def run_worker(configuration: Configuration, place: str) -> int:
    """Run a worker until it is told to end, and return its exit status.

    On SIGTERM it takes no more jobs and finishes those that run; what takes longer than its time to
    stop is handed back, and does not count as an attempt.

    Raises
    ------
    UnusableCall
        If it would use more cores than there are, lacks a provider that was asked for, or serves
        several lanes of RabbitMQ.
    """
    _check(configuration)
    Ledger.open(place).close()
    app = make_app(configuration)
    add_run(app, configuration, place)
    settings = configuration.worker
    setup_logging.connect(_keep_logging)
    # A job is not done on by a process that nobody can end any more.
    parent = os.getpid()
    worker_process_init.connect(lambda **_: end_with(parent), weak=False)
    worker_shutting_down.connect(lambda **_: _end_in(settings.stop_s, place), weak=False)
    worker_shutdown.connect(lambda **_: _hand_back(place), weak=False)
    worker = app.Worker(
        hostname=f"vesalius-{os.getpid()}@%h",
        pool="prefork",
        concurrency=settings.processes,
        queues=[queue_name(lane) for lane in settings.lanes],
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=False,
        quiet=True,
    )
    # What is loaded stays: to look through it for garbage would copy it for each process.
    gc.freeze()
    worker.start()
    return int(worker.exitcode or 0)


def _check(configuration: Configuration) -> None:
    """Refuse what a worker cannot do."""
    settings, cores = configuration.worker, os.cpu_count() or 1
    used = settings.processes * settings.threads_each
    if used > cores:
        raise UnusableCall(
            f"{settings.processes} processes of {settings.threads_each} threads need {used} "
            f"cores, here are {cores}"
        )
    check_providers(settings.providers)
    if is_rabbitmq(configuration.service.broker) and len(settings.lanes) > 1:
        raise UnusableCall(
            "a worker of RabbitMQ serves one lane, since its queues reserve a message each: start "
            f"one for each of {', '.join(settings.lanes)}"
        )


def _keep_logging(**_: Any) -> None:  # noqa: ANN401 - Celery's own signature
    """Leave logging as the command has set it: Celery sets it up only if nobody listens."""


def _end_in(stop_s: float, place: str) -> None:
    """Hand back what the processes of this worker have not finished after its time to stop.

    Their leases are lost then, which ends their model runs, and the worker ends by itself. What
    nothing can end is ended by force.
    """
    by_force = threading.Timer(stop_s + FORCE_S, os.kill, [os.getpid(), signal.SIGQUIT])
    for timer in (threading.Timer(stop_s, _hand_back, [place]), by_force):
        timer.daemon = True
        timer.start()


def _hand_back(place: str) -> None:
    """Hand back what the processes of this worker have claimed."""
    try:
        with Ledger.open(place) as ledger:
            Queue(ledger).hand_back_all(is_child)
    except LedgerUnavailable:
        LOG.warning(
            "the ledger is away: what ran is handed out by the dispatcher",
            extra={"action": "not_handed_back"},
        )
