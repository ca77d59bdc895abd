"""One arena of memory for the networks whose shapes are fixed, and how it is given back.

Without one, every tensor of every run is asked of the C library. A network that sees a picture a
second for hours leaves its heap in pieces then, half a megabyte more a picture, and side by side
networks wait for the system to map what another has just returned. An arena keeps what it has for
the next run: as much as the runs that go on at once need, where no length follows the size of an
image. After a job it is given back.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnxruntime

NOTHING = (
    b'\x08\n:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02'
    b"\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x12"
)
"""An ONNX file of one number that stays what it is: the arena is given back at the end of a run."""

ONE_NUMBER = {"x": np.zeros(1, np.float32)}
"""What it takes."""


def use_arena(options: "onnxruntime.SessionOptions") -> None:
    """Have a session that is to be opened take its memory from the arena of all."""
    _registered()
    _take_from_it(options)


def give_back_arena() -> None:
    """Return what no run needs now; does nothing in a process where nobody uses the arena."""
    if not _registered.cache_info().currsize:
        return
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _registered().run(None, ONE_NUMBER, options)


@cache
def _registered() -> "onnxruntime.InferenceSession":
    """Register the arena, once a process, and return a session on it that computes nothing."""
    # Only now: what gives back is asked for in processes, too, that run no network.
    import onnxruntime

    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(place, None)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    _take_from_it(options)
    session = onnxruntime.InferenceSession(NOTHING, options, providers=["CPUExecutionProvider"])
    # The arena never gives back the first piece that it has taken: let it be a small one.
    session.run(None, ONE_NUMBER)
    return session


def _take_from_it(options: "onnxruntime.SessionOptions") -> None:
    options.enable_cpu_mem_arena = True
    options.add_session_config_entry("session.use_env_allocators", "1")
