"""The torch networks that the graphs were exported from, with the weights of the graphs.

Weights are read from graphs: checkpoints are no part of a clone. Those of perfusion's members are
read from the graphs in single precision that the shipped ones, in eight bits, were made from.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.perfusion.export import SMALLEST_STORED
from models.perfusion.network import Locator, Member
from models.perfusion.quantise import GRAPHS
from models.phases.encoder import N_FEATURES, fused, imagenet_encoder
from models.phases.network import TemporalNetwork
from models.phases.train import N_PHASES
from models.reconstruction.disco import Operator
from models.reconstruction.train import SIZES
from pipeline.analyses.phases.networks import open_phases
from pipeline.infer.bundle import find_bundle, load_bundle

STORED_HALF = ".half"
"""Ends the names of weights that are stored in half precision."""

Reference = Callable[..., Tensor | tuple[Tensor, ...]]
"""A network in torch as a function of its graph's inputs, in their order."""


def graph_of(model: str, name: str) -> Path:
    """Return the file of a graph that ships."""
    return find_bundle(model) / "models" / f"{name}.onnx"


def weights_of(graph: Path) -> dict[str, Tensor]:
    """Return a graph's constants by the names they were exported with, in single precision."""
    found = {}
    for tensor in onnx.load(graph).graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f":
            name = tensor.name.removesuffix(STORED_HALF)
            found[name] = torch.from_numpy(values.astype(np.float32))
    return found


def single_precision(name: str) -> Path:
    """Return the file of a member of perfusion's pool before it was put into eight bits."""
    return GRAPHS / f"{name}.onnx"


def torch_member(name: str) -> nn.Module:
    """Return a member of perfusion's pool."""
    return _loaded(Member(), weights_of(single_precision(name)))


def torch_locator() -> nn.Module:
    """Return the network that finds the heart."""
    return _loaded(Locator(), weights_of(graph_of("perfusion", "locator")))


def torch_cascade(kind: str) -> Reference:
    """Return the first cascade of a reconstruction: ``operator`` or ``varnet``."""
    size = SIZES[kind, "small"]
    network = Operator(kind, 3, 2, size.channels)
    stored = weights_of(graph_of("reconstruction", f"{kind}_cascade_1"))
    ending = "_weights" if kind == "operator" else "_kernel"
    weights = {"head.weight": stored.pop("head")}
    for name, values in stored.items():
        if name.endswith(ending):
            # Weights of a DISCO convolution are stored as the matrix that makes its kernel.
            place = ".".join(name.removesuffix(ending).split("_")) + ".weight"
            weights[place] = values.reshape(network.get_parameter(place).shape)
    network.load_state_dict(weights)
    return network.eval() if kind == "operator" else _without_basis(network.eval())


def _without_basis(network: nn.Module) -> Reference:
    """Return a network of plain convolutions, which uses no basis, as a function of the image."""

    def run(image: Tensor) -> Tensor:
        found: Tensor = network(image, image)
        return found

    return run


def torch_encoder() -> Reference:
    """Return the encoder of the phases, with its published weights as a graph stores them."""
    network = fused(imagenet_encoder())
    stored = {
        name: w.half().float() if w.numel() >= SMALLEST_STORED else w
        for name, w in network.state_dict().items()
    }
    network.load_state_dict(stored)
    return network.eval()


def torch_head() -> Reference:
    """Return the layer that tells phases from the encoder's features."""
    head = nn.Linear(N_FEATURES, N_PHASES)
    return _loaded(head, weights_of(graph_of("phases", "head")))


def torch_temporal() -> Reference:
    """Return a step of the temporal network."""
    networks = open_phases(load_bundle(find_bundle("phases")), "cholecystectomy")
    network = TemporalNetwork(N_PHASES, len(networks.model.tools))
    graph = graph_of("phases", "temporal")
    _loaded(network, weights_of(graph) | _multiplied(graph))
    return network.step


def _multiplied(graph: Path) -> dict[str, Tensor]:
    """Return what the exporter has given other names: what a product or a repetition takes."""
    stored, found = weights_of(graph), {}
    nodes = onnx.load(graph).graph.node
    biases = {node.input[0]: node.input[1] for node in nodes if node.op_type == "Add"}
    for node in nodes:
        if node.op_type == "MatMul" and node.input[1] in stored:
            place = biases[node.output[0]].removesuffix("bias") + "weight"
            found[place] = stored[node.input[1]].T.contiguous()
    return found | {"network.queries": stored["expand"][0]}


REFERENCES: dict[str, Callable[[], Reference]] = {
    "member_1": lambda: torch_member("member_1"),
    "locator": torch_locator,
    "operator_cascade_1": lambda: torch_cascade("operator"),
    "varnet_cascade_1": lambda: torch_cascade("varnet"),
    "encoder": torch_encoder,
    "head": torch_head,
    "temporal": torch_temporal,
}
"""The networks by the names of their graphs."""


def _loaded(network: nn.Module, stored: dict[str, Tensor]) -> nn.Module:
    """Return a network with its weights, ready to infer."""
    # An exporter that is given a module around the network puts that before its names.
    prefix = "" if next(iter(network.state_dict())) in stored else "network."
    network.load_state_dict({name: stored[prefix + name] for name in network.state_dict()})
    return network.eval()
