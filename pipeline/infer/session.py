"""ONNX Runtime sessions: opened by digest, on the provider asked for, and held to a contract.

Sessions do not spin: threads that wait for work would take the cores of the other members'
sessions. Those whose lengths are fixed, but for that of the batch, share one arena
(``pipeline/infer/arena.py``). Others keep none, which would keep what the largest input took for as
long as the process lives. None plans its memory ahead: with an arena and a plan each, which is ONNX
Runtime's default, four members kept 1435 MiB and took 1.5 times as long as with one arena for all.
One session may be run from several threads at once. On a graphics card they run by IO binding
(``pipeline/infer/bound.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from pipeline.errors import BundleRejected, ModelContractBroken, UnusableCall
from pipeline.identity import digest_bytes
from pipeline.infer.arena import use_arena
from pipeline.infer.bound import CUDA, CUDA_OPTIONS, BoundSession, pinned_memory
from pipeline.infer.bundle import Member
from pipeline.infer.interrupt import current
from pipeline.infer.terms import CPU, Contract

PACKAGES = {CUDA: "onnxruntime-gpu in the place of onnxruntime, and CUDA 12 with cuDNN 9"}
"""What has to be installed for other providers."""

REFUSALS = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)
"""What ONNX Runtime raises for a graph that it cannot run: its errors have no base of their own."""


class TensorInfo(Protocol):
    """An input or an output of a graph, as ONNX Runtime describes it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class Session(Protocol):
    """The part of ``onnxruntime.InferenceSession`` that is used here."""

    def get_inputs(self) -> Sequence[TensorInfo]:
        """Return the graph's inputs."""
        ...

    def get_outputs(self) -> Sequence[TensorInfo]:
        """Return the graph's outputs."""
        ...

    def get_providers(self) -> Sequence[str]:
        """Return the providers in use, the preferred one first."""
        ...

    def run(
        self,
        output_names: Sequence[str],
        feed: dict[str, NDArray[np.float32]],
        run_options: object = None,
    ) -> list[NDArray[np.float32]]:
        """Run the graph."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A session that keeps its contract: a function from array to array."""

    name: str
    """Name in messages."""

    session: Session
    """The open session."""

    contract: Contract
    """What goes in and comes out."""

    def __call__(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network.

        Parameters
        ----------
        array
            Input, in the contract's shape.

        Raises
        ------
        ModelContractBroken
            If the output has another shape or type, or holds a value that is not finite.
        """
        contract = self.contract
        feed = {contract.input_name: np.ascontiguousarray(array, dtype=np.float32)}
        output = run_session(self.session, contract.output_name, feed)
        return checked_output(self.name, output, contract.output_shape)


def open_network(
    member: Member, contract: Contract, *, threads: int, providers: Sequence[str] = CPU
) -> Network:
    """Open a network and check its contract.

    Raises
    ------
    BundleRejected
        If the file is not the one of the bundle, or no graph that can be run.
    ModelContractBroken
        If its input or output is another than the contract's.
    """
    is_fixed = None not in (*contract.input_shape[1:], *contract.output_shape[1:])
    session = open_session(member, threads=threads, providers=providers, is_fixed=is_fixed)
    check_contract(session, contract, name=member.name)
    return Network(name=member.name, session=session, contract=contract)


def open_session(
    member: Member, *, threads: int, providers: Sequence[str] = CPU, is_fixed: bool = False
) -> Session:
    """Open a session on a network's bytes, after comparing them with its digest.

    Parameters
    ----------
    member
        The network.
    threads
        Threads that one run uses. Batches do best with one caller a core, each at one thread.
    providers
        Execution providers, in order of preference.
    is_fixed
        Whether what goes in has the same lengths each time, but for the batch's: on the CPU, memory
        is then kept from run to run.

    Raises
    ------
    BundleRejected
        If the file is not the one of the bundle, or no graph that can be run.
    UnusableCall
        If a provider is not available here: it is never replaced by another one.
    """
    check_providers(providers)
    options = _options(threads)
    if is_fixed and providers[0] in CPU:
        use_arena(options)
    try:
        session = onnxruntime.InferenceSession(
            content_of(member),
            sess_options=options,
            providers=list(providers),
            provider_options=[CUDA_OPTIONS if name == CUDA else {} for name in providers],
        )
    except REFUSALS as problem:
        raise BundleRejected(f"{member.path}: ONNX Runtime cannot run it") from problem
    # A provider that fails to start is replaced by the CPU with no more than a line in the log.
    if session.get_providers()[0] != providers[0]:
        raise UnusableCall(f"execution provider {providers[0]} does not start{_needs(providers)}")
    if providers[0] == CUDA:
        return BoundSession(session, "cuda", pinned_memory(CUDA))
    plain: Session = session
    return plain


def content_of(member: Member) -> bytes:
    """Return a network's bytes, after comparing them with its digest.

    Raises
    ------
    BundleRejected
        If the file is not the one of the bundle.
    """
    content = member.path.read_bytes()
    if digest_bytes(content) != member.sha256:
        raise BundleRejected(f"{member.path}: altered since the bundle was loaded")
    return content


def check_providers(providers: Sequence[str]) -> None:
    """Check that execution providers are installed.

    Raises
    ------
    UnusableCall
        If one is not available here: it is never replaced by another one.
    """
    available = onnxruntime.get_available_providers()
    missing = [name for name in providers if name not in available]
    if missing or not providers:
        raise UnusableCall(
            f"execution provider {', '.join(missing) or 'of no name'} is not available; available: "
            f"{', '.join(available)}{_needs(missing)}"
        )


def _needs(providers: Sequence[str]) -> str:
    """Return what has to be installed for providers, as the end of a message."""
    needed = [f"{name} needs {PACKAGES[name]}" for name in providers if name in PACKAGES]
    return "".join(f"; {one}" for one in needed)


def run_session(
    session: Session, output_name: str, feed: dict[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Run a session for one output, such that the job's interrupt ends it.

    Raises
    ------
    Interrupted
        If the job is to end.
    """
    interrupt = current()
    if interrupt is None:
        return session.run([output_name], feed)[0]
    interrupt.check()
    try:
        return session.run([output_name], feed, interrupt.options)[0]
    except REFUSALS:
        interrupt.check()
        raise


def checked_output(
    name: str, output: NDArray[np.float32], shape: tuple[int | None, ...]
) -> NDArray[np.float32]:
    """Return a network's output if it is what was agreed.

    Raises
    ------
    ModelContractBroken
        If it has another shape or type, or holds a value that is not finite.
    """
    if output.dtype != np.float32 or not _fits(output.shape, shape):
        raise ModelContractBroken(
            f"{name}: output {output.dtype} {output.shape}, not float32 {shape}"
        )
    if not np.isfinite(output).all():
        raise ModelContractBroken(f"{name}: output is not finite")
    return output


def check_contract(session: Session, contract: Contract, *, name: str) -> None:
    """Check that a graph has the one input and the one output that were agreed.

    Raises
    ------
    ModelContractBroken
        If a name, a type, a length or the freedom of an axis differs: an axis that should take any
        length and was frozen at export would fail only at the first batch of another size.
    """
    sides = (
        ("input", session.get_inputs(), contract.input_name, contract.input_shape),
        ("output", session.get_outputs(), contract.output_name, contract.output_shape),
    )
    for side, tensors, agreed_name, agreed_shape in sides:
        found = [(t.name, t.type, declared_shape(t.shape)) for t in tensors]
        if found != [(agreed_name, "tensor(float)", agreed_shape)]:
            raise ModelContractBroken(
                f"{name}: {side} {found}, not {agreed_name} float {agreed_shape}"
            )


def _options(threads: int) -> onnxruntime.SessionOptions:
    """Return the session's options."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def declared_shape(shape: Sequence[int | str | None]) -> tuple[int | None, ...]:
    """Return a declared shape with None for every axis of any length."""
    return tuple(length if isinstance(length, int) else None for length in shape)


def _fits(shape: tuple[int, ...], agreed: tuple[int | None, ...]) -> bool:
    """Tell whether a shape is one of those agreed."""
    if len(shape) != len(agreed):
        return False
    return all(a is None or a == length for length, a in zip(shape, agreed, strict=True))
