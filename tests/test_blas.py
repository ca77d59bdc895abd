"""BLAS libraries are held to one thread, and let go again."""

import numpy as np
from threadpoolctl import threadpool_info

from pipeline.blas import one_thread


def _threads() -> list[int]:
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


def test_blas_has_one_thread_inside_and_what_it_had_outside() -> None:
    np.ones((8, 8)) @ np.ones((8, 8))
    before = _threads()
    assert before
    with one_thread():
        assert set(_threads()) == {1}
    assert _threads() == before
