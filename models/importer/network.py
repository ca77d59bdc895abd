"""The network of a bundle: the original in torch, and the ONNX graph that is served.

Weights are read as weights alone: a file that holds anything else is refused before any of it is
executed.
"""

import importlib
import inspect
import io
import math
import pickle
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from monai.networks import nets
from numpy.typing import NDArray
from torch import Tensor, nn

from models.importer.resolve import Resolver
from models.importer.script import check_script
from models.importer.source import Source
from pipeline.errors import BundleRejected
from pipeline.infer.onnxfile import check_onnx
from pipeline.infer.session import REFUSALS

Original = Callable[[Tensor], Tensor]

LARGEST_FACTOR = 32
"""Largest power of two that sizes are told to be multiples of."""

EXPORT_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    onnx.checker.ValidationError,
    torch.onnx.errors.OnnxExporterError,
)
"""What torch raises for a network that it cannot export."""

INPUT, OUTPUT = "image", "prediction"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A network in both forms."""

    form: str
    """Form that it came in."""

    original: Original
    """The network that is compared with: torch's, or the graph itself where nothing else came."""

    graph: bytes
    """The ONNX file."""

    contract: Mapping[str, object]
    """``input_name``, ``input_shape``, ``output_name`` and ``output_shape``."""


def open_network(source: Source, resolver: Resolver, example: Sequence[int]) -> Exported:
    """Return the network of a bundle, and its graph.

    Parameters
    ----------
    source
        The bundle.
    resolver
        Reads its configuration.
    example
        Size of a window [voxel].

    Raises
    ------
    BundleRejected
        If the network is none of MONAI's and not allowed, if its file holds more than weights, or
        if it cannot be exported.
    """
    form = next(iter(source.forms))
    _check_channels(resolver)
    if form == "ONNX":
        graph = source.forms[form].read_bytes()
        return Exported(form=form, original=_runner(graph), graph=graph, contract=_contract(graph))
    module = _weighted(source, resolver) if form == "state dict" else _scripted(source)
    module.eval()
    window = torch.zeros(1, 1, *example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            graph = _graph(module, window, (source, resolver))
        except EXPORT_ERRORS as problem:
            raise BundleRejected(
                f"{source.forms[form]}: cannot be exported to ONNX ({type(problem).__name__})"
            ) from problem
    return Exported(form=form, original=_original(module), graph=graph, contract=_contract(graph))


def _weighted(source: Source, resolver: Resolver) -> nn.Module:
    """Return the network that the configuration names, with its weights."""
    module = _built(source, resolver)
    path = source.forms["state dict"]
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as problem:
        raise BundleRejected(f"{path}: holds more than weights, or is damaged") from problem
    for key in ("model", "state_dict"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping):
        raise BundleRejected(f"{path}: no state dict")
    try:
        module.load_state_dict(held)
    except (RuntimeError, TypeError, AttributeError) as problem:
        raise BundleRejected(f"{path}: not the weights of the network_def") from problem
    return module


def _built(source: Source, resolver: Resolver) -> nn.Module:
    """Return the network that the configuration names."""
    component = resolver.component(resolver.raw("network_def"))
    target = str(component["_target_"])
    arguments = {
        key: resolver.value(value)
        for key, value in component.items()
        if not (key.startswith("_") and key.endswith("_"))
    }
    own = target.removeprefix("monai.networks.nets.").rsplit(".", 1)
    if len(own) == 1:
        kind = getattr(nets, target.removeprefix("monai.networks.nets."), None)
    elif source.is_trusted and not target.startswith(("monai.", "torch.")):
        sys.path.insert(0, str(source.folder))
        kind = getattr(importlib.import_module(own[0]), own[1], None)
    else:
        kind = None
    if not isinstance(kind, type) or not issubclass(kind, nn.Module):
        raise BundleRejected(f"{source.folder}: the network {target!r} is none of MONAI's networks")
    if "pretrained" in inspect.signature(kind).parameters:
        arguments["pretrained"] = False  # its weights come from the bundle, never from a server
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as problem:
        raise BundleRejected(f"{source.folder}: {target} cannot be built ({problem})") from problem


def _scripted(source: Source) -> nn.Module:
    """Return a TorchScript module."""
    path = source.forms["TorchScript"]
    check_script(path)
    try:
        return torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError) as problem:
        raise BundleRejected(f"{path}: no TorchScript") from problem


def _check_channels(resolver: Resolver) -> None:
    """Refuse a network that takes several channels, as far as the configuration states them."""
    try:
        component = resolver.component(resolver.raw("network_def"))
    except BundleRejected:
        return  # TorchScript and ONNX need none: their graph is checked.
    channels = resolver.value(component.get("in_channels", 1))
    if channels != 1:
        raise BundleRejected(
            f"network_def: {channels} input channels; an analysis takes one series, and so one"
        )


def _original(module: nn.Module) -> Original:
    """Return a module as a function that keeps no gradients."""

    def run(window: Tensor) -> Tensor:
        with torch.inference_mode():
            given = module(window.as_tensor() if hasattr(window, "as_tensor") else window)
        if not isinstance(given, Tensor):
            raise BundleRejected("the network gives several outputs; one is supported")
        return given

    return run


def _graph(module: nn.Module, window: Tensor, origin: tuple[Source, Resolver]) -> bytes:
    """Return the graph of a network.

    TorchScript goes its own way to ONNX, which knows fewer operators: its weights are put into the
    network that the configuration names, if they fit. The comparison with the script itself tells
    whether that was the same network.
    """
    if not isinstance(module, torch.jit.ScriptModule):
        return _traced(module, window)
    try:
        twin = _built(*origin)
        twin.load_state_dict(module.state_dict())
    except (BundleRejected, RuntimeError):
        return _scripted_graph(module, window)
    return _traced(twin.eval(), window)


def _traced(module: nn.Module, window: Tensor) -> bytes:
    """Return a graph for any number of windows, of any size if the network allows it."""
    factor = math.gcd(*window.shape[2:], LARGEST_FACTOR)
    free = {0: torch.export.Dim("windows")}
    for axis, name in ((2, "rows"), (3, "columns"), (4, "slices")):
        free[axis] = factor * torch.export.Dim(name)
    # An example of one window, or of one factor, would be taken for a fixed size.
    example = window.new_zeros(2, 1, *(max(n, 2 * factor) for n in window.shape[2:]))
    try:
        return _exported(module, example, free)
    except (RuntimeError, ValueError):
        return _exported(module, window.expand(2, *window.shape[1:]), {0: free[0]})


def _exported(module: nn.Module, example: Tensor, free: dict[int, object]) -> bytes:
    """Return a graph with some axes of any length."""
    program = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=(free,),
        opset_version=18,
        verbose=False,
    )
    return _plain(program.model_proto)


def _scripted_graph(module: nn.Module, window: Tensor) -> bytes:
    """Return the graph of a TorchScript module for windows of one size."""
    buffer = io.BytesIO()
    torch.onnx.export(
        module,
        (window,),
        buffer,
        dynamo=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=18,
    )
    return _plain(onnx.load_from_string(buffer.getvalue()))


def _plain(model: onnx.ModelProto) -> bytes:
    """Return a model without what says where and when it was made."""
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _contract(graph: bytes) -> Mapping[str, object]:
    """Return what goes into a graph and comes out of it."""
    session = _session(graph)
    sides = (("input", session.get_inputs()), ("output", session.get_outputs()))
    found: dict[str, object] = {}
    for side, tensors in sides:
        if len(tensors) != 1 or tensors[0].type != "tensor(float)" or len(tensors[0].shape) != 5:
            told = ", ".join(f"{t.name} {t.type} {t.shape}" for t in tensors)
            raise BundleRejected(
                f"the network's {side} is {told}; supported is one of float32 with five axes"
            )
        found[f"{side}_name"] = tensors[0].name
        found[f"{side}_shape"] = [n if isinstance(n, int) else None for n in tensors[0].shape]
    shape = found["input_shape"]
    if isinstance(shape, list) and shape[1] not in (None, 1):
        raise BundleRejected(f"{shape[1]} input channels; an analysis takes one series, and so one")
    return found


def run_graph(graph: bytes) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a graph as the analysis runs it.

    Raises
    ------
    BundleRejected
        If ONNX Runtime cannot run it, or if it gives windows of another size.
    """
    session = _session(graph)
    name = session.get_inputs()[0].name

    def run(window: NDArray[np.float32]) -> NDArray[np.float32]:
        feed = {name: np.ascontiguousarray(window, dtype=np.float32)}
        try:
            given = session.run(None, feed)[0]
        except REFUSALS as problem:
            raise BundleRejected(
                f"the network does not run on a window of {window.shape[2:]}"
            ) from problem
        if given.shape[2:] != window.shape[2:]:
            raise BundleRejected(f"the network gives {given.shape} for {window.shape}")
        return given

    return run


def _runner(graph: bytes) -> Original:
    """Return a graph as a function of tensors."""
    run = run_graph(graph)
    return lambda window: torch.from_numpy(run(window.detach().cpu().numpy()))


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    """Open a graph, after looking at what it holds."""
    check_onnx(Path("models/model.onnx"), graph)
    try:
        return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    except REFUSALS as problem:
        raise BundleRejected("models/model.onnx: ONNX Runtime cannot run it") from problem
