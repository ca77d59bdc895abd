"""A receiver of the tests' own: the real command, in a folder, on ports that it chooses itself."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from pynetdicom import AE
from pynetdicom.association import Association

from pipeline.gateways.services import COMMAND_SYNTAXES
from pipeline.ledger.ledger import Ledger
from tests.support.encoded import EXPLICIT, MR
from tests.support.service import ROOT, family, kill, wait_until

ECHO = "1.2.840.10008.1.1"


class Receiver:
    """``vesalius receive``; its log is ``receive.log`` in the folder.

    Parameters
    ----------
    folder
        Where everything lies.
    place
        Where its ledger is; None takes a file in the folder.
    tables
        More of its settings, as TOML.
    settings
        Values of the table ``[receive]``.
    """

    def __init__(
        self, folder: Path, place: str | None = None, tables: str = "", **settings: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.place = place or str(folder / "ledger.db")
        self.inbox = folder / "inbox"
        self.log, self.config = folder / "receive.log", folder / "site.toml"
        self.port, self.http_port = 0, 0
        self.process: subprocess.Popen[bytes] | None = None
        self._settings = {"port": 0, "free_mib": 0, "folder": str(self.inbox), **settings}
        self._tables = tables
        kept = {k: v for k, v in os.environ.items() if not k.startswith("VESALIUS_")}
        self._environment = kept | {"PYTHONPATH": str(ROOT)}

    def __enter__(self) -> "Receiver":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> "Receiver":
        """Start it, and wait until it listens; on the same ports as before."""
        lines = [f"{name} = {_toml(value)}" for name, value in self._settings.items()]
        self.config.write_text(
            f'[ledger]\nurl = "{self.place}"\n[monitoring]\nlog = "text"\n'
            + "[receive]\n"
            + "\n".join(lines)
            + f"\n{self._tables}\n"
        )
        before = len(self.told())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers.cli", "receive", "--config", str(self.config)],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        opened = re.compile(r"^(?!.*STOW).* on port (\d+)", re.MULTILINE)
        wait_until(
            lambda: opened.search(self.told()[before:]) or self.process.poll() is not None,
            60,
            self.told,
        )
        found = opened.search(self.told()[before:])
        assert found is not None, self.told()
        self.port = self._settings["port"] = int(found.group(1))
        stow = re.search(r"STOW-RS on port (\d+)", self.told()[before:])
        if stow is not None:
            self.http_port = self._settings["http_port"] = int(stow.group(1))
        wait_until(lambda: len(family(self.process)) > 0, 30, self.told)
        return self

    def told(self) -> str:
        """Return the log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def members(self) -> list[psutil.Process]:
        """Return its processes but for the first."""
        assert self.process is not None
        return family(self.process)

    def memory(self) -> int:
        """Return the memory that all its processes hold [byte]."""
        return sum(member.memory_info().rss for member in self.members())

    def stop(self, timeout_s: float = 60.0) -> int:
        """Tell it to end, and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """Kill all its processes."""
        if self.process is None:
            return
        members = self.members()
        for pid in (self.process.pid, *(member.pid for member in members)):
            kill(pid, signal.SIGKILL)
        self.process.wait(30)
        psutil.wait_procs(members, 30)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open its ledger."""
        with Ledger.open(self.place) as ledger:
            yield ledger

    def connection(self, timeout_s: float = 20.0) -> socket.socket:
        """Return a connection to its port for DIMSE."""
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    @contextmanager
    def association(
        self,
        contexts: Sequence[tuple[str, Sequence[str]]] = ((MR, (EXPLICIT,)),),
        *,
        title: str = "TEST",
        called: str = "VESALIUS",
        longest: int = 16382,
        **more: Any,
    ) -> Iterator[Association]:
        """Hold an association of pynetdicom with it, established or not."""
        ae = AE(ae_title=title)
        ae.maximum_pdu_size = longest
        for sop_class, syntaxes in contexts:
            ae.add_requested_context(sop_class, list(syntaxes))
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
        association = ae.associate("127.0.0.1", self.port, ae_title=called, **more)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def echoes(self, **more: Any) -> bool:
        """Tell whether it answers a C-ECHO."""
        with self.association(((ECHO, COMMAND_SYNTAXES),), **more) as association:
            return association.is_established and association.send_c_echo().get("Status") == 0x0000


def _toml(value: Any) -> str:
    """Return a value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return f'"{value}"' if isinstance(value, (str, Path)) else str(value)
