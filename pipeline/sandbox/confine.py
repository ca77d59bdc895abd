"""What a process that reads a file from outside gives up before it opens it.

Resource limits hold everywhere; Landlock and seccomp where the kernel has them.
"""

import resource
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.sandbox import landlock, seccomp

OPEN_FILES = 256
"""Files that may be open at a time."""

BUFFER_BYTES = 64 << 20
"""Address space beside what is allowed: stacks of threads, and pools of the allocator."""

SYSTEM_FILES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/urandom")
"""What libraries are loaded from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confinement:
    """What a process may do."""

    readable: tuple[Path, ...] = ()
    """Files and folders that it may read, beside those that Python is loaded from."""

    memory_bytes: int
    """What it may allocate beside what it begins with."""

    network: bool = False
    """Whether it may use connections."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What holds on this machine."""

    landlock: int
    """Version of Landlock; 0 where there is none."""

    seccomp: bool
    """Whether system calls are refused."""


def holds() -> Held:
    """Return what the kernel of this machine has; nothing is given up."""
    has_filter = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    return Held(landlock=landlock.version(), seccomp=seccomp.is_known() and has_filter)


def confine(confinement: Confinement) -> None:
    """Give up everything else, for good."""
    space = _address_space() + confinement.memory_bytes + BUFFER_BYTES
    _limit(resource.RLIMIT_AS, space)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    files = (*confinement.readable, *of_python())
    landlock.restrict(files, network=confinement.network)
    if not seccomp.restrict(network=confinement.network):
        _limit(resource.RLIMIT_NPROC, 0)


def _limit(what: int, value: int) -> None:
    """Set a limit, which a process cannot raise again."""
    _, most = resource.getrlimit(what)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    with suppress(ValueError, OSError):
        resource.setrlimit(what, (value, value))


def _address_space() -> int:
    """Return how much address space this process has [byte]; 0 where that is not told."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 1 << 30
    return pages * resource.getpagesize()


@cache
def of_python() -> tuple[Path, ...]:
    """Return what Python and its packages are loaded from."""
    named = (*sys.path, sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *SYSTEM_FILES)
    return tuple(dict.fromkeys(Path(path) for path in named if path and Path(path).exists()))
