"""Take a bundle into the registry: the one way in for a version of a model."""

import re
from pathlib import Path

from pipeline.errors import BundleUntrusted, UnusableCall
from pipeline.infer.bundle import load_bundle
from pipeline.infer.filelist import SIGNATURE
from pipeline.infer.trial import try_bundle
from pipeline.ledger.audit import Audited, record
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.refusals import Refusal, record_refusal
from pipeline.ledger.versions import Candidate, Version, Versions
from pipeline.perform import kind_of
from pipeline.registry.store import Registry
from pipeline.trust import check_signature

SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
"""A version after Semantic Versioning 2.0.0."""


def admit(folder: Path, registry: Registry, ledger: Ledger, actor: str) -> Version:
    """Copy a bundle into the registry, and record it as an imported version.

    It is tried in a process of its own before, whose memory and time are limited. What was admitted
    before stays as it is, but for its signature. The files come first: a version that is recorded
    has its bundle.

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
    BundleUntrusted
        If it is not signed as the site demands. The audit log tells.
    UnusableCall
        If its version is none, another bundle has the same name and version, or the registry cannot
        be written.
    """
    try_bundle(folder)
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
    label = f"{candidate.analysis}@{candidate.version}"
    before = _signature_in(registry, candidate.digest)
    try:
        kept = registry.add(folder)
        signed_by = check_signature(kept, registry.models)
    except BundleUntrusted as problem:
        refusal = Refusal(model=label, digest=candidate.digest, tried="import", reason=str(problem))
        record_refusal(ledger, refusal, actor)
        raise
    if before is not None and before != _signature_in(registry, candidate.digest):
        detail = {"digest": candidate.digest, "signed_by": signed_by}
        subject = f"model {label}"
        record(ledger, Audited(action="model signed", actor=actor, subject=subject, detail=detail))
    return versions.add(candidate, actor, signed_by)


def _signature_in(registry: Registry, digest: str) -> bytes | None:
    """Return the signature of a bundle that is in the registry; None if the bundle is not."""
    if not registry.has(digest):
        return None
    path = registry.place(digest) / SIGNATURE
    return path.read_bytes() if path.is_file() else b""
