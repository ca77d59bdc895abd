"""A relay that speaks TLS before a server that does not."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

from tests.support.certificates import Shown


class Relay(ThreadingTCPServer):
    """Each connection to a port of this machine, behind TLS."""

    daemon_threads = True

    def __init__(self, shown: Shown, port: int) -> None:
        self.port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(shown.certificate, shown.key)
        super().__init__(("127.0.0.1", 0), Pumped)

    def wrapped(self, plain: socket.socket) -> ssl.SSLSocket:
        """Return a connection with TLS; the handshake is the handler's."""
        return self._context.wrap_socket(plain, server_side=True)


class Pumped(BaseRequestHandler):
    """One connection."""

    server: Relay

    def handle(self) -> None:
        """Carry bytes both ways until either side ends."""
        with (
            contextlib.suppress(OSError),
            self.server.wrapped(self.request) as outside,
            socket.create_connection(("127.0.0.1", self.server.port)) as inside,
        ):
            back = Thread(target=pump, args=(inside, outside), daemon=True)
            back.start()
            pump(outside, inside)
            back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes one way, then end the other side, too."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def tls_relay(shown: Shown, port: int) -> Iterator[int]:
    """Relay TLS connections to a port of this machine, and give the relay's own."""
    with Relay(shown, port) as relay:
        thread = Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield relay.server_address[1]
        finally:
            relay.shutdown()
            thread.join()
