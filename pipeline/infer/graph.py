"""A session with several inputs, held to its contract: a function from named arrays to one array.

``pipeline.infer.session.Network`` is the same for one input.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelContractBroken
from pipeline.infer.bundle import Member
from pipeline.infer.session import (
    Session,
    checked_output,
    declared_shape,
    open_session,
    run_session,
)
from pipeline.infer.terms import CPU

Shape = tuple[int | None, ...]
"""Lengths of the axes; None has any length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphContract:
    """Inputs and one output, all of float32."""

    inputs: tuple[tuple[str, Shape], ...]
    """Name and shape of each input, in the graph's order."""

    output_name: str
    """Name of the output."""

    output_shape: Shape
    """Its shape."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """A session that keeps its contract."""

    name: str
    """Name in messages."""

    session: Session
    """The open session."""

    contract: GraphContract
    """What goes in and comes out."""

    def __call__(self, *arrays: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the graph.

        Parameters
        ----------
        arrays
            The inputs, in the contract's order.

        Raises
        ------
        ModelContractBroken
            If the output has another shape or type, or holds a value that is not finite.
        """
        contract = self.contract
        feed = {
            name: np.ascontiguousarray(array, dtype=np.float32)
            for (name, _), array in zip(contract.inputs, arrays, strict=True)
        }
        output = run_session(self.session, contract.output_name, feed)
        return checked_output(self.name, output, contract.output_shape)


def open_graph(
    member: Member, contract: GraphContract, *, threads: int, providers: Sequence[str] = CPU
) -> Graph:
    """Open a graph and check its contract.

    Raises
    ------
    BundleRejected
        If the file is not the one of the bundle, or no graph that can be run.
    ModelContractBroken
        If a name, a type, a length or the freedom of an axis is another than the contract's.
    """
    session = open_session(member, threads=threads, providers=providers)
    sides = (
        ("inputs", session.get_inputs(), list(contract.inputs)),
        ("output", session.get_outputs(), [(contract.output_name, contract.output_shape)]),
    )
    for side, tensors, agreed in sides:
        found = [(t.name, t.type, declared_shape(t.shape)) for t in tensors]
        if found != [(name, "tensor(float)", shape) for name, shape in agreed]:
            raise ModelContractBroken(f"{member.name}: {side} {found}, not float {agreed}")
    return Graph(name=member.name, session=session, contract=contract)
