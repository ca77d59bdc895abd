"""IO binding gives what a plain run gives, from one thread and from several."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pipeline.errors import UnusableCall
from pipeline.infer.bound import CUDA, BoundSession, can_hold, pinned_memory
from pipeline.infer.bundle import Member, load_bundle
from pipeline.infer.session import check_providers, open_session

HOST = onnxruntime.OrtMemoryInfo(
    "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
)
"""Memory of the processor, which stands for what is pinned."""


@pytest.fixture(scope="module", autouse=True)
def allocator() -> None:
    """Have values made in that memory; sessions do not use it by themselves."""
    if not can_hold(HOST):
        onnxruntime.create_and_register_allocator(HOST, None)
    assert can_hold(HOST)


@pytest.fixture
def member(sound_bundle: Path) -> Member:
    return load_bundle(sound_bundle).members[0]


@pytest.mark.parametrize("staging", [HOST, None])
def test_a_bound_run_gives_the_same_bytes(
    member: Member, staging: onnxruntime.OrtMemoryInfo | None
) -> None:
    plain = open_session(member, threads=1)
    bound = BoundSession(plain, "cpu", staging)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    for batch in (3, 3, 1, 3):
        beats = rng.random((batch, 30, 64, 64), dtype=np.float32)
        (found,) = bound.run(["probabilities"], {"beats": beats})
        (expected,) = plain.run(["probabilities"], {"beats": beats})
        assert found.tobytes() == expected.tobytes()


def test_threads_do_not_write_into_each_others_inputs(member: Member) -> None:
    plain = open_session(member, threads=1)
    bound = BoundSession(plain, "cpu", HOST)  # type: ignore[arg-type]
    inputs = np.random.default_rng(1).random((8, 1, 30, 64, 64), dtype=np.float32)

    def run(beats: np.ndarray) -> bytes:
        return bound.run(["probabilities"], {"beats": beats})[0].tobytes()

    alone = [run(beats) for beats in inputs]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(run, inputs)) == alone


def test_what_a_run_gave_is_not_changed_by_the_next(member: Member) -> None:
    bound = BoundSession(open_session(member, threads=1), "cpu", HOST)  # type: ignore[arg-type]
    rng = np.random.default_rng(2)
    (first,) = bound.run(["probabilities"], {"beats": rng.random((1, 30, 64, 64), np.float32)})
    kept = first.copy()
    bound.run(["probabilities"], {"beats": rng.random((1, 30, 64, 64), np.float32)})
    np.testing.assert_array_equal(first, kept)


def test_without_its_package_a_card_is_refused_with_what_it_needs() -> None:
    if CUDA in onnxruntime.get_available_providers():
        check_providers([CUDA])
        return
    assert pinned_memory(CUDA) is None
    with pytest.raises(UnusableCall, match="CUDAExecutionProvider needs onnxruntime-gpu"):
        check_providers([CUDA])
