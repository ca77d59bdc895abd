"""The certificate of a removal: digests of what was removed, counts, who, when and why.

It names neither the study nor a path: whoever has the study's UID can tell that it is the one, and
nobody else can. Its own digest is an event of the audit log, so that it cannot be changed unseen.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from pipeline.errors import UnusableCall
from pipeline.flush import flush
from pipeline.identity import digest_bytes
from pipeline.ledger.footprint import Footprint

FORM = "vesalius deletion 1"
"""What a certificate says that it is."""

STAYS = (
    "events of the audit log name the study by its UID and its jobs by their ids",
    "findings of drift windows that were compared before are numbers over all their studies",
    "input files outside the inbox are the site's own and were not touched",
    "copies at destinations were not touched: see sent",
    "backups hold the study until they are removed: vesalius backup --keep",
)
"""What a removal leaves, and why."""


def certificate_of(
    forgetting_id: UUID, plan: Mapping[str, Any], places: Iterable[Path], again: int
) -> dict[str, object]:
    """Return the certificate of a removal.

    Parameters
    ----------
    forgetting_id
        The removal.
    plan
        What was removed, who asked, why, and when.
    places
        Files and folders that were to be removed, as absolute paths.
    again
        Files that had come anew meanwhile, and were left.
    """
    found = Footprint.of_json(plan["footprint"])
    return {
        "form": FORM,
        "id": str(forgetting_id),
        "actor": plan["actor"],
        "reason": plan["reason"],
        "study_sha256": digest_bytes(found.study_instance_uid.encode()),
        "jobs_sha256": sorted(digest_bytes(job_id.encode()) for job_id in found.job_ids),
        "paths_sha256": sorted({digest_bytes(str(path).encode()) for path in places}),
        "instances_sha256": sorted({sha256 for _, sha256 in (*found.instances, *found.suspects)}),
        "artifacts_sha256": sorted({sha256 for _, sha256 in found.artifacts}),
        "rows": dict(sorted(found.rows.items())),
        "received_again": again,
        "inputs_elsewhere": sum(count for _, count in found.given),
        "sent": list(found.sent),
        "stays": list(STAYS),
    }


def write_certificate(folder: Path, certificate: Mapping[str, object]) -> tuple[Path, str]:
    """Write a certificate, flushed, and return its file and digest; another of its id is replaced.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    content = _content(certificate)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"deletion-{certificate['id']}.json"
    working = path.with_suffix(".part")
    working.write_bytes(content)
    flush(working)
    working.replace(path)
    flush(folder)
    return path, digest_bytes(content)


def read_certificate(path: Path) -> tuple[dict[str, Any], str]:
    """Return a certificate and its digest.

    Raises
    ------
    UnusableCall
        If the file cannot be read, or is none.
    """
    try:
        content = path.read_bytes()
        document = json.loads(content)
    except OSError as problem:
        raise UnusableCall(f"{path}: cannot be read ({problem.strerror})") from problem
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("form") != FORM:
        raise UnusableCall(f"{path}: no certificate of a deletion")
    return document, digest_bytes(content)


def _content(certificate: Mapping[str, object]) -> bytes:
    """Return the bytes of a certificate: the same for the same content."""
    return (json.dumps(certificate, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
