"""How far the audit log was sent to one place, in the ledger itself."""

from sqlalchemy import select

from pipeline.ledger.audit import BEGINNING, AuditRow, Entry, entry_of, fault_of
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.recordtables import ForwardingRow
from pipeline.ledger.tables import now


class Forwarding:
    """What of a ledger's audit log was sent to a place.

    Parameters
    ----------
    ledger
        The ledger.
    target
        The place, without any secret.
    """

    def __init__(self, ledger: Ledger, target: str) -> None:
        self._ledger, self._target = ledger, target

    def position(self) -> int:
        """Return the number of the last event that was sent; 0 for none."""
        with self._ledger.reading() as session:
            row = session.get(ForwardingRow, self._target)
            return 0 if row is None else row.number

    def next(self, limit: int) -> tuple[tuple[Entry, ...], str | None]:
        """Return events that were not sent, in order, and what is wrong with the one after them.

        Parameters
        ----------
        limit
            How many at most.
        """
        position = self.position()
        page = (
            select(AuditRow)
            .where(AuditRow.number > position)
            .order_by(AuditRow.number)
            .limit(limit)
        )
        with self._ledger.reading() as session:
            last = session.get(AuditRow, position)
            head = BEGINNING if last is None else last.digest
            if last is None and position:
                return (), f"event {position} was sent and is missing"
            found: list[Entry] = []
            for row in session.scalars(page):
                fault = fault_of(row, position + len(found) + 1, head)
                if fault is not None:
                    return tuple(found), fault
                found.append(entry_of(row))
                head = row.digest
        return tuple(found), None

    def sent(self, number: int) -> None:
        """Record that all events up to one were sent."""
        with self._ledger.transaction() as session:
            session.merge(ForwardingRow(target=self._target, number=number, changed_at=now()))
