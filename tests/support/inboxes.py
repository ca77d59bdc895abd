"""What an inbox and its ledger hold, and instances put into it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import select

from pipeline.errors import UnreadableFile
from pipeline.ledger.exchange import Arrival, InstanceRow, Suspect
from pipeline.ledger.ledger import Ledger
from pipeline.receive.inbox import Inbox, Incoming, Kept, Offer
from tests.support.archives import data_set
from tests.support.encoded import EXPLICIT, MR


def offer(number: int = 1, **changes: Any) -> Offer:
    """Return what a sender says of an instance of ``tests.support.encoded``."""
    return Offer(
        **{
            "sop_class_uid": MR,
            "sop_instance_uid": f"2.25.1{number:06d}",
            "transfer_syntax_uid": EXPLICIT,
            "sender": "c-store TEST",
            **changes,
        }
    )


def begun(inbox: Inbox, data: bytes, number: int = 1, part: int = 1000, **told: Any) -> Incoming:
    """Write a data set into an inbox, and return it as it comes."""
    incoming = inbox.receive(offer(number, **told))
    try:
        for start in range(0, len(data), part):
            incoming.write(data[start : start + part])
    except UnreadableFile:
        incoming.discard()
        raise
    return incoming


def received(inbox: Inbox, data: bytes, number: int = 1, **told: Any) -> Kept:
    """Put a data set into an inbox."""
    return begun(inbox, data, number, **told).keep()


def rows(ledger: Ledger, kind: type[Any]) -> list[Any]:
    """Return all rows of a table."""
    with ledger.reading() as session:
        found = list(session.scalars(select(kind).order_by(kind.id)))
        session.expunge_all()
        return found


def instances(ledger: Ledger) -> list[InstanceRow]:
    """Return the instances that were received."""
    return rows(ledger, InstanceRow)


def arrivals(ledger: Ledger) -> list[Arrival]:
    """Return the studies that were received."""
    return rows(ledger, Arrival)


def suspects(ledger: Ledger) -> list[Suspect]:
    """Return what was set aside."""
    return rows(ledger, Suspect)


def files(root: Path, *under: str) -> list[Path]:
    """Return the files of an inbox."""
    return sorted(p for p in root.joinpath(*under).rglob("*") if p.suffix in (".dcm", ".part"))


def check_whole(ledger: Ledger, root: Path, uids: Iterable[str]) -> None:
    """Check that instances are recorded, each once, and that their files are as recorded."""
    recorded = {row.sop_instance_uid: row for row in instances(ledger)}
    assert not set(uids) - set(recorded)
    for row in recorded.values():
        data = data_set(root / row.relative_path)
        assert len(data) == row.size
        assert hashlib.sha256(data).hexdigest() == row.sha256
