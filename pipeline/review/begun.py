"""Logins at a provider that were begun here and have not ended.

Each is bound to the browser that began it, ends after ten minutes, and is used once.
"""

import hashlib
import hmac
import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from pipeline.gateways.oidc import Asked

LONGEST = timedelta(minutes=10)
"""Time in which a login must be ended."""

MOST = 1000
"""Logins that are begun at a time; the earliest is forgotten first."""


class Begun:
    """Logins that were begun and have not ended."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Asked, str, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, asked: Asked, bound: str, at: datetime) -> None:
        """Keep a login with the digest of what binds it to a browser."""
        with self._lock:
            self._kept[asked.state] = (asked, bound, at)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def take(self, state: str, binding: str, at: datetime) -> Asked | None:
        """Return a login once; None if there is none, or it is another browser's or too old."""
        with self._lock:
            asked, bound, begun = self._kept.pop(state, (None, "", at))
        if asked is None or not hmac.compare_digest(bound, digest_of_binding(binding)):
            return None
        return asked if at - begun < LONGEST else None


def digest_of_binding(binding: str) -> str:
    """Return what is kept of what binds a login to a browser."""
    return hashlib.sha256(binding.encode()).hexdigest()
