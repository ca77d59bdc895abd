"""Raw data as candidates of an inventory."""

from functools import partial

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.identity import digest_bytes, digest_file, digest_set
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.collect import FoundFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.confined import content
from pipeline.ingest.raw.names import BART_NAME
from pipeline.ingest.raw.part import RawLook, RawPart
from pipeline.ingest.raw.reference import Reference, merged_header, placed_by
from pipeline.study import RawSeries

MODALITY = "KSPACE"
"""What raw data have for a modality in an inventory."""


def raw_candidates(
    file: FoundFile, found: RawLook, limits: Limits, reference: Reference | None
) -> list[Candidate]:
    """Return the parts of a file of raw data; no samples are read.

    Parameters
    ----------
    file
        The file.
    found
        What it holds.
    limits
        What it may hold.
    reference
        Whose it is and where it lies, as far as the file does not say.
    """
    source = (file, found.kind, _digest(file, found.kind))
    return [_candidate(source, part, limits, reference) for part in found.parts]


def _candidate(
    source: tuple[FoundFile, str, str],
    part: RawPart,
    limits: Limits,
    reference: Reference | None,
) -> Candidate:
    """Return a part of a file as a candidate."""
    file, kind, sha256 = source
    label = f"{file.name} ({part.name})" if part.name else file.name
    digests = [sha256, *([digest_bytes(part.name.encode())] if part.name else [])]
    if reference is not None:
        digests.append(reference.digest)
    study = reference.header.get("StudyInstanceUID") if reference is not None else None
    study = str(study) if study else part.study_instance_uid
    digest = digest_set(digests)
    return Candidate(
        label=label,
        study_instance_uid=study,
        series_instance_uids=reference.series_instance_uids if reference else (),
        modality=MODALITY,
        sop_class_uid=None,
        n_instances=1,
        n_beats=part.shape.n_frames,
        n_slices=part.shape.n_slices,
        rows=part.shape.rows,
        columns=part.shape.columns,
        input_digest=digest,
        files=(file.path,),
        notes=(f"{kind}, {part.shape.n_coils} coils",),
        read=partial(_load, source, (label, part, digest, study), limits, reference),
    )


def _load(
    source: tuple[FoundFile, str, str],
    what: tuple[str, RawPart, str, str | None],
    limits: Limits,
    reference: Reference | None,
) -> RawSeries:
    """Read a part of a file that has not changed since the inventory."""
    (file, kind, sha256), (label, part, digest, study) = source, what
    try:
        changed = _digest(file, kind) != sha256
    except OSError as error:
        raise UnreadableFile(f"{file.name}: cannot be read again") from error
    if changed:
        raise InconsistentSeries(f"{file.name}: the file has changed since it was checked")
    found = content(file, kind, part, limits)
    return RawSeries(
        label=label,
        study_instance_uid=study,
        series_instance_uids=reference.series_instance_uids if reference else (),
        kspace=placed_by(found.kspace, reference, label),
        frames=reference.frames if reference else (),
        header=merged_header(found, reference),
        input_digest=digest,
        notes=found.notes,
    )


def _digest(file: FoundFile, kind: str) -> str:
    """Return the digest of a file; of both files for BART."""
    digest = digest_file(file.path)
    header = file.path.with_suffix(".hdr")
    if kind == BART_NAME and header.is_file():
        return digest_set([digest, digest_file(header)])
    return digest
