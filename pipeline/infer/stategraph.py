"""A graph with its state as inputs and outputs, held to its contract.

Shapes are fixed and all arrays are float32. A state that goes in is never written to: the caller
may keep it, save it, and go on from it as often as wanted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelContractBroken
from pipeline.infer.bundle import Member
from pipeline.infer.session import Session, checked_output, declared_shape, open_session

Shaped = tuple[tuple[str, tuple[int, ...]], ...]
"""Names of arrays with their shapes, in the graph's order."""

Arrays = tuple[NDArray[np.float32], ...]
"""Arrays in a graph's order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StateContract:
    """What goes in and comes out at every step."""

    inputs: Shaped
    """What is new at a step."""

    state: Shaped
    """The state: inputs of these names, after the new ones, and outputs named ``next_...``."""

    outputs: Shaped
    """What a step gives, before the state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StateGraph:
    """A session that keeps its contract."""

    name: str
    """Name in messages."""

    session: Session
    """The open session."""

    contract: StateContract
    """What goes in and comes out."""

    def __call__(self, inputs: Arrays, state: Arrays) -> tuple[Arrays, Arrays]:
        """Do one step.

        Parameters
        ----------
        inputs, state
            In the contract's order and shapes.

        Returns
        -------
            What the step gives, and the next state.

        Raises
        ------
        ModelContractBroken
            If an output has another shape or type, or holds a value that is not finite.
        """
        contract = self.contract
        feed = {
            name: np.ascontiguousarray(array, dtype=np.float32)
            for (name, _), array in zip(
                (*contract.inputs, *contract.state), (*inputs, *state), strict=True
            )
        }
        agreed = _given(contract)
        found = self.session.run([name for name, _ in agreed], feed)
        checked = tuple(
            checked_output(f"{self.name}.{name}", array, shape)
            for array, (name, shape) in zip(found, agreed, strict=True)
        )
        return checked[: len(contract.outputs)], checked[len(contract.outputs) :]


def open_state_graph(member: Member, contract: StateContract, *, threads: int) -> StateGraph:
    """Open a graph on the CPU and check its contract.

    Raises
    ------
    BundleRejected
        If the file is not the one of the bundle, or no graph that can be run.
    ModelContractBroken
        If a name, a type or a length is another than the contract's.
    """
    session = open_session(member, threads=threads, is_fixed=True)
    sides = (
        ("inputs", session.get_inputs(), (*contract.inputs, *contract.state)),
        ("outputs", session.get_outputs(), _given(contract)),
    )
    for side, tensors, agreed in sides:
        found = [(t.name, t.type, declared_shape(t.shape)) for t in tensors]
        if found != [(name, "tensor(float)", shape) for name, shape in agreed]:
            raise ModelContractBroken(f"{member.name}: {side} {found}, not float {agreed}")
    return StateGraph(name=member.name, session=session, contract=contract)


def _given(contract: StateContract) -> Shaped:
    """Return the outputs of the graph, in order."""
    return (*contract.outputs, *((f"next_{name}", shape) for name, shape in contract.state))
