"""Landlock: a process gives up files and connections, and can never have them back.

References
----------
.. [LL] Linux, Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on all machines."""

ASK_VERSION = 1
PATH_BENEATH = 1

WRITE_FILE, READ_FILE, READ_DIR, DEVICE = 1 << 1, 1 << 2, 1 << 3, 1 << 15
FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Rights on files that each version adds, with those before."""

NET_RIGHTS, SCOPES = 0b11, 0b11
"""TCP bind and connect, since version 4; abstract sockets and signals, since version 6."""

NO_NEW_PRIVILEGES = 38
"""``PR_SET_NO_NEW_PRIVS``."""

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return which version the kernel has; 0 where it has none."""
    if os.uname().sysname != "Linux":
        return 0
    return max(0, int(_libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ASK_VERSION)))


def restrict(readable: Iterable[Path], *, network: bool) -> bool:
    """Give up every file but those that are to be read, and the network.

    Parameters
    ----------
    readable
        Files and folders; what does not exist is left out.
    network
        Whether connections are kept.

    Returns
    -------
        Whether the kernel does it.
    """
    found = version()
    if not found:
        return False
    handled = max(rights for since, rights in FILE_RIGHTS.items() if since <= found)
    net = NET_RIGHTS if found >= 4 and not network else 0
    scopes = SCOPES if found >= 6 and not network else 0
    # A kernel takes what it knows of the record: the rest of it would be refused.
    attributes = struct.pack("=QQQ", handled, net, scopes)[
        : 8 if found < 4 else 16 if found < 6 else 24
    ]
    ruleset = _libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    for path in readable:
        _allow(ruleset, path, handled)
    _libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    is_done = bool(_libc.syscall(RESTRICT_SELF, ruleset, 0) == 0)
    os.close(ruleset)
    return is_done


def _allow(ruleset: int, path: Path, handled: int) -> None:
    """Let a file, or all files under a folder, be read."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights = READ_FILE | READ_DIR if path.is_dir() else READ_FILE
    if path.is_char_device():
        # A camera is asked for its pictures by what is written to it.
        rights |= handled & (WRITE_FILE | DEVICE)
    rule = struct.pack("=Qi", rights, descriptor)
    _libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
    os.close(descriptor)
