"""What a stream says, served to pages and programs on this machine.

``/state`` is the last second as JSON; ``/events`` sends each second as it comes, as server-sent
events. A listener that falls behind by more than ``KEPT`` seconds misses those before.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"
"""The one address that is listened on: who follows from elsewhere comes through a proxy."""

WAIT_S = 15.0
"""A listener hears a comment after so long without a second, so that its connection stays [s]."""


KEPT = 600
"""Seconds that are kept for listeners: a dropout ends in many at once."""


class Broadcast:
    """The last seconds, and whoever waits for the next."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self._texts: deque[str] = deque(maxlen=KEPT)
        self._is_over = False

    def tell(self, values: Mapping[str, object]) -> None:
        """Give a second to all who listen."""
        with self._changed:
            self._number += 1
            self._texts.append(json.dumps(values))
            self._changed.notify_all()

    def end(self) -> None:
        """Tell all who listen that nothing more comes."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def last(self) -> str:
        """Return the last second as JSON."""
        with self._changed:
            return self._texts[-1] if self._texts else "{}"

    def seconds(self) -> Iterator[str | None]:
        """Return each second from this call on as JSON; None where none came for a while."""
        with self._changed:
            return self._after_number(self._number)

    def _after_number(self, seen: int) -> Iterator[str | None]:
        """Yield each second after one that was seen."""
        while True:
            number, texts, is_over = self._after(seen)
            if number == seen and is_over:
                return
            if not texts:
                yield None
            yield from texts
            seen = number

    def _after(self, seen: int) -> tuple[int, list[str], bool]:
        """Wait for seconds after one that was seen: the last's number, all texts, if it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > seen or self._is_over, WAIT_S)
            missed = min(self._number - seen, len(self._texts))
            return self._number, list(self._texts)[len(self._texts) - missed :], self._is_over


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
        # Listened to before the head is sent: whoever has the head misses nothing that follows.
        seconds = self.server.broadcast.seconds()
        with suppress(OSError):
            self._head("text/event-stream", {})
            for text in seconds:
                line = ": waiting\n\n" if text is None else f"data: {text}\n\n"
                self.wfile.write(line.encode())
                self.wfile.flush()

    def _head(self, kind: str, headers: Mapping[str, str]) -> None:
        """Send the head of an answer that nobody keeps."""
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Cache-Control": "no-store", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
