"""A RabbitMQ of the tests' own: on loopback, with its own node, cookie, ports and folder."""

import os
import signal
import subprocess
import time
from pathlib import Path

import amqp

from tests.support.service import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The server itself. Debian's wrapper in /usr/sbin changes the user, and the folders' with it."""

STARTS_S = 90.0
"""A server that does not answer after this time will not [s]."""


class RabbitMQ:
    """A RabbitMQ server that can be killed and started again on the same port and data."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._mapper = free_port()
        self.port = free_port()
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = false\n"
        )
        (folder / "plugins").write_text("[].\n")

    def __enter__(self) -> "RabbitMQ":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """URL of the broker."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self._folder / "console.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(SERVER)],
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + STARTS_S
        while not self._answers():
            alive = self._process.poll() is None and time.monotonic() < until
            assert alive, (self._folder / "console.log").read_text(errors="replace")[-3000:]
            time.sleep(0.2)

    def kill(self) -> None:
        """End the server as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server in an orderly way, and its port mapper."""
        self._end(signal.SIGTERM)
        mapper = ["epmd", "-port", str(self._mapper), "-kill"]
        subprocess.run(mapper, check=False, capture_output=True)

    def forget(self) -> None:
        """Lose all data; the server must be down."""
        data = self._folder / "data"
        subprocess.run(["rm", "-rf", str(data)], check=True)

    def waiting(self, queue: str) -> int:
        """Return how many messages lie in a queue."""
        with self._connection() as connection:
            return int(connection.channel().queue_declare(queue, passive=True).message_count)

    def _end(self, number: int) -> None:
        """Send a signal to the server and all that it started, and wait for its end."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)
        self._process.wait(60)
        self._process = None

    def _answers(self) -> bool:
        """Tell whether the server takes connections."""
        try:
            with self._connection():
                return True
        except (OSError, amqp.AMQPError):
            return False

    def _connection(self) -> amqp.Connection:
        """Return a connection, not yet open."""
        host = f"127.0.0.1:{self.port}"
        return amqp.Connection(host, "guest", "guest", connect_timeout=5, read_timeout=10)

    def _environment(self) -> dict[str, str]:
        """Return what tells the server where it is."""
        return {
            **os.environ,
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": f"vesalius-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(self._mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            # One thread, and none that spins while it has nothing to do.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none "
                "-kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }
