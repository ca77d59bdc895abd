"""The dispatcher calls at once for what is submitted, and rests meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue as Calls
from typing import Any, cast
from uuid import UUID

import pytest
from celery import Celery

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import Queue
from pipeline.servicesettings import ServiceSettings
from tests.ledger.test_queue import submitted
from workers import dispatcher as module
from workers.dispatcher import Dispatcher


@dataclass
class Bell:
    """Stands for the broker's application: keeps what it is called for."""

    calls: "Calls[UUID]" = field(default_factory=Calls)

    @property
    def producer_pool(self) -> "Bell":
        return self

    @contextmanager
    def acquire(self, *, block: bool) -> Iterator[None]:
        assert block
        yield

    def send_task(self, _name: str, *, args: list[str], **_: Any) -> None:
        self.calls.put(UUID(args[0]))


@contextmanager
def dispatching(ledger: Ledger, bell: Bell) -> Iterator[None]:
    """Run a dispatcher in a thread."""
    ending = threading.Event()
    own = Dispatcher(cast("Celery", bell), ledger, ServiceSettings())
    thread = threading.Thread(target=own.run, args=[ending])
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(60)
    assert not thread.is_alive()


def test_a_job_is_called_for_before_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 600.0)
    place, bell = str(tmp_path / "ledger.db"), Bell()
    with Ledger.open(place) as ledger, dispatching(ledger, bell), Ledger.open(place) as other:
        for name in ("one", "two"):
            job = submitted(Queue(other), name)
            assert bell.calls.get(timeout=30) == job


def test_what_nobody_tells_of_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch that tells of nothing, as behind a pool of connections that does not pass it on."""

    class Deaf:
        def wait(self, longest_s: float, ending: threading.Event) -> bool:
            ending.wait(longest_s)
            return False

        def close(self) -> None: ...

    monkeypatch.setattr(Ledger, "watch", lambda _: Deaf())
    bell = Bell()
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger, dispatching(ledger, bell):
        job = submitted(Queue(ledger), "one")
        assert bell.calls.get(timeout=30) == job
