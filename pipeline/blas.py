"""Linear algebra on one thread.

The threads of a BLAS library wait for each other by spinning. Where another process has a core, a
product of small matrices then takes a hundred times as long; the pipeline's own threads do not.
"""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which BLAS libraries use the calling thread only."""
    context: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return context


@cache
def _controller() -> ThreadpoolController:
    """Return the control of the libraries that are loaded."""
    return ThreadpoolController()
