"""Take a bundle into the registry: the one way in for a version of a model."""

import re
from pathlib import Path

from pipeline.errors import UnusableCall
from pipeline.infer.bundle import load_bundle
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.versions import Candidate, Version, Versions
from pipeline.perform import kind_of
from pipeline.registry.store import Registry

SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
"""A version after Semantic Versioning 2.0.0."""


def admit(folder: Path, registry: Registry, ledger: Ledger, actor: str) -> Version:
    """Copy a bundle into the registry, and record it as an imported version.

    What was admitted before stays as it is. The files come first: a version that is recorded has
    its bundle.

    Parameters
    ----------
    folder
        The bundle.
    registry
        Where it goes.
    ledger
        Where it is recorded.
    actor
        Who does it, for the audit log.

    Raises
    ------
    BundleRejected
        If it cannot be used, or is for no analysis that is known.
    UnusableCall
        If its version is none, another bundle has the same name and version, or the registry cannot
        be written.
    """
    bundle = load_bundle(folder)
    candidate = Candidate(
        analysis=kind_of(bundle).name,
        name=bundle.name,
        version=bundle.version,
        digest=bundle.digest,
    )
    if not SEMANTIC.fullmatch(candidate.version):
        raise UnusableCall(
            f"{folder}: version {candidate.version!r} is none of the form MAJOR.MINOR.PATCH"
        )
    versions = Versions(ledger)
    versions.check(candidate)
    registry.add(folder)
    return versions.add(candidate, actor)
