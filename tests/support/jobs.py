"""Made-up jobs for the ledger."""

from pipeline.identity import JobIdentity, digest_bytes
from pipeline.ledger.ledger import JobRequest
from pipeline.study import Artifact


def job_request(name: str = "one", *, study: str | None = "2.25.1") -> JobRequest:
    """Return a job; another name gives another input."""
    return JobRequest(
        identity=JobIdentity(
            input_digest=digest_bytes(name.encode()),
            analysis="perfusion",
            bundle_digest=digest_bytes(b"bundle"),
            configuration_digest=digest_bytes(b"configuration"),
        ),
        study_instance_uid=study,
        series_instance_uids=("2.25.2", "2.25.3") if study else (),
        bundle_name="Tiny perfusion pool",
        bundle_version="0.0.1",
        software_version="0.1.0",
    )


def artifact(path: str, content: bytes = b"content") -> Artifact:
    """Return the record of a file."""
    return Artifact(
        kind="segmentation",
        relative_path=path,
        sop_instance_uid="2.25.4",
        sha256=digest_bytes(content),
    )
