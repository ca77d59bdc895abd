"""What the service answers to monitoring, on the loopback interface.

``/healthz`` says that the process lives, ``/readyz`` whether the service can do jobs and else what
is missing, ``/metrics`` its figures for Prometheus.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from pipeline.errors import LedgerUnavailable, UnusableCall
from pipeline.ledger.ledger import Ledger
from workers.metrics import LedgerCollector
from workers.supervise import Child

LOOPBACK = "127.0.0.1"
"""The one address that is listened on: who asks from elsewhere comes through a proxy."""


class Endpoint:
    """What is asked.

    Parameters
    ----------
    place
        Where the ledger is.
    children
        Processes that must run for the service to be ready.
    """

    def __init__(self, *, place: str, children: Sequence[Child] = ()) -> None:
        self._place, self._children = place, children

    def missing(self) -> list[str]:
        """Return what the service lacks to do jobs; nothing if it is ready."""
        found = [f"{c.program.name} does not run" for c in self._children if not c.is_running]
        try:
            Ledger.open(self._place).close()
        except (LedgerUnavailable, UnusableCall):
            found.append("the ledger is away")
        return found

    def metrics(self) -> bytes:
        """Return the figures as Prometheus reads them.

        Raises
        ------
        LedgerUnavailable
            If the ledger is away.
        """
        registry = CollectorRegistry()
        with Ledger.open(self._place) as ledger:
            registry.register(LedgerCollector(ledger))
            return generate_latest(registry)


@contextmanager
def served(endpoint: Endpoint, port: int) -> Iterator[int]:
    """Answer on a port of the loopback interface while the context lasts; 0 takes any free one.

    Yields
    ------
        The port.

    Raises
    ------
    UnusableCall
        If the port is taken.
    """
    try:
        server = _Server((LOOPBACK, port), _Handler)
    except OSError as problem:
        raise UnusableCall(f"port {port} of {LOOPBACK}: {problem.strerror}") from problem
    server.endpoint = endpoint
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """Answers each request in a thread of its own."""

    endpoint: Endpoint
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/healthz":
            self._answer(200, "application/json", b'{"alive": true}')
        elif self.path == "/readyz":
            missing = self.server.endpoint.missing()
            body = json.dumps({"ready": not missing, "missing": missing}).encode()
            self._answer(503 if missing else 200, "application/json", body)
        elif self.path == "/metrics":
            self._metrics()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing: standard error is the service's log."""

    def _metrics(self) -> None:
        """Answer with the figures, or that the ledger is away."""
        try:
            self._answer(200, CONTENT_TYPE_LATEST, self.server.endpoint.metrics())
        except LedgerUnavailable:
            self._answer(503, "text/plain; charset=utf-8", b"the ledger is away\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        """Send an answer that nobody keeps."""
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Cache-Control", "no-store"),
            ("Content-Length", str(len(body))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
