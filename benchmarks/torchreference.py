"""The torch networks that the graphs were exported from, with the weights of the graphs.

Weights are read from graphs: checkpoints are no part of a clone. Those of perfusion's members are
read from the graphs in single precision that the shipped ones, in eight bits, were made from.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.perfusion.network import Locator, Member
from models.perfusion.quantise import GRAPHS
from pipeline.infer.bundle import find_bundle

STORED_HALF = ".half"
"""Ends the names of weights that are stored in half precision."""


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


def _loaded(network: nn.Module, stored: dict[str, Tensor]) -> nn.Module:
    """Return a network with its weights, ready to infer."""
    network.load_state_dict({name: stored[name] for name in network.state_dict()})
    return network.eval()
