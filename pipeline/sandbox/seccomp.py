"""seccomp: system calls that a process that reads files has no use for are refused to it.

What is refused is listed, rather than what is allowed: readers are native code of many hands, and a
list of what they may do would break with each new version of one. Files are Landlock's matter.

References
----------
.. [SC] Linux, Documentation/userspace-api/seccomp_filter.rst; arch/x86/entry/syscalls.
"""

import ctypes
import errno
import os
import struct
from functools import cache

X86_64 = 0xC000003E
"""``AUDIT_ARCH_X86_64``: the machine whose numbers stand below."""

NETWORK = (41, 42, 43, 49, 50, 53, 288)
"""socket, connect, accept, bind, listen, socketpair, accept4."""

PROCESSES = (57, 58, 59, 322, 62, 129, 200, 297, 424, 101, 310, 311, 434, 438, 135)
"""fork, vfork, execve, execveat, kill, rt_sigqueueinfo, tkill, rt_tgsigqueueinfo,
pidfd_send_signal, ptrace, process_vm_readv, process_vm_writev, pidfd_open, pidfd_getfd,
personality."""

SYSTEM = (
    *(155, 161, 163, 164, 159, 165, 166, 167, 168, 169, 170, 171, 172, 173, 175, 176, 179),
    *(246, 248, 249, 250, 272, 298, 303, 304, 308, 313, 320, 321, 323),
    *(425, 426, 427, 428, 429, 430, 431, 432, 433, 442),
)
"""pivot_root, chroot, acct, settimeofday, adjtimex, mount, umount2, swapon, swapoff, sethostname,
setdomainname, iopl, ioperm, init_module, delete_module, quotactl, kexec_load, add_key, request_key,
keyctl, unshare, perf_event_open, name_to_handle_at, open_by_handle_at, setns, finit_module,
kexec_file_load, bpf, userfaultfd, io_uring, open_tree to fspick, mount_setattr."""

CHANGES = (82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 133, 258, 259, 260, 263, 264, 265, 266)
"""rename, mkdir, rmdir, creat, link, unlink, symlink, chmod, fchmod, chown, fchown, lchown, mknod,
mkdirat, mknodat, fchownat, unlinkat, renameat, linkat, symlinkat."""

MORE_CHANGES = (268, 316, 76, 29, 30, 31, 64, 68, 280, 132, 235)
"""fchmodat, renameat2, truncate, shmget, shmat, shmctl, semget, msgget, utimensat, utime,
utimes."""

CLONE, CLONE3 = 56, 435
THREAD = 0x00010000
"""``CLONE_THREAD``: threads are let in, processes are not."""

OTHER_NUMBERS = 0x40000000
"""Numbers of the x32 interface begin here."""

LOAD, EQUAL, AT_LEAST, HAS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions of BPF: load a word, jump if equal, if at least, if it has a bit, return."""

ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
"""What becomes of a call; an error number is added to the last."""

NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def is_known() -> bool:
    """Tell whether the system calls of this machine are listed here."""
    machine = os.uname()
    return machine.sysname == "Linux" and machine.machine == "x86_64"


def restrict(*, network: bool) -> bool:
    """Give up system calls for good.

    Parameters
    ----------
    network
        Whether connections are kept.

    Returns
    -------
        Whether the kernel does it.
    """
    if not is_known():
        return False
    instructions = program(network=network)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    filter_of = _Program(length=len(instructions) // 8, instructions=instructions)
    return bool(libc.prctl(SECCOMP, FILTER, ctypes.byref(filter_of), 0, 0) == 0)


@cache
def program(*, network: bool) -> bytes:
    """Return the filter, as the kernel takes it.

    Parameters
    ----------
    network
        Whether connections are kept.
    """
    refused = REFUSE | errno.EPERM
    steps = [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, X86_64),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, 0),
        (AT_LEAST, 0, 1, OTHER_NUMBERS),
        (RETURN, 0, 0, refused),
        # The library asks for a thread by the older call where this one is not known.
        (EQUAL, 0, 1, CLONE3),
        (RETURN, 0, 0, REFUSE | errno.ENOSYS),
        (EQUAL, 0, 4, CLONE),
        (LOAD, 0, 0, 16),
        (HAS, 1, 0, THREAD),
        (RETURN, 0, 0, refused),
        (RETURN, 0, 0, ALLOW),
    ]
    for number in (*PROCESSES, *SYSTEM, *CHANGES, *MORE_CHANGES, *(() if network else NETWORK)):
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, refused)]
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBL", *step) for step in steps)
