"""The graph of the encoder in eight bits: standard operators, between quantised tensors.

    python -m models.phases.eightgraph

Calibrates the encoder on frames of operations, and writes ``runs/encoder.onnx``.

Runtimes that compute in whole numbers take each convolution with what stands around it as one (QDQ
form of ONNX); others compute the same in single precision. ReLU6 has no node: the largest whole
number after it stands for 6 or less, and rounding ends there.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from models.phases.eightbits import PICTURE, EightBits, Grid, calibrated
from models.phases.encoder import (
    N_FEATURES,
    PICTURE_SIDE,
    Convolution,
    fused,
    imagenet_encoder,
    walk,
)
from models.phases.frames import calibration_pictures
from models.phases.train import DATA, RUNS

OPSET, IR_VERSION = 18, 10
"""Versions of ONNX's operators and of its file format."""

Tensor = tuple[str, Grid, int]
"""Name of a tensor in the graph, what its whole numbers stand for, and its rows."""


def write_eight_bits(eight: EightBits, path: Path) -> None:
    """Write the encoder: ``image`` (1, 3, 224, 224) in, ``features`` (1, 1280) out.

    Parameters
    ----------
    eight
        The encoder.
    path
        The file.
    """
    graph = _Graph(eight)
    graph.constant("picture.unit", np.float32(1))
    graph.constant("picture.nothing", np.uint8(0))
    whole = graph.node("QuantizeLinear", ["image", "picture.unit", "picture.nothing"], "picture")
    stem = graph.taken_as("picture", whole, PICTURE)
    last, _, _ = walk(eight.encoder, graph, (stem, PICTURE, PICTURE_SIDE))
    mean = graph.node("GlobalAveragePool", [last], "mean")
    graph.constant("shape", np.array([1, N_FEATURES], dtype=np.int64))
    graph.node("Reshape", [mean, "shape"], "features")
    model = graph.model()
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """Writes the nodes of an encoder as it is walked through."""

    def __init__(self, eight: EightBits) -> None:
        self._eight = eight
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def convolve(self, name: str, layer: Convolution, value: Tensor) -> Tensor:
        """Write a convolution, and what its output is rounded to."""
        (source, grid, rows), place = value, self._eight.places[name]
        convolution = layer.convolution
        scale = place.scale.numpy()
        self.constant(f"{name}.weight", place.weight.numpy().astype(np.int8))
        self.constant(f"{name}.weight_scale", scale)
        self.constant(f"{name}.bias", place.bias.numpy().astype(np.int32))
        self.constant(f"{name}.bias_scale", scale * np.float32(grid.scale))
        inputs = [source]
        for what in ("weight", "bias"):
            stored = [f"{name}.{what}", f"{name}.{what}_scale"]
            inputs.append(self.node("DequantizeLinear", stored, f"{name}.{what}_values", axis=0))
        before, after = layer.sides(rows)
        made = self.node(
            "Conv",
            inputs,
            f"{name}.sums",
            kernel_shape=convolution.kernel_size,
            strides=convolution.stride,
            pads=(before, before, after, after),
            group=convolution.groups,
        )
        return self._rounded(name, made, place.grid), place.grid, -(-rows // convolution.stride[0])

    def add(self, name: str, value: Tensor, changed: Tensor) -> Tensor:
        """Write a sum, and what it is rounded to."""
        grid = self._eight.sums[name]
        made = self.node("Add", [value[0], changed[0]], f"{name}.sums")
        return self._rounded(name, made, grid), grid, value[2]

    def taken_as(self, name: str, whole: str, grid: Grid) -> str:
        """Write that whole numbers stand for values of a grid."""
        self.constant(f"{name}.scale", np.float32(grid.scale))
        self.constant(f"{name}.zero", np.uint8(grid.zero))
        stored = [whole, f"{name}.scale", f"{name}.zero"]
        return self.node("DequantizeLinear", stored, f"{name}.values")

    def constant(self, name: str, values: ArrayLike) -> None:
        """Add a constant."""
        self._constants.append(numpy_helper.from_array(np.asarray(values), name))

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node, and return the name of what it gives."""
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def model(self) -> onnx.ModelProto:
        """Return what has been written."""
        side = PICTURE_SIDE
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, N_FEATURES])
        return helper.make_model(
            helper.make_graph(self._nodes, "encoder", [image], [features], self._constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )

    def _rounded(self, name: str, made: str, grid: Grid) -> str:
        """Write that values are rounded to a grid."""
        whole = self.node(
            "QuantizeLinear", [made, f"{name}.scale", f"{name}.zero"], f"{name}.whole"
        )
        return self.taken_as(name, whole, grid)


def main(arguments: Sequence[str] | None = None) -> None:
    """Calibrate the encoder and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA / "frames")
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    eight = calibrated(fused(imagenet_encoder()), calibration_pictures(options.data))
    write_eight_bits(eight, options.runs / "encoder.onnx")


if __name__ == "__main__":
    main()
