"""Which studies a session has looked at: a viewer asks for each frame, and the look is one."""

import threading
from collections import OrderedDict

MOST = 100_000
"""Looks that are remembered; one that is forgotten is told of once more."""


class Looks:
    """Remembers looks. It may be used from several threads."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    def is_first(self, session: str, study: str) -> bool:
        """Tell whether it is the first look of a session at a study."""
        key = session, study
        with self._lock:
            if key in self._seen:
                self._seen.move_to_end(key)
                return False
            self._seen[key] = None
            while len(self._seen) > MOST:
                self._seen.popitem(last=False)
            return True
