"""What a stream says, served to pages and programs on this machine.

``/state`` is the last second as JSON; ``/events`` sends each second as it comes, as server-sent
events.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"
"""The one address that is listened on: who follows from elsewhere comes through a proxy."""

WAIT_S = 15.0
"""A listener hears a comment after so long without a second, so that its connection stays [s]."""


class Broadcast:
    """The last second, and whoever waits for the next."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self._text = "{}"
        self._is_over = False

    def tell(self, values: Mapping[str, object]) -> None:
        """Give a second to all who listen."""
        with self._changed:
            self._number += 1
            self._text = json.dumps(values)
            self._changed.notify_all()

    def end(self) -> None:
        """Tell all who listen that nothing more comes."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def last(self) -> str:
        """Return the last second as JSON."""
        with self._changed:
            return self._text

    def seconds(self) -> Iterator[str | None]:
        """Yield each second from now on as JSON; None where none came for a while."""
        with self._changed:
            seen = self._number
        while True:
            number, text, is_over = self._after(seen)
            if number == seen and is_over:
                return
            yield text if number > seen else None
            seen = number

    def _after(self, seen: int) -> tuple[int, str, bool]:
        """Wait for a second after one that was seen: its number and text, and if it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > seen or self._is_over, WAIT_S)
            return self._number, self._text, self._is_over


@contextmanager
def served(broadcast: Broadcast, port: int) -> Iterator[int]:
    """Serve a broadcast on a port of the loopback interface while the context lasts.

    Parameters
    ----------
    broadcast
        What is served.
    port
        The port; 0 takes any that is free.

    Yields
    ------
        The port.
    """
    server = _Server((LOOPBACK, port), _Handler)
    server.broadcast = broadcast
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        broadcast.end()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """Answers each request in a thread of its own."""

    broadcast: Broadcast
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    """Answers one request to a server of a broadcast."""

    server: "_Server"

    def do_GET(self) -> None:
        """Answer with the last second, or with each as it comes."""
        if self.path == "/state":
            self._answer(self.server.broadcast.last().encode())
        elif self.path == "/events":
            self._events()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing: standard error is the command's."""

    def _answer(self, body: bytes) -> None:
        """Send one JSON object."""
        self._head("application/json", {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _events(self) -> None:
        """Send each second until there are no more, or nobody listens."""
        self._head("text/event-stream", {})
        with suppress(OSError):
            for text in self.server.broadcast.seconds():
                line = ": waiting\n\n" if text is None else f"data: {text}\n\n"
                self.wfile.write(line.encode())
                self.wfile.flush()

    def _head(self, kind: str, headers: Mapping[str, str]) -> None:
        """Send the head of an answer that nobody keeps."""
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Cache-Control": "no-store", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
