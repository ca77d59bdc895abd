"""A syslog server over TLS, in a process of its own that can be killed."""

import multiprocessing
import os
import signal
import socket
import ssl
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.service import free_port, wait_until


class SyslogServer:
    """Writes what it reads into a file, message after message, flushed.

    Parameters
    ----------
    folder
        Where its certificate and its file lie.
    authority
        Who vouches for it, and for its clients.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.port, self.file = free_port(), folder / "syslog.txt"
        self._shown, self._authority = authority.vouch("syslog"), authority
        self._process: multiprocessing.process.BaseProcess | None = None

    @property
    def url(self) -> str:
        return f"tls://localhost:{self.port}"

    def start(self, *, dies_after: int | None = None) -> None:
        """Start it; it kills itself after so many messages, in the middle of a connection."""
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=self._serve, args=(dies_after,), daemon=True)
        self._process.start()
        wait_until(self._answers, 20)

    def kill(self) -> None:
        """Kill it."""
        assert self._process is not None
        self._process.kill()
        self._process.join(20)

    def messages(self) -> list[str]:
        """Return what it has read."""
        return self.file.read_text().splitlines() if self.file.exists() else []

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _serve(self, dies_after: int | None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._shown.certificate, self._shown.key)
        context.load_verify_locations(self._authority.path)
        context.verify_mode = ssl.CERT_REQUIRED
        left = dies_after
        with socket.create_server(("127.0.0.1", self.port)) as listening:
            while True:
                plain, _ = listening.accept()
                try:
                    left = self._read(context.wrap_socket(plain, server_side=True), left)
                except (OSError, ssl.SSLError):
                    plain.close()

    def _read(self, connection: ssl.SSLSocket, left: int | None) -> int | None:
        with connection, connection.makefile("rb") as reading, self.file.open("ab") as writing:
            while length := self._length(reading):
                writing.write(reading.read(length) + b"\n")
                writing.flush()
                left = None if left is None else left - 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            connection.unwrap()
        return left

    @staticmethod
    def _length(reading: "object") -> int:
        """Return the length of the next frame: RFC 5425, 4.3; 0 at the end."""
        digits = b""
        while (sign := reading.read(1)) not in (b" ", b""):  # type: ignore[attr-defined]
            digits += sign
        return int(digits or 0)
