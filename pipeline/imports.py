"""Import what a command or an analysis needs in one go."""

import gc
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_one_go() -> Iterator[None]:
    """Import without a look for garbage meanwhile, and never look through what was imported.

    Modules stay until the process ends. To look through them again and again, while there are more
    and more, takes a seventh of the time that they take to import, and a tenth of what it takes to
    write a result. Where nothing new was imported, as in a process's second job, nothing is set
    aside: what a job leaves has to be found.

    A request to end waits: libraries make an ImportError of it, and a job would have failed.
    """
    was_enabled, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        with _undisturbed():
            yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Have SIGINT and SIGTERM come afterwards."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread is told of signals.
        yield
        return
    came: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not None
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for one in dict.fromkeys(came):
        signal.raise_signal(one)
