"""The networks of a perfusion bundle, opened and held to their contract."""

import os
from dataclasses import dataclass, replace

from pipeline.analyses.perfusion.locate import N_MAPS, Locator
from pipeline.analyses.perfusion.pool import Network
from pipeline.analyses.perfusion.settings import ModelGrid, PerfusionSettings
from pipeline.analyses.perfusion.trust import TrustModel, parse_trust, trust_from
from pipeline.errors import BundleRejected, UnusableCall
from pipeline.identity import digest_bytes
from pipeline.infer.bundle import Bundle
from pipeline.infer.session import open_network
from pipeline.infer.terms import Compute, Contract

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

    digest: str = ""
    """SHA-256 over the digests of the members' files, hexadecimal."""

    trust: TrustModel | None = None
    """How the signs of a segmentation become a verdict; None where that was not calibrated."""


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
        digest=pool_digest(bundle),
        trust=_bundled_trust(bundle),
    )


def pool_digest(bundle: Bundle) -> str:
    """Return a digest of a bundle's members: a calibration belongs to a pool."""
    return digest_bytes(" ".join(member.sha256 for member in bundle.members).encode())


def with_site_trust(pool: Pool, settings: PerfusionSettings) -> Pool:
    """Return a pool with the site's own calibration of trust, where it has one.

    Raises
    ------
    UnusableCall
        If the file cannot be read, or was made with another pool.
    """
    if settings.trust is None:
        return pool
    model = trust_from(settings.trust_bytes(), str(settings.trust))
    if model.pool != pool.digest:
        raise UnusableCall(f"{settings.trust}: made with another pool than the bundle's")
    return replace(pool, trust=model)


def _bundled_trust(bundle: Bundle) -> TrustModel | None:
    """Return the calibration that a bundle ships with."""
    document = bundle.settings.get("trust")
    if document is None:
        return None
    try:
        model = parse_trust(document, "metadata.json: vesalius.trust")
    except UnusableCall as problem:
        raise BundleRejected(str(problem)) from problem
    if model.pool != pool_digest(bundle):
        raise BundleRejected("metadata.json: vesalius.trust was made with another pool")
    return model
