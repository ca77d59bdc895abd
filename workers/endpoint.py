"""The HTTP endpoint for whoever watches the service: ``/metrics``, ``/healthz``, ``/readyz``.

It tells counts and states, and listens on this machine alone unless the settings say otherwise.
"""

import logging
import signal
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

from kombu.connection import Connection
from kombu.exceptions import OperationalError
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from pipeline.config import Configuration
from pipeline.connections import TlsSettings
from pipeline.errors import LedgerUnavailable, UnusableCall
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.outbox import Outbox
from workers.app import broker_tls
from workers.metrics import QueueCollector

LOG = logging.getLogger(__name__)

BROKER_WAIT_S = 2.0
"""Time that a broker has to answer [s]."""

TEXT = "text/plain; charset=utf-8"

IN_THE_CLEAR = TlsSettings()
"""No certificate, and the authorities of the system."""


class Endpoint(ThreadingHTTPServer):
    """The endpoint of a service."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        ledger: Ledger,
        broker: str,
        tls: TlsSettings = IN_THE_CLEAR,
    ) -> None:
        self._ledger, self._broker = ledger, broker
        self._broker_tls = broker_tls(broker, tls)
        self._registry = CollectorRegistry()
        self._registry.register(QueueCollector(ledger))
        self.pages: dict[str, Callable[[], tuple[int, str, bytes]]] = {
            "/metrics": self._metrics,
            "/healthz": lambda: (200, TEXT, b"ok\n"),
            "/readyz": self._ready,
        }
        try:
            super().__init__(address, Request)
        except OSError as problem:
            host, port = address
            raise UnusableCall(f"{host}:{port}: cannot listen ({problem.strerror})") from problem

    def _metrics(self) -> tuple[int, str, bytes]:
        """Return the metrics."""
        return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)

    def _ready(self) -> tuple[int, str, bytes]:
        """Return whether jobs can be taken and workers called, and what is away if not."""
        away = [
            name
            for name, answers in (
                ("ledger", self._ledger_answers),
                ("broker", self._broker_answers),
            )
            if not answers()
        ]
        if away:
            return 503, TEXT, f"away: {', '.join(away)}\n".encode()
        return 200, TEXT, b"ready\n"

    def _ledger_answers(self) -> bool:
        """Tell whether the ledger answers."""
        try:
            Outbox(self._ledger).waiting()
        except LedgerUnavailable:
            return False
        return True

    def _broker_answers(self) -> bool:
        """Tell whether the broker answers."""
        try:
            with Connection(
                self._broker, connect_timeout=BROKER_WAIT_S, ssl=self._broker_tls
            ) as connection:
                connection.ensure_connection(max_retries=1, timeout=BROKER_WAIT_S)
                with connection.channel():
                    return True
        except (OperationalError, OSError):
            return False


class Request(BaseHTTPRequestHandler):
    """A request to the endpoint."""

    server: Endpoint
    server_version = "vesalius"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        """Answer."""
        page = self.server.pages.get(self.path.partition("?")[0])
        status, kind, content = page() if page else (404, TEXT, b"no such page\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log no request: they come every few seconds."""


def run_endpoint(configuration: Configuration, place: str) -> None:
    """Serve the endpoint until told to end by SIGTERM or SIGINT.

    Raises
    ------
    UnusableCall
        If its port is taken.
    """
    settings = configuration.monitoring
    with Ledger.open(place) as ledger:
        address, broker = (settings.host, settings.port), configuration.service.broker
        endpoint = Endpoint(address, ledger, broker, configuration.tls)

        def end(_signal: int, _frame: FrameType | None) -> None:
            # Its loop runs in this thread, and must not wait for itself.
            threading.Thread(target=endpoint.shutdown, daemon=True).start()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        host, port = endpoint.server_address[:2]
        LOG.info("metrics at http://%s:%s/metrics", host, port, extra={"action": "endpoint_open"})
        with endpoint:
            endpoint.serve_forever(poll_interval=0.2)
