"""What a site sets of the service: its queue, its workers, and who watches it."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.connections import LAST_PORT
from pipeline.errors import UnusableCall

LANES = ("stat", "routine", "batch")
"""Lanes, the most urgent first."""

LONGEST_BEAT_S = 5.0
"""Longest time between two renewals of a job's lease: a cancelled job runs on for so long [s]."""

FORCE_S = 4 * LONGEST_BEAT_S
"""Time between handing back what a worker has not finished and ending its processes [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSettings:
    """What the processes of a service share."""

    broker: str = "redis://127.0.0.1:6379/0"
    """URL of the broker: ``redis://`` for Redis and Valkey, ``amqp://`` for RabbitMQ."""

    output: Path | None = None
    """Folder for the results of jobs that are submitted without one."""

    attempts: int = 3
    """Attempts of a job after which it is quarantined."""

    lease_s: float = 60.0
    """A worker that is not heard of for so long has lost its job [s]."""

    longest_s: float = 3600.0
    """A job that takes longer is ended, and has failed [s]."""

    retry_s: float = 10.0
    """Time before the second attempt after a failure that may pass; it doubles each time [s]."""

    call_again_s: float = 30.0
    """A job that was called and not claimed is called again after this time, then after twice that,
    four times, up to sixteen times as long [s]."""

    window: int = 256
    """Jobs of a lane that are called and not claimed at a time; the rest waits in the ledger."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        for name in ("attempts", "lease_s", "longest_s", "retry_s", "call_again_s", "window"):
            if getattr(self, name) <= 0:
                raise UnusableCall(f"{name} is {getattr(self, name)}, needed is more than 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """What a worker uses of its machine."""

    lanes: tuple[str, ...] = LANES
    """Lanes that it serves, the most urgent first."""

    processes: int = 1
    """Jobs that it does at a time, each in a process of its own."""

    threads: int = 0
    """Cores that each job uses; 0 shares all cores among the processes."""

    memory_mib: int = 1024
    """Networks that a process keeps open, by the size of their files [MiB]."""

    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    """ONNX Runtime's execution providers, the preferred first; one that is missing is an error."""

    stop_s: float = 60.0
    """Time to finish what runs when the worker is stopped; what takes longer is handed back [s]."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        if not self.lanes or not set(self.lanes) <= set(LANES):
            raise UnusableCall(
                f"lanes is {list(self.lanes)}, possible is one or more of {', '.join(LANES)}"
            )
        for name, least in (("processes", 1), ("threads", 0), ("memory_mib", 1), ("stop_s", 0)):
            if getattr(self, name) < least:
                raise UnusableCall(f"{name} is {getattr(self, name)}, needed is {least} or more")

    @property
    def threads_each(self) -> int:
        """Cores that each process uses."""
        return self.threads or max((os.cpu_count() or 1) // self.processes, 1)


LOG_FORMS = ("json", "text")
"""Forms of the log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitoringSettings:
    """What whoever watches the service is told, and where."""

    host: str = "127.0.0.1"
    """Address that the endpoint listens on; every address but this one is open to others."""

    port: int = 9464
    """Its port; 0 takes a free one."""

    log: str = "json"
    """Form of the log: ``json``, an object a line, or ``text``."""

    traces: str | None = None
    """URL that traces are sent to, by OTLP over HTTP; None makes none."""

    page_url: str | None = None
    """URL that a JSON document is posted to when a person is needed; None posts none."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        if not 0 <= self.port <= LAST_PORT:
            raise UnusableCall(f"port is {self.port}, possible is 0 to {LAST_PORT}")
        if self.page_url is not None and not self.page_url.startswith(("http://", "https://")):
            raise UnusableCall("page_url is no http:// or https://")
        if self.log not in LOG_FORMS:
            raise UnusableCall(f"log is {self.log!r}, possible is {' or '.join(LOG_FORMS)}")
