"""Graphs in 16 bits, as ONNX Runtime's provider for the processor runs them, or refuses to."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.graphs import (
    GRAPHS,
    apart,
    at_level,
    example,
    graph_row,
    off_by,
    served,
    times_of,
)
from benchmarks.row import Missing, Row, Terms
from benchmarks.unrounded import unrounded
from pipeline.infer.session import REFUSALS

KINDS = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}
"""Types of 16 bits by their names."""

MOST = float(np.finfo(np.float16).max)
"""The largest value that both types hold."""

OPSET = 22
"""The operator set that graphs in 16 bits are written for: the first with a convolution in
bfloat16."""

IN_FLOAT = {"Resize": (1, 2)}
"""Inputs of operators that are never of 16 bits: scales and regions."""


def half_rows(terms: Terms) -> Iterator[Row | Missing]:
    """Yield each graph over itself in 16 bits, where ONNX Runtime opens it."""
    full = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    for model, name in GRAPHS:
        feed, ours = example((model, name)), served(model, name, 1)
        plain = unrounded((model, name), terms.place)
        for kind, number in KINDS.items():
            against = f"onnxruntime, {kind}"
            path = terms.place / f"{name}_{kind}.onnx"
            write_in(number, plain, path)
            try:
                other = at_level(path, 1, full)
                difference = apart(ours(feed), other(feed))
            except REFUSALS as problem:
                first = str(problem).strip().splitlines()[0].replace(f"{path}", path.name)
                yield Missing(against=f"{against}, {name}", reason=first)
                continue
            times = times_of(terms, feed, ours, other)
            yield graph_row((model, name), 1, against, times, off_by(difference))


def write_in(kind: int, path: Path, into: Path) -> None:
    """Write a graph that computes in another type, its inputs and outputs as they were.

    Parameters
    ----------
    kind
        A value of ``TensorProto.DataType``.
    path
        The graph in single precision.
    into
        The file to write.
    """
    model = onnx.load(path)
    graph = model.graph
    kept = {
        node.input[index]
        for node in graph.node
        for index in IN_FLOAT.get(node.op_type, ())
        if index < len(node.input)
    }
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            values = numpy_helper.to_array(tensor)
            # What masks is further from zero than half precision reaches.
            half = np.clip(values, -MOST, MOST).astype(helper.tensor_dtype_to_np_dtype(kind))
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to":
                attribute.i = kind if attribute.i == TensorProto.FLOAT else attribute.i
    for operators in model.opset_import:
        operators.version = max(operators.version, OPSET)
    _keep_edges(graph, kind)
    del graph.value_info[:]
    onnx.save(model, into)


def _keep_edges(graph: onnx.GraphProto, kind: int) -> None:
    """Convert inputs after they come in, and outputs before they go out."""
    incoming = {value.name: f"{value.name}.half" for value in graph.input}
    outgoing = {value.name: f"{value.name}.half" for value in graph.output}
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = {**outgoing, **incoming}.get(name, name)
        for index, name in enumerate(node.output):
            node.output[index] = outgoing.get(name, name)
    first = [helper.make_node("Cast", [a], [b], to=kind) for a, b in incoming.items()]
    last = [helper.make_node("Cast", [b], [a], to=TensorProto.FLOAT) for a, b in outgoing.items()]
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)
