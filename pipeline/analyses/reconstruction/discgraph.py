"""What an operator's graph computes, as steps that need not be done by ONNX Runtime.

The steps are read from the graph that ships, and a graph that holds anything else has none: it is
run as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.infer.onnxnodes import Attribute, Node, Nodes

SINGLE = 1
"""ONNX's number of single precision."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolve:
    """A convolution with kernels on the disc, zero outside, and the rectifier after it."""

    source: str
    target: str

    weights: NDArray[np.float32]
    """Of the basis functions. Shape ``(out, in, 9)``."""

    slope: float
    """Of the rectifier, for negative values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Means of two by two pixels."""

    source: str
    target: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """The channels of an image that is made twice as large, then those of another."""

    source: str
    """The smaller one."""

    kept: str
    target: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """Sums of channels."""

    source: str
    target: str

    weights: NDArray[np.float32]
    """Shape ``(out, in)``."""


Step = Convolve | Pool | Join | Mix


class _Other(Exception):
    """The graph holds something that no step does."""


def steps_of(graph: Nodes) -> tuple[Step, ...] | None:
    """Return a graph's steps; None if it holds something else.

    Parameters
    ----------
    graph
        Its inputs are ``image`` and ``basis``, its output is that of its last node.
    """
    try:
        return _Reader(graph).steps()
    except _Other:
        return None


def _check_sources(steps: Sequence[Step]) -> None:
    """Check that each step takes what one before it gives, and only a convolution what is joined.

    Raises
    ------
    _Other
        If one does not.
    """
    joined = {"image": False}
    for step in steps:
        if joined.get(step.source, True) and not isinstance(step, Convolve):
            raise _Other
        if {step.source, step.kept if isinstance(step, Join) else step.source} - joined.keys():
            raise _Other
        joined[step.target] = isinstance(step, Join)


class _Reader:
    """Finds the steps of a graph."""

    def __init__(self, graph: Nodes) -> None:
        self._graph = graph
        self._made = {node.output: node for node in graph.nodes}
        self._done: set[str] = set()

    def steps(self) -> tuple[Step, ...]:
        """Return the steps.

        Raises
        ------
        _Other
            If a node belongs to none.
        """
        found = [
            step
            for step in (self._step(node) for node in self._graph.nodes if node.inputs)
            if step is not None
        ]
        left = [node.output for node in self._graph.nodes if node.output not in self._done]
        if left or not found or found[-1].target != self._graph.nodes[-1].output:
            raise _Other
        _check_sources(found)
        return tuple(found)

    def _step(self, node: Node) -> Step | None:
        """Return the step that ends with a node; None for one within a step."""
        source = node.inputs[0]
        if node.operator == "LeakyRelu":
            weights = self._kernel(source)
            slope = node.attributes.get("alpha")
            if not isinstance(slope, float):
                raise _Other
            before = self._made[source].inputs[0]
            return self._end(
                node, Convolve(source=before, target=node.output, weights=weights, slope=slope)
            )
        if node.operator == "AveragePool":
            self._expect(node, kernel_shape=(2, 2), strides=(2, 2))
            return self._end(node, Pool(source=source, target=node.output))
        if node.operator == "Concat" and node.attributes == {"axis": 1}:
            grown = self._grown(source)
            if len(node.inputs) != 2:
                raise _Other
            return self._end(node, Join(source=grown, kept=node.inputs[1], target=node.output))
        if node.operator == "Conv" and node.attributes == {"kernel_shape": (1, 1)}:
            weights = self._constant(node.inputs[-1])
            if len(node.inputs) != 2:
                raise _Other
            return self._end(
                node, Mix(source=source, target=node.output, weights=weights[:, :, 0, 0])
            )
        return None

    def _end(self, node: Node, step: Step) -> Step:
        self._done.add(node.output)
        return step

    def _grown(self, name: str) -> str:
        """Return what is made twice as large, between its points, to make a value."""
        node = self._node(name, "Resize")
        self._expect(node, mode="linear", coordinate_transformation_mode="half_pixel")
        if len(node.inputs) != 3 or node.inputs[1]:
            raise _Other
        if self._constant(node.inputs[2]).tolist() != [1.0, 1.0, 2.0, 2.0]:
            raise _Other
        return node.inputs[0]

    def _kernel(self, name: str) -> NDArray[np.float32]:
        """Return the weights of the convolution that makes a value. Shape ``(out, in, 9)``."""
        convolution = self._node(name, "Conv")
        self._expect(convolution, auto_pad="SAME_UPPER")
        if len(convolution.inputs) != 2:
            raise _Other
        shaped = self._node(convolution.inputs[1], "Reshape")
        product = self._node(shaped.inputs[0], "MatMul")
        flat = self._node(product.inputs[1], "Reshape")
        shape = self._node(shaped.inputs[1], "Concat")
        sides = self._node(shape.inputs[-1], "Shape")
        if flat.inputs[0] != "basis" or sides.inputs != ("basis",):
            raise _Other
        self._expect(sides, start=1)
        n_out, n_in = self._lengths(shape.inputs[0])
        n_basis, rest = self._lengths(flat.inputs[1])
        weights = self._constant(product.inputs[0])
        if rest != -1 or weights.shape != (n_out * n_in, n_basis):
            raise _Other
        return weights.reshape(n_out, n_in, n_basis)

    def _node(self, name: str, operator: str) -> Node:
        """Return the node that makes a value, which has to be of one kind."""
        node = self._made.get(name)
        if node is None or node.operator != operator:
            raise _Other
        self._done.add(name)
        return node

    def _expect(self, node: Node, **attributes: Attribute) -> None:
        """Check that a node has these settings and no other."""
        if node.attributes != attributes:
            raise _Other

    def _constant(self, name: str) -> NDArray[np.float32]:
        """Return a constant in single precision, which may be stored in half."""
        node = self._made.get(name)
        if node is not None:
            self._expect(self._node(name, "Cast"), to=SINGLE)
            name = node.inputs[0]
        values = self._graph.constants.get(name)
        if values is None or values.dtype.kind != "f":
            raise _Other
        return values.astype(np.float32)

    def _lengths(self, name: str) -> list[int]:
        """Return a constant of whole numbers."""
        values = self._graph.constants.get(name)
        if values is None or values.dtype.kind != "i":
            raise _Other
        return [int(value) for value in values]
