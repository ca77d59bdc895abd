"""Whether anything is left of a study that was removed, by its certificate.

The certificate holds digests only: what is kept is digested, and looked for among them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.identity import digest_bytes, digest_file
from pipeline.ledger.audit import Sought, entries, verify
from pipeline.ledger.footprint import studies_known
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.traces import Traces, traces
from pipeline.record.forget import Holdings


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What was looked at for a certificate, and what was found."""

    studies: int
    """Studies that the ledger names."""

    jobs: int
    """Jobs that it names."""

    files: int
    """Files and folders whose names, and contents where asked, were looked at."""

    faults: tuple[str, ...]
    """What speaks against it; none proves it."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "studies": self.studies,
            "jobs": self.jobs,
            "files": self.files,
            "faults": list(self.faults),
        }


def prove(
    certificate: Mapping[str, Any], sha256: str, holdings: Holdings, *, deep: bool = False
) -> Proof:
    """Look whether anything is left of a study that was removed.

    Parameters
    ----------
    certificate
        What certifies it.
    sha256
        Digest of the certificate.
    holdings
        What the installation keeps.
    deep
        Whether the content of every file is digested, too.
    """
    known = traces(holdings.ledger)
    studies = studies_known(holdings.ledger)
    faults = [
        *_audit_faults(certificate, sha256, holdings.ledger),
        *_ledger_faults(certificate, known, studies),
    ]
    files = list(_files(holdings, known))
    faults += _file_faults(certificate, files, deep=deep)
    return Proof(studies=len(studies), jobs=len(known.jobs), files=len(files), faults=tuple(faults))


def is_of(certificate: Mapping[str, Any], study_instance_uid: str) -> bool:
    """Tell whether a certificate is of a study."""
    return bool(certificate["study_sha256"] == digest_bytes(study_instance_uid.encode()))


def _audit_faults(certificate: Mapping[str, Any], sha256: str, ledger: Ledger) -> Iterator[str]:
    """Look for the certificate in the audit log."""
    sought = Sought(action="deletion certified", subject=f"deletion {certificate['id']}")
    if not any(entry.audited.detail.get("sha256") == sha256 for entry in entries(ledger, sought)):
        yield "the audit log does not know this certificate, or another one of its deletion"
    fault = verify(ledger).fault
    if fault is not None:
        yield f"the audit log is not whole: {fault}"


def _ledger_faults(
    certificate: Mapping[str, Any], known: Traces, studies: Iterable[str]
) -> Iterator[str]:
    """Look for the study in the ledger."""
    if any(is_of(certificate, uid) for uid in studies):
        yield "the ledger knows the study: it has come anew, or a backup was restored"
    for what, here, gone in (
        ("jobs", {digest_bytes(job.encode()) for job in known.jobs}, "jobs_sha256"),
        ("data sets", known.received, "instances_sha256"),
        ("files of jobs", known.artifacts, "artifacts_sha256"),
    ):
        count = len(set(certificate[gone]).intersection(here))
        if count:
            yield f"the ledger names {count} {what} of it"


def _files(holdings: Holdings, known: Traces) -> Iterator[Path]:
    """Return all files and folders that the installation keeps."""
    places = holdings.places
    folders = [places.inbox, places.state, places.features, places.output]
    roots = {folder.absolute() for folder in folders if folder is not None}
    roots |= {Path(output) for output in known.outputs}
    for root in sorted(roots):
        if not any(root != other and root.is_relative_to(other) for other in roots):
            yield from root.rglob("*")


def _file_faults(
    certificate: Mapping[str, Any], files: Iterable[Path], *, deep: bool
) -> Iterator[str]:
    """Look for files of the study: by their paths, by the names in the inbox, by their content."""
    paths, contents = set(certificate["paths_sha256"]), set(certificate["artifacts_sha256"])
    received = {digest[:32] for digest in certificate["instances_sha256"]}
    for path in files:
        # In the inbox a name ends with the digest of the data set.
        named = path.stem.rpartition("-")[2][:32]
        is_of_it = digest_bytes(str(path).encode()) in paths or named in received
        if is_of_it or (deep and path.is_file() and digest_file(path) in contents):
            yield f"{path} is of it"
