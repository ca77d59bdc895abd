"""The networks of a reconstruction bundle, opened and held to their contracts.

A bundle holds two models: ``operator`` and ``varnet``. Each is a graph for the coil sensitivities,
one for each cascade, and for the operator one in k-space; the weights of its data consistency
stand in the metadata.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.analyses.reconstruction.basis import N_BASIS
from pipeline.analyses.reconstruction.discfourier import DiscGraph
from pipeline.analyses.reconstruction.discgraph import steps_of
from pipeline.analyses.reconstruction.settings import ModelSettings
from pipeline.errors import BundleRejected
from pipeline.infer.bundle import Bundle
from pipeline.infer.graph import Graph, GraphContract, Shape, open_graph
from pipeline.infer.onnxnodes import read_nodes
from pipeline.infer.session import content_of
from pipeline.infer.terms import CPU, Compute

ANYTHING = Compute()
"""All cores, on the CPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnrolledNetworks:
    """The graphs of one model, opened."""

    method: str
    """``operator`` or ``varnet``."""

    sensitivity: Graph | DiscGraph
    """From low-resolution coil images to what is added to them."""

    kspace: Graph | DiscGraph | None
    """From weighted k-space to what is added to it; None for a model without."""

    cascades: tuple[Graph | DiscGraph, ...]
    """From an image and its noise to what each cascade takes from it."""

    etas: tuple[float, ...]
    """How much each cascade holds on to its operator's image against the data."""

    follows_resolution: bool
    """Whether the graphs take the kernel basis of the grid as a second input."""

    model: ModelSettings
    """What they were trained with."""

    threads: int
    """Threads that a graph and a Fourier transform use."""


def open_networks(bundle: Bundle, method: str, compute: Compute = ANYTHING) -> UnrolledNetworks:
    """Open one model of a reconstruction bundle.

    Parameters
    ----------
    bundle
        A bundle whose settings hold the model's, and ``operator`` or ``varnet``.
    method
        Which of the two.
    compute
        What they run on.

    Raises
    ------
    BundleRejected
        If the bundle is of another kind.
    ModelContractBroken
        If a network takes or gives something else than the analysis expects.
    """
    model = ModelSettings.from_bundle(bundle.settings)
    etas, has_kspace, follows = _described(bundle.settings, method)
    threads = compute.threads or os.cpu_count() or 1

    def opened(name: str, planes: int) -> Graph | DiscGraph:
        contract = operator_contract(planes, follows_resolution=follows)
        member = bundle.network(f"{method}_{name}")
        graph = open_graph(member, contract, threads=threads, providers=compute.providers)
        # On a graphics card large kernels cost little beside bringing images to and fro.
        if not follows or tuple(compute.providers) != CPU:
            return graph
        steps = steps_of(read_nodes(member.path, content_of(member)))
        return graph if steps is None else DiscGraph(graph=graph, steps=steps, threads=threads)

    return UnrolledNetworks(
        method=method,
        sensitivity=opened("sensitivity", 3),
        kspace=opened("kspace", 2) if has_kspace else None,
        cascades=tuple(opened(f"cascade_{n + 1}", 3) for n in range(len(etas))),
        etas=etas,
        follows_resolution=follows,
        model=model,
        threads=threads,
    )


def operator_contract(planes: int, *, follows_resolution: bool) -> GraphContract:
    """Return what an operator's graph takes and gives, for a number of input planes."""
    image: tuple[str, Shape] = ("image", (None, planes, None, None))
    basis: tuple[str, Shape] = ("basis", (N_BASIS, None, None))
    return GraphContract(
        inputs=(image, basis) if follows_resolution else (image,),
        output_name="change",
        output_shape=(None, 2, None, None),
    )


def _described(settings: Mapping[str, object], method: str) -> tuple[tuple[float, ...], bool, bool]:
    """Return a model's etas, whether it works in k-space, and whether kernels follow the grid."""
    described = settings.get(method)
    if not isinstance(described, Mapping):
        raise BundleRejected(f"metadata.json: vesalius.{method} is missing")
    etas = described.get("etas")
    if not isinstance(etas, list) or not etas or not all(isinstance(s, float) for s in etas):
        raise BundleRejected(f"metadata.json: vesalius.{method}.etas is {etas!r}, not numbers")
    flags = []
    for key in ("kspace", "follows_resolution"):
        value = described.get(key)
        if not isinstance(value, bool):
            raise BundleRejected(f"metadata.json: vesalius.{method}.{key} is {value!r}, not a flag")
        flags.append(value)
    return tuple(etas), flags[0], flags[1]
