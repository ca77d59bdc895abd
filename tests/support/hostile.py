"""What code that took a reader over would try."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries
from pipeline.sandbox.child import pulse


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def attempt(what: str, path: str) -> str:
    """Return how an attempt ended: ``done``, or the kind of refusal."""
    try:
        ATTEMPTS[what](path)
    except (OSError, RuntimeError) as refused:
        return type(refused).__name__
    return "done"


def _write(path: str) -> None:
    Path(path).write_bytes(b"mine")


def _listen(_: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))


def _unix(_: str) -> None:
    with socket.socket(socket.AF_UNIX):
        pass


def _fork(_: str) -> None:
    if os.fork() == 0:
        os._exit(0)


def _run(_: str) -> None:
    subprocess.run(["/bin/true"], check=True)


def _kill(_: str) -> None:
    os.kill(os.getppid(), signal.SIGTERM)


def _list(path: str) -> None:
    list(Path(path).parent.iterdir())


def _thread(_: str) -> None:
    thread = threading.Thread(target=time.monotonic)
    thread.start()
    thread.join()


def _trace(_: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, os.getppid(), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


ATTEMPTS = {
    "write": _write,
    "remove": lambda path: Path(path).unlink(),
    "read": read,
    "list": _list,
    "listen": _listen,
    "unix": _unix,
    "fork": _fork,
    "run": _run,
    "kill": _kill,
    "thread": _thread,
    "trace": _trace,
}


def crash(number: int) -> None:
    os.kill(os.getpid(), number) if number == signal.SIGKILL else signal.raise_signal(number)


def overrun() -> None:
    """Read where nothing is, as a codec does that trusts a length."""
    ctypes.string_at(0)


def eat(n_bytes: int) -> int:
    return len(np.ones(n_bytes, dtype=np.uint8))


def spin() -> None:
    while True:
        pass


def compute(seconds: float) -> None:
    """Use a processor for a time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def leave() -> None:
    os._exit(3)


def refuse() -> None:
    raise InconsistentSeries("a.h5: two\nlines")


def fail() -> None:
    raise AssertionError


def missing() -> bytes:
    raise FileNotFoundError(2, "No such file or directory")


def array(n: int) -> NDArray[np.float32]:
    return np.arange(n, dtype=np.float32)


def peak() -> int:
    """Return the most memory that this process has held [byte]."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def numbers(n: int) -> Iterator[int]:
    yield from range(n)


def slow(n: int, pause_s: float) -> Iterator[int]:
    """Yield the last number only, after as many pauses, and say meanwhile that work goes on."""
    for _ in range(n):
        threading.Event().wait(pause_s)
        pulse()
    yield n


def breaks_off(n: int) -> Iterator[int]:
    yield from range(n)
    overrun()
