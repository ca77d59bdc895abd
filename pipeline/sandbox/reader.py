"""Ask a process of its own to read a file, and go on whatever becomes of it.

One nursery a process makes the readers; each is for one input. What a reader does on a damaged or a
hostile file, from a crash to eating all memory, ends with the reader and refuses that input.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Any, Self

from pipeline import errors
from pipeline.errors import StudyRejected, UnreadableFile
from pipeline.sandbox.wire import (
    HEAD,
    LONGEST_DOCUMENT,
    STATUS,
    BrokenMessage,
    name_of,
    packed,
    unpacked,
)

ENDS_S = 10.0
"""A reader that has broken off is known to have ended within this time [s]."""

LONGEST_REASON = 600
"""Longest reason that is taken from a reader [characters]."""

PIECE = 1 << 20
"""Bytes that are received at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a reader can be asked for."""

    address: str
    """The function, ``module:name``."""

    records: tuple[type, ...] = ()
    """Classes that an answer may hold."""

    def find(self, name: str) -> type:
        """Return the class of a name that an answer holds.

        Raises
        ------
        KeyError
            If it is not expected.
        """
        return {name_of(kind): kind for kind in self.records}[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What a reader may use."""

    readable: tuple[Path, ...] = ()
    """Files and folders that it may read."""

    memory_bytes: int
    """What it may hold."""

    time_s: float
    """Longest time of one answer, or until the next item of a stream [s]."""

    answer_bytes: int
    """Longest answer."""

    cpu_s: float = 0.0
    """Time of processors that one answer may take [s]; 0 sets no end. Unlike other time, it is the
    same on a machine that is busy."""

    network: bool = False
    """Whether it may use connections: for live sources."""

    standard_input: bool = False
    """Whether it reads this process's standard input."""


class _Gone(Exception):
    """The reader has broken off."""


class _Nurseries:
    """The nursery of this process: started when it is needed, and again if it has ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def order(self, order: bytes, descriptors: Sequence[int]) -> None:
        """Have a reader made."""
        with self._lock:
            if self._control is None or self._process is None or self._process.poll() is not None:
                self._start()
            control = self._control
            assert control is not None  # noqa: S101 - just started
            socket.send_fds(control, [order], list(descriptors))

    def forget(self) -> None:
        """Leave the nursery to the process that started it: this one is a copy of that."""
        self._lock = Lock()
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            # It is another's to wait for.
            self._process.returncode = 0
        self._control = self._process = None

    @property
    def process_id(self) -> int | None:
        """The nursery's, where there is one."""
        return None if self._process is None else self._process.pid

    def _start(self) -> None:
        """Start the nursery. What native code prints goes nowhere: it may quote the data."""
        if self._control is not None:
            self._control.close()
        own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "pipeline.sandbox.nursery", str(its.fileno())],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                    "PYTHONSAFEPATH": "1",
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                    # Each pool reserves address space, which is what is limited.
                    "MALLOC_ARENA_MAX": "2",
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(its.fileno(),),
            )
        self._control = own


NURSERIES = _Nurseries()
os.register_at_fork(after_in_child=NURSERIES.forget)
atexit.register(NURSERIES.forget)


class Reader:
    """A process that reads one input.

    Parameters
    ----------
    name
        How messages name the input.
    allowance
        What it may use.
    module
        Module of what it is asked for: loaded before it gives up everything.
    """

    def __init__(self, name: str, allowance: Allowance, module: str) -> None:
        self._name, self._allowance = name, allowance
        order = json.dumps(
            {
                "module": module,
                "readable": [str(path.absolute()) for path in allowance.readable],
                "memory_bytes": allowance.memory_bytes,
                "cpu_s": allowance.cpu_s,
                "network": allowance.network,
            }
        ).encode()
        self._session, its_session = socket.socketpair()
        self._status, its_status = socket.socketpair()
        with its_session, its_status:
            descriptors = [its_session.fileno(), its_status.fileno()]
            if allowance.standard_input:
                descriptors.append(sys.stdin.fileno())
            NURSERIES.order(order, descriptors)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the reader; the nursery sees to it."""
        self._session.close()
        self._status.close()

    def call(self, task: Task, *arguments: object) -> Any:  # noqa: ANN401 - what the task returns
        """Return what a task comes to.

        Raises
        ------
        StudyRejected
            If the input is refused, or the reader broke off, took too long or too much memory.
        OSError
            If the system says so of the input.
        """
        self._ask(task, arguments, is_stream=False)
        kind, value = self._answer(task)
        if kind != "result":
            raise self._refusal("answers what was not asked for")
        return value

    def stream(self, task: Task, *arguments: object) -> Iterator[Any]:
        """Yield what a task yields, while it goes on.

        Raises
        ------
        StudyRejected, OSError
            As ``call``.
        """
        self._ask(task, arguments, is_stream=True)
        while True:
            kind, value = self._answer(task)
            if kind == "end":
                return
            if kind == "item":
                yield value
            elif kind != "pulse":
                raise self._refusal("answers what was not asked for")

    def _ask(self, task: Task, arguments: tuple[object, ...], *, is_stream: bool) -> None:
        """Send a request."""
        self._session.settimeout(self._allowance.time_s)
        try:
            for piece in packed((task.address, arguments, is_stream)):
                self._session.sendall(piece)
        except OSError:
            raise self._broken_off() from None

    def _answer(self, task: Task) -> tuple[str, Any]:
        """Return the next answer."""
        until = monotonic() + self._allowance.time_s
        try:
            n_document, n_content = HEAD.unpack(self._received(HEAD.size, until))
            if n_document > LONGEST_DOCUMENT or n_content > self._allowance.answer_bytes:
                raise self._refusal(
                    f"answers {n_content} bytes, limit {self._allowance.answer_bytes}"
                )
            document = bytes(self._received(n_document, until))
            content = self._received(n_content, until)
            kind, value = unpacked(document, content, task.find)
        except TimeoutError:
            raise self._refusal(f"took longer than {self._allowance.time_s:g} s") from None
        except (_Gone, OSError):
            raise self._broken_off() from None
        except (BrokenMessage, TypeError, ValueError):
            raise self._refusal("answers what cannot be understood") from None
        self._raise(kind, value)
        return kind, value

    def _raise(self, kind: object, value: Any) -> None:  # noqa: ANN401 - from the wire
        """Raise what an answer says went wrong."""
        if kind == "memory":
            most = self._allowance.memory_bytes
            raise self._refusal(f"needs more than {most} bytes of memory, the limit")
        if kind == "system":
            number, text = value
            raise OSError(number, text)
        if kind == "refused":
            named, reason = value
            found = getattr(errors, str(named), None)
            is_refusal = isinstance(found, type) and issubclass(found, StudyRejected)
            shown = "".join(c if c.isprintable() else " " for c in str(reason))[:LONGEST_REASON]
            raise (found if is_refusal and found is not None else UnreadableFile)(shown)

    def _received(self, length: int, until: float) -> bytearray:
        """Return bytes that come until a time."""
        content = bytearray(length)
        rest = memoryview(content)
        while rest:
            left_s = until - monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._session.settimeout(left_s)
            n_read = self._session.recv_into(rest[:PIECE])
            if n_read == 0:
                raise _Gone
            rest = rest[n_read:]
        return content

    def _broken_off(self) -> UnreadableFile:
        """Return how the reader has ended."""
        self._session.close()
        self._status.settimeout(ENDS_S)
        told = b""
        with suppress(OSError):
            told = self._status.recv(STATUS.size)
        if len(told) < STATUS.size:
            return self._refusal("broke off")
        (status,) = STATUS.unpack(told)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number == signal.SIGPROF and self._allowance.cpu_s:
                return self._refusal(f"took more than {self._allowance.cpu_s:g} s of a processor")
            return self._refusal(f"ended by signal {number} ({signal.Signals(number).name})")
        return self._refusal(f"ended with status {os.WEXITSTATUS(status)}")

    def _refusal(self, what: str) -> UnreadableFile:
        """Return a refusal of the input."""
        return UnreadableFile(f"{self._name}: the process that reads it {what}")
