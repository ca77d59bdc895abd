"""Where the time of a record comes from: this machine's clock, and whether something keeps it.

References
----------
.. [A] Linux, adjtimex(2): the record that is asked for, and what its status says.
"""

import ctypes
import struct
import time
from dataclasses import dataclass
from socket import gethostname

TIME_ERROR = 5
"""What Linux answers while nothing, such as NTP, keeps the clock [A]_."""

UNSYNCHRONISED = 0x0040
"""STA_UNSYNC: bit of the status that says the same [A]_."""

FIELDS = struct.Struct("@I4xqqqqi")
"""The record's beginning on Linux of 64 bits: modes, offset, frequency, greatest and estimated
error [us], status [A]_."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WallClock:
    """How this machine's clock is."""

    state: str
    """``synchronised``, ``unsynchronised``, or ``unknown`` where the system does not say."""

    error_s: float | None
    """The error that whoever keeps it estimates [s]; None where the system does not say."""

    zone: str
    """Time zone of the machine; the ledger's times are UTC."""

    @property
    def source(self) -> str:
        """What the audit log tells of it when it changes: the error does all the time."""
        return f"{self.state}, zone {self.zone}"


def kept_by() -> str:
    """Return the machine's name, and whether its clock is synchronised with another: 64 characters.

    Where the system does not say, as in a sandbox that forbids the question, it is "unknown".
    """
    return f"{gethostname()[:48]} {wall_clock().state}"


def wall_clock() -> WallClock:
    """Return what the kernel says of this machine's clock."""
    zone = time.strftime("%Z")
    # All zero asks and changes nothing; the record of Linux is 208 bytes.
    asked = ctypes.create_string_buffer(512)
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    answer = -1 if adjtimex is None else adjtimex(asked)
    if answer < 0:
        return WallClock(state="unknown", error_s=None, zone=zone)
    error_us, status = FIELDS.unpack(asked.raw[: FIELDS.size])[4:]
    is_loose = answer == TIME_ERROR or bool(status & UNSYNCHRONISED)
    return WallClock(
        state="unsynchronised" if is_loose else "synchronised", error_s=error_us / 1e6, zone=zone
    )
