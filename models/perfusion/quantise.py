"""Members of the pool in eight bits: what ships, made from graphs in single precision.

    python -m models.perfusion.quantise

Convolutions alone are done in eight bits, and all else in single precision: everything in eight
bits is further from it, and no faster. Weights get a scale for each output channel, activations one
for each tensor, found on patches of generated series that nothing else uses. Weights take seven of
the eight bits: a processor without VNNI sums pairs of products in sixteen bits, and two of them
then always fit, so that every processor finds the same. ``python -m benchmarks.choose`` tells what
that costs and what it saves.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from models.perfusion.augment import draw_patch
from models.perfusion.series import load_generated
from models.perfusion.trustbundle import BUNDLE, put_trust
from pipeline.infer.bundle import write_file_list
from pipeline.infer.terms import CPU

GRAPHS = Path(__file__).parent / "graphs"
"""Members in single precision: what is quantised, and what torch is compared with."""

FIRST_SEED = 70_000
"""Seed of the first generated series; those of the training begin at 10,000, of trust at 50,000."""

N_SERIES = 12
"""Generated series that patches are drawn from."""

N_PATCHES = 48
"""Patches that the range of every activation is found on."""


class _Patches(CalibrationDataReader):
    """Gives patches one at a time."""

    def __init__(self, patches: NDArray[np.float32]) -> None:
        self._left: Iterator[NDArray[np.float32]] = iter(patches)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next patch; None after the last."""
        patch = next(self._left, None)
        return None if patch is None else {"beats": patch[None]}


def calibration_patches() -> NDArray[np.float32]:
    """Return the patches that ranges are found on. Shape ``(48, 30, 64, 64)``."""
    series = [load_generated(seed) for seed in range(FIRST_SEED, FIRST_SEED + N_SERIES)]
    rng = np.random.default_rng(FIRST_SEED)
    drawn = [draw_patch(series[n % N_SERIES], rng)[0].numpy() for n in range(N_PATCHES)]
    return np.stack(drawn)


def write_eight_bits(graph: Path, patches: NDArray[np.float32], path: Path) -> None:
    """Write a member in eight bits.

    Parameters
    ----------
    graph
        The member in single precision.
    patches
        What ranges are found on. Shape ``(patches, 30, 64, 64)``.
    path
        File to write.
    """
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        options = onnxruntime.SessionOptions()
        # Constants that are kept in half precision are resolved first, or none is quantised.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = os.fspath(plain)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(graph, sess_options=options, providers=list(CPU))
        quantize_static(
            plain,
            path,
            _Patches(patches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            reduce_range=True,
        )
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def quantise_pool() -> None:
    """Write every member of the pool into the bundle, in eight bits."""
    patches = calibration_patches()
    for graph in sorted(GRAPHS.glob("member_*.onnx")):
        write_eight_bits(graph, patches, BUNDLE / "models" / graph.name)
    write_file_list(BUNDLE)
    put_trust(BUNDLE)


if __name__ == "__main__":
    quantise_pool()
