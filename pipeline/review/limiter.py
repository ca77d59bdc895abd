"""A limit on failed logins, by account and by address.

An attempt counts when it begins, so that many at once are no way around it; one that succeeds is
taken back. What was counted is forgotten when the server ends.
"""

import threading
from collections import OrderedDict, deque
from datetime import datetime, timedelta

MOST_KEYS = 10_000
"""Accounts and addresses that are remembered; the one that is longest silent is forgotten first."""

FROM_ONE_ADDRESS = 4
"""Failures from an address for each that an account may have."""


class Limiter:
    """Counts attempts.

    Parameters
    ----------
    attempts
        Failures of an account after which it waits.
    attempts_s
        Time in which they are counted [s].
    """

    def __init__(self, attempts: int = 5, attempts_s: float = 300.0) -> None:
        self._attempts, self._span = attempts, timedelta(seconds=attempts_s)
        self._counted: OrderedDict[tuple[str, str], deque[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, account: str, address: str, at: datetime) -> float:
        """Count an attempt; return 0, or the time to wait if it must not be made [s]."""
        with self._lock:
            keys = self._keys(account, address)
            wait_s = max(self._wait_s(key, limit, at) for key, limit in keys)
            if wait_s > 0:
                return wait_s
            for key, _ in keys:
                self._counted.setdefault(key, deque()).append(at)
                self._counted.move_to_end(key)
            while len(self._counted) > MOST_KEYS:
                self._counted.popitem(last=False)
            return 0.0

    def succeeded(self, account: str, address: str) -> None:
        """Forget the failures of an account, and the attempt from an address."""
        with self._lock:
            self._counted.pop(("account", account), None)
            counted = self._counted.get(("address", address))
            if counted:
                counted.pop()

    def _keys(self, account: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
        """Return what is counted of an attempt, with the limits."""
        return (
            (("account", account), self._attempts),
            (("address", address), FROM_ONE_ADDRESS * self._attempts),
        )

    def _wait_s(self, key: tuple[str, str], limit: int, at: datetime) -> float:
        """Return the time until another attempt may be made [s]; forget those of long ago."""
        counted = self._counted.get(key)
        if counted is None:
            return 0.0
        while counted and counted[0] <= at - self._span:
            counted.popleft()
        if len(counted) < limit:
            return 0.0
        return (counted[0] + self._span - at).total_seconds()
