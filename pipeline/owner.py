"""Who has claimed a job: a process, named such that others of its machine can tell if it lives.

A lease tells the same later, and on every machine; this tells at once. And who has given a command.
"""

import os
import pwd
from pathlib import Path
from socket import gethostname

PROC = Path("/proc")
"""Where Linux lists the processes."""


def this_process() -> str:
    """Return the name of this process as an owner."""
    return f"{_machine()} {os.getppid()} {os.getpid()} {_started(os.getpid())}"


def this_person() -> str:
    """Return who runs this process, by the machine's own word: ``USER@HOST``.

    The environment is not asked: whoever gives a command may write there what they like.
    """
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = str(number)
    return f"{name}@{gethostname()}"


def is_child(owner: str) -> bool:
    """Tell whether an owner is, or was, a process that this one has started."""
    machine, parent = (*owner.rsplit(" ", 3), "")[:2]
    return machine == _machine() and parent == str(os.getpid())


def is_gone(owner: str) -> bool:
    """Tell whether an owner is a process of this machine that is gone.

    False where that cannot be told: for a process of another machine or another container, and on a
    system without ``/proc``.
    """
    if not (PROC / "self").exists():
        return False
    machine, _, pid, started = (*owner.rsplit(" ", 3), "", "", "")[:4]
    if not pid.isdigit() or not _same_machine(machine):
        return False
    return machine != _machine() or _started(int(pid)) != started


def _machine() -> str:
    """Return the name of what process numbers are unique in."""
    space = (PROC / "self/ns/pid").readlink() if (PROC / "self").exists() else "-"
    boot = PROC / "sys/kernel/random/boot_id"
    return f"{gethostname()} {space} {boot.read_text().strip() if boot.exists() else '-'}"


def _same_machine(machine: str) -> bool:
    """Tell whether a machine is this one, before or after it was started anew."""
    return machine.rsplit(" ", 1)[0] == _machine().rsplit(" ", 1)[0]


def _started(pid: int) -> str:
    """Return when a process started, in ticks of the machine; empty if there is none that lives."""
    try:
        status = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # The name of the program is in brackets and may hold spaces.
    state, *fields = status.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]
