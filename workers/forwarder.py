"""The process that sends the audit log to a syslog server, and goes on where it stopped."""

import logging
import ssl
from threading import Event

from pipeline.config import Configuration
from pipeline.connections import TlsSettings
from pipeline.errors import LedgerUnavailable, PeerUnavailable, UnusableCall
from pipeline.gateways.syslog import Line, parse_syslog, send
from pipeline.gateways.tls import client_context
from pipeline.ledger.audit import Audited, Entry
from pipeline.ledger.forwarding import Forwarding
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import now
from pipeline.ledger.wallclock import kept_by
from pipeline.record.auditcodes import host_of
from pipeline.record.auditdicom import audit_message
from workers.ending import told_to_end
from workers.logs import set_up_logs

LOG = logging.getLogger(__name__)

AT_ONCE = 200
"""Events of one connection."""

LOOK_S = 1.0
"""Time between two looks for new events [s]."""

AWAY_S = 5.0
"""Time before a server or a ledger that is away is tried again [s]."""

BROKEN_S = 300.0
"""Time before the server is told again that the log is not whole [s]."""


class Forwarder:
    """Sends the events of a ledger.

    Parameters
    ----------
    ledger
        The ledger.
    url
        The server: ``tls://host:port``.
    context
        How it is spoken to.
    """

    def __init__(self, ledger: Ledger, url: str, context: ssl.SSLContext) -> None:
        self._forwarding = Forwarding(ledger, url)
        self._url, self._context = url, context

    def once(self) -> tuple[int, str | None]:
        """Send what was not sent; return how many events, and what is wrong with the log.

        Raises
        ------
        PeerUnavailable
            If the server is away: nothing counts as sent.
        LedgerUnavailable
            If the ledger is: what was sent is sent again.
        """
        events, fault = self._forwarding.next(AT_ONCE)
        lines = [_line(event) for event in events]
        if fault is not None:
            lines.append(_alert(fault))
        if lines:
            send(lines, self._url, self._context)
        if events:
            self._forwarding.sent(events[-1].number)
        return len(events), fault

    def run(self, ending: Event) -> None:
        """Send until told to end."""
        while not ending.is_set():
            try:
                count, fault = self.once()
            except (PeerUnavailable, LedgerUnavailable) as problem:
                LOG.warning("%s", problem, extra={"action": "audit_waits"})
                ending.wait(AWAY_S)
                continue
            if fault is not None:
                LOG.error("the audit log is not whole: %s", fault, extra={"action": "page"})
                ending.wait(BROKEN_S)
            elif count < AT_ONCE:
                ending.wait(LOOK_S)


def run_forwarder(configuration: Configuration, place: str) -> None:
    """Send the audit log until told to end by SIGTERM or SIGINT.

    Raises
    ------
    UnusableCall
        If no server is set, or a file that the settings name cannot be read.
    """
    settings = configuration.audit
    if settings.syslog is None:
        raise UnusableCall("no server for the audit log: set audit.syslog")
    parse_syslog(settings.syslog)
    tls = TlsSettings(
        certificate=settings.certificate, key=settings.key, authorities=settings.authorities
    )
    context = client_context(tls)
    set_up_logs(configuration.monitoring.log)
    ending = told_to_end()
    with Ledger.open(place) as ledger:
        Forwarder(ledger, settings.syslog, context).run(ending)


def _line(entry: Entry) -> Line:
    """Return an event as a message."""
    return Line(
        at=entry.at,
        host=host_of(entry),
        text=audit_message(entry),
        is_warning=not entry.audited.succeeded,
    )


def _alert(fault: str) -> Line:
    """Return a message that says that the log is not whole; it is no event of the log."""
    audited = Audited(
        action="audit log broken",
        actor="vesalius",
        subject="audit log",
        detail={"fault": fault},
        succeeded=False,
    )
    return _line(Entry(number=0, at=now(), clock=kept_by(), audited=audited, digest=""))
