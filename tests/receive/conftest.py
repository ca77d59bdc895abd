"""What tests of the inbox and the receiver share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.connections import ReceiveSettings
from pipeline.ledger.ledger import Ledger
from pipeline.receive.inbox import Inbox

# Fixtures: a ledger on each kind of database.
from tests.ledger.conftest import ledger, place, postgres_place, postgres_server

__all__ = ["ledger", "place", "postgres_place", "postgres_server"]


@pytest.fixture
def inbox(ledger: Ledger, tmp_path: Path) -> Iterator[Inbox]:
    """Return an inbox that is empty."""
    return Inbox.open(tmp_path / "inbox", ledger, ReceiveSettings(free_mib=0))
