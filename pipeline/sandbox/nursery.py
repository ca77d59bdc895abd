"""The process that readers are made from: ``python -m pipeline.sandbox.nursery DESCRIPTOR``.

It has loaded the libraries already, reads nothing from outside itself, and has no threads, so that
a reader is a copy of it that is there within milliseconds. It tells how each ended, ends those that
nobody waits for, and ends with whoever started it.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from pipeline.sandbox import seccomp
from pipeline.sandbox.child import serve
from pipeline.sandbox.confine import Confinement, confine, of_python
from pipeline.sandbox.wire import STATUS

ORDER_BYTES = 1 << 16
"""Longest order."""

DIE_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG``."""


class Nursery:
    """Makes readers until whoever ordered them is gone.

    Parameters
    ----------
    control
        Where orders come from.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        # Found out once, and not by every reader.
        of_python()
        seccomp.program(network=False)
        self._waiting: dict[int, socket.socket] = {}
        self._ended, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._ended, False)

    def run(self) -> None:
        """Take orders, and tell of readers that have ended."""
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            readers = {status.fileno(): pid for pid, status in self._waiting.items()}
            control = self._control.fileno()
            heard, _, _ = select.select([control, self._ended, *readers], [], [])
            if self._ended in heard:
                with suppress(BlockingIOError):
                    os.read(self._ended, 4096)
            self._reap()
            for descriptor in heard:
                if readers.get(descriptor) in self._waiting:
                    os.kill(readers[descriptor], signal.SIGKILL)
            if control in heard and not self._take():
                break
        for pid in self._waiting:
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Tell of the readers that have ended."""
        for pid in list(self._waiting):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                waiting = self._waiting.pop(pid)
                with suppress(OSError):
                    waiting.send(STATUS.pack(status))
                waiting.close()

    def _take(self) -> bool:
        """Take an order; False if there are to be no more."""
        order, descriptors, _, _ = socket.recv_fds(self._control, ORDER_BYTES, 3)
        if not order:
            return False
        asked = json.loads(order)
        importlib.import_module(asked["module"])
        # What is loaded is shared with the readers, as long as nobody touches it.
        gc.freeze()
        session, status, *others = descriptors
        pid = os.fork()
        if pid == 0:
            self._become(asked, session, others, status)
        os.close(session)
        for other in others:
            os.close(other)
        self._waiting[pid] = socket.socket(fileno=status)
        return True

    def _become(
        self, asked: dict[str, object], session: int, others: list[int], status: int
    ) -> None:
        """Be a reader, and end."""
        ended = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
            for held in (self._control, *self._waiting.values()):
                held.close()
            for held_fd in (self._ended, self._wake, status):
                os.close(held_fd)
            if others:
                os.dup2(others[0], 0)
            confine(_confinement(asked))
            serve(session, _seconds(asked["cpu_s"]))
            ended = 0
        finally:
            # Nothing of the nursery's own is to be wound up in its copy.
            os._exit(ended)


def _confinement(asked: dict[str, object]) -> Confinement:
    """Return what an order allows."""
    readable, memory = asked["readable"], asked["memory_bytes"]
    if not (isinstance(readable, list) and isinstance(memory, int)):
        raise TypeError
    return Confinement(
        readable=tuple(Path(str(path)) for path in readable),
        memory_bytes=memory,
        network=bool(asked["network"]),
    )


def _seconds(cpu_s: object) -> float:
    """Return the time of processors that an order allows one answer [s]."""
    if not isinstance(cpu_s, int | float):
        raise TypeError
    return cpu_s


if __name__ == "__main__":
    Nursery(socket.socket(fileno=int(sys.argv[1]))).run()
