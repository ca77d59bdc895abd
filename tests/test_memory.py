"""What a job took is the system's again after it."""

import sys

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from pipeline.memory import give_back

MIB = 1 << 20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator is not glibc")
def test_free_pages_between_what_stays_are_given_back() -> None:
    # Small enough to come from the heap, which shrinks only from its end.
    held = [np.ones(100_000, dtype=np.uint8) for _ in range(1500)]
    stays = held[-1]
    held.clear()
    before = psutil.Process().memory_info().rss
    give_back()
    assert before - psutil.Process().memory_info().rss > 80 * MIB
    assert stays.sum() == 100_000
