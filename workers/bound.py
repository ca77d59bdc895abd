"""Run a command that ends with the process that has started it, however that one ends.

``python -m workers.bound PARENT COMMAND...`` asks the kernel to kill it when its parent dies, and
becomes the command, which keeps that. On a system other than Linux it becomes the command at once.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): the signal that a process gets when its parent dies."""


def end_with(parent: int) -> None:
    """Have this process killed when its parent dies, also if it has died already."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the supervisor's own command
