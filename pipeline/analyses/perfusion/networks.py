"""The networks of a perfusion bundle, opened and held to their contract."""

import os
from dataclasses import dataclass

from pipeline.analyses.perfusion.locate import N_MAPS, Locator
from pipeline.analyses.perfusion.pool import Network
from pipeline.analyses.perfusion.settings import ModelGrid
from pipeline.infer.bundle import Bundle
from pipeline.infer.session import Compute, Contract, open_network

ANYTHING = Compute()
"""All cores, on the CPU."""

N_CLASSES = 3
"""Background, myocardium, blood pool."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """The networks of a bundle, opened."""

    names: tuple[str, ...]
    """Names of the members, in the order of the bundle."""

    members: tuple[Network, ...]
    """The members."""

    locator: Locator
    """Finds the heart."""

    grid: ModelGrid
    """The grid that they were trained on."""

    workers: int
    """Members that run at the same time, each on one core."""


def open_pool(bundle: Bundle, compute: Compute = ANYTHING) -> Pool:
    """Open the networks of a perfusion bundle.

    Members run side by side at one thread each: on two cores that is a quarter faster than one
    member at two threads, and gives the same bits.

    Parameters
    ----------
    bundle
        A bundle whose settings hold the model's grid and whose networks are ``member_*`` and
        ``locator``.
    compute
        What they run on.

    Raises
    ------
    BundleRejected
        If the bundle is of another kind.
    ModelContractBroken
        If a network takes or gives something else than the analysis expects.
    """
    grid = ModelGrid.from_bundle(bundle.settings)
    side = grid.patch_size
    segmenter = Contract(
        input_name="beats",
        input_shape=(None, grid.n_beats, side, side),
        output_name="probabilities",
        output_shape=(None, N_CLASSES, side, side),
    )
    finder = Contract(
        input_name="maps",
        input_shape=(1, N_MAPS, None, None),
        output_name="likelihood",
        output_shape=(1, 1, None, None),
    )
    return Pool(
        names=tuple(m.name for m in bundle.members),
        members=tuple(
            open_network(m, segmenter, threads=1, providers=compute.providers)
            for m in bundle.members
        ),
        locator=open_network(
            bundle.network("locator"), finder, threads=1, providers=compute.providers
        ),
        grid=grid,
        workers=min(len(bundle.members), compute.threads or os.cpu_count() or 1),
    )
