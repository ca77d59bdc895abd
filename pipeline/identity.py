"""Identity is derived, never drawn.

A job is named by what goes into it, and an object by its job and its role, so that a job that runs
twice writes the same objects and an archive sees one.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

JOB_NAMESPACE = UUID("6f1a3c52-58d1-5b0e-9d4b-0c6f3a7be8a1")
"""Namespace of the UUIDv5 of every job. Changing it changes every UID that is ever written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobIdentity:
    """All that decides a result."""

    input_digest: str
    """SHA-256 over the input instances, hexadecimal."""

    analysis: str
    """Name of the analysis, such as ``perfusion``."""

    bundle_digest: str
    """SHA-256 over the files of the model bundle, hexadecimal."""

    configuration_digest: str
    """SHA-256 over the settings that the result depends on, hexadecimal."""

    predecessor: UUID | None = None
    """Job whose result this one takes the place of, since instances came late; the result names
    it."""

    @property
    def job_id(self) -> UUID:
        """UUIDv5 of the parts."""
        parts = (
            self.input_digest,
            self.analysis,
            self.bundle_digest,
            self.configuration_digest,
            *([] if self.predecessor is None else [str(self.predecessor)]),
        )
        return uuid5(JOB_NAMESPACE, "\n".join(parts))


def derived_uid(job_id: UUID, role: str) -> str:
    """Return the DICOM UID of an object of a job, in the UUID-derived form of PS3.5, B.2.

    Parameters
    ----------
    job_id
        The job that writes the object.
    role
        What the UID names within the job, such as ``segmentation/instance``.
    """
    return f"2.25.{uuid5(job_id, role).int}"


def digest_bytes(content: bytes) -> str:
    """Return the SHA-256 of some bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_set(digests: Iterable[str]) -> str:
    """Return one digest for a set of digests, whatever their order."""
    return digest_bytes("\n".join(sorted(digests)).encode())


def digest_settings(settings: Mapping[str, object]) -> str:
    """Return the digest of settings: the SHA-256 of their JSON with sorted keys."""
    return digest_bytes(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode())
