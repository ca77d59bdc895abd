"""Give back to the system what a job took."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache

from pipeline.infer.arena import give_back_arena

KEPT_BYTES = 0
"""Bytes that glibc may keep at the top of its heap."""


def give_back() -> None:
    """Have the networks' arena and the allocator return what was freed.

    A large input leaves a heap of free pages, which glibc keeps for the next
    (docs/bench/memory.md). Other allocators are left alone.
    """
    give_back_arena()
    trim = _trim()
    if trim is not None:
        trim(KEPT_BYTES)


@cache
def _trim() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim."""
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
