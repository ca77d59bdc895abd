"""An operator as an ONNX graph, written node by node.

Written and not traced, because the kernel's size is an input's: ``basis`` has as many rows and
columns as the grid asks for, and one graph serves every matrix. A convolution pads itself to the
same size, which needs no node of its own.
"""

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from models.perfusion.export import store_in_half_precision
from models.reconstruction.disco import SLOPE, Block, Disco, Operator
from pipeline.analyses.reconstruction.basis import N_BASIS

OPSET = 18
IR_VERSION = 10


class _Writer:
    """Collects the nodes and weights of a graph."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def weight(self, values: object, name: str) -> str:
        """Add a constant and return its name."""
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node and return the name of its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output


def write_operator(operator: Operator) -> bytes:
    """Return an operator as an ONNX file.

    Its inputs are ``image`` and, for DISCO kernels, ``basis``; its output is ``change``.

    Parameters
    ----------
    operator
        Its weights should be exact in half precision: so they are stored.
    """
    writer = _Writer()
    is_disco = isinstance(operator.down[0].first, Disco)
    if is_disco:
        flat = writer.weight(np.array([N_BASIS, -1], dtype=np.int64), "flat_shape")
        writer.node("Reshape", ["basis", flat], "flat_basis")
        writer.node("Shape", ["basis"], "kernel_sides", start=1)
    value, kept = "image", []
    for index, block in enumerate(operator.down):
        if index:
            value = writer.node(
                "AveragePool", [value], f"pooled_{index}", kernel_shape=[2, 2], strides=[2, 2]
            )
        value = _block(writer, block, value, f"down_{index}")
        kept.append(value)
    kept.pop()
    scales = writer.weight(np.array([1, 1, 2, 2], dtype=np.float32), "scales")
    for index, block in enumerate(operator.up):
        value = writer.node(
            "Resize",
            [value, "", scales],
            f"grown_{index}",
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        value = writer.node("Concat", [value, kept.pop()], f"joined_{index}", axis=1)
        value = _block(writer, block, value, f"up_{index}")
    head = writer.weight(operator.head.weight.detach().numpy(), "head")
    writer.node("Conv", [value, head], "change", kernel_shape=[1, 1])
    return _serialised(writer, operator, is_disco=is_disco)


def _block(writer: _Writer, block: Block, value: str, name: str) -> str:
    """Add two convolutions, each with its rectifier."""
    for place, convolution in (("first", block.first), ("second", block.second)):
        label = f"{name}_{place}"
        kernel = _kernel(writer, convolution, label)
        value = writer.node("Conv", [value, kernel], f"{label}_sum", auto_pad="SAME_UPPER")
        value = writer.node("LeakyRelu", [value], label, alpha=SLOPE)
    return value


def _kernel(writer: _Writer, convolution: object, label: str) -> str:
    """Add a kernel: constant, or the basis times the weights."""
    weight = convolution.weight.detach().numpy()
    if not isinstance(convolution, Disco):
        return writer.weight(weight, f"{label}_kernel")
    n_out, n_in, n_basis = weight.shape
    weights = writer.weight(weight.reshape(n_out * n_in, n_basis), f"{label}_weights")
    channels = writer.weight(np.array([n_out, n_in], dtype=np.int64), f"{label}_channels")
    flat = writer.node("MatMul", [weights, "flat_basis"], f"{label}_flat")
    shape = writer.node("Concat", [channels, "kernel_sides"], f"{label}_shape", axis=0)
    return writer.node("Reshape", [flat, shape], f"{label}_kernel")


def _serialised(writer: _Writer, operator: Operator, *, is_disco: bool) -> bytes:
    """Return the graph as a file, its weights in half precision."""
    first = operator.down[0].first.weight.shape[1]
    image = helper.make_tensor_value_info(
        "image", TensorProto.FLOAT, ["batch", first, "height", "width"]
    )
    basis = helper.make_tensor_value_info(
        "basis", TensorProto.FLOAT, [N_BASIS, "kernel_height", "kernel_width"]
    )
    change = helper.make_tensor_value_info(
        "change",
        TensorProto.FLOAT,
        ["batch", operator.head.weight.shape[0], "height", "width"],
    )
    graph = helper.make_graph(
        writer.nodes, "operator", [image, basis] if is_disco else [image], [change], writer.weights
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
    store_in_half_precision(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
