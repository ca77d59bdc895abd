"""What tests of the record share: an installation in a folder, on each kind of database."""

from pathlib import Path

import pytest

from pipeline.ledger.ledger import Ledger
from pipeline.record.forget import Holdings

# Fixtures: a ledger on each kind of database.
from tests.ledger.conftest import ledger, place, postgres_place, postgres_server
from tests.support.kept import holdings_of

__all__ = ["ledger", "place", "postgres_place", "postgres_server"]


@pytest.fixture
def holdings(ledger: Ledger, place: str, tmp_path: Path) -> Holdings:
    """Return what an empty installation keeps."""
    return holdings_of(tmp_path, ledger, place)
