"""Sessions on a graphics card: inputs go there from memory that stays in place, outputs come once.

``session.run`` copies each input from memory that the system may move, which the card can only do
by way of a buffer. Here inputs are written into memory that ONNX Runtime has pinned for the card,
kept for the next run of the same shape; the graph's own tensors never leave the card, and only what
was asked for is copied back. Not measured: no machine with a card was at hand.
"""

from collections.abc import Sequence
from threading import local

import numpy as np
import onnxruntime
from numpy.typing import NDArray

CUDA = "CUDAExecutionProvider"
"""ONNX Runtime's provider for cards of NVIDIA."""

CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
"""TF32 keeps 10 bits of a factor, which is another result than the processor's. A search among
algorithms may choose others in the next process, and so other bits."""


class BoundSession:
    """A session that is run by IO binding; from several threads at once, each with its memory.

    Parameters
    ----------
    session
        The open session.
    device
        Where outputs are made: ``cuda``, or ``cpu``.
    staging
        ONNX Runtime's name for the memory that inputs are written to; None takes the system's.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        device: str,
        staging: onnxruntime.OrtMemoryInfo | None,
    ) -> None:
        self._session, self._device, self._staging = session, device, staging
        self._kept = local()
        self.get_inputs = session.get_inputs
        self.get_outputs = session.get_outputs
        self.get_providers = session.get_providers

    def run(
        self,
        output_names: Sequence[str],
        feed: dict[str, NDArray[np.float32]],
        run_options: object = None,
    ) -> list[NDArray[np.float32]]:
        """Run the graph."""
        binding = self._session.io_binding()
        for name, array in feed.items():
            if self._staging is None:
                binding.bind_cpu_input(name, array)
            else:
                binding.bind_ortvalue_input(name, self._staged(name, array))
        for name in output_names:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding, run_options)
        found: list[NDArray[np.float32]] = binding.copy_outputs_to_cpu()
        return found

    def _staged(self, name: str, array: NDArray[np.float32]) -> onnxruntime.OrtValue:
        """Return an input, written to this thread's memory of its shape."""
        kept = self._kept.__dict__
        value = kept.get(name)
        if value is None or tuple(value.shape()) != array.shape:
            value = kept[name] = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                array.shape, array.dtype, memory_info=self._staging
            )
        value.numpy()[...] = array
        return value


def pinned_memory(provider: str) -> onnxruntime.OrtMemoryInfo | None:
    """Return ONNX Runtime's name for memory that a provider's device reads by itself, if any."""
    kind = onnxruntime.OrtDeviceMemoryType.HOST_ACCESSIBLE
    for device in onnxruntime.get_ep_devices():
        if device.ep_name == provider:
            memory: onnxruntime.OrtMemoryInfo | None = device.memory_info(kind)
            return memory if memory is not None and can_hold(memory) else None
    return None


def can_hold(memory: onnxruntime.OrtMemoryInfo) -> bool:
    """Tell whether values can be made in a memory: its allocator need not be registered."""
    try:
        onnxruntime.OrtValue.ortvalue_from_shape_and_type([1], np.float32, memory_info=memory)
    except RuntimeError:
        return False
    return True
