"""Do what comes first in a thread of its own, a few items ahead of what comes after.

Pictures are received, squeezed and measured while the encoder works on the ones before them: most
of both is native code that needs no lock of Python's.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

ITEMS_AHEAD = 2
"""Items that are made ahead: more would hold memory and save nothing."""


class _End:
    """Comes after the last item."""


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items of an iterable in order, made in a thread of its own.

    What the iterable raises is raised after the items before it. When this iterator is closed
    early, the item that is being made is waited for, and no other is made.

    Parameters
    ----------
    items
        What is made ahead.
    """
    source, end = iter(items), _End()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
    try:
        waiting = deque(pool.submit(next, source, end) for _ in range(ITEMS_AHEAD))
        while not isinstance(item := waiting.popleft().result(), _End):
            waiting.append(pool.submit(next, source, end))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
