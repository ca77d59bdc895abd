"""Make the files of a delivery ready to leave: whole, fit, and de-identified where that is asked.

Nothing of a delivery leaves before all of it is ready: an archive never gets half of a result that
is not fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from pipeline.config import Configuration
from pipeline.connections import Destination
from pipeline.deliver.deidentify import deidentified
from pipeline.deliver.gate import check
from pipeline.errors import ObjectBlocked
from pipeline.identity import digest_file
from pipeline.ledger.deliveries import SentObject
from pipeline.study import Artifact

TOLD = 3
"""Problems of an object that are told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel:
    """A file that is ready to leave."""

    artifact: Artifact
    """The artifact that it is, or was made from."""

    name: str
    """What it is called where names are given: the job's folder and the artifact's path."""

    path: Path
    """The file as it is sent."""

    sha256: str
    """Its SHA-256."""

    sop_class_uid: str | None = None
    """This and the UIDs below as they are sent; None for a file that is no DICOM object."""

    sop_instance_uid: str | None = None
    """SOP Instance UID (0008,0018)."""

    series_instance_uid: str | None = None
    """Series Instance UID (0020,000E)."""

    study_instance_uid: str | None = None
    """Study Instance UID (0020,000D)."""

    transfer_syntax_uid: str | None = None
    """Transfer Syntax UID (0002,0010)."""

    def sent(self, status: str) -> SentObject:
        """Return it as the ledger records it."""
        return SentObject(
            relative_path=self.artifact.relative_path,
            sha256=self.artifact.sha256,
            sent_sha256=self.sha256,
            status=status,
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            series_instance_uid=self.series_instance_uid,
            study_instance_uid=self.study_instance_uid,
        )


def name_of(folder: Path, relative_path: str) -> str:
    """Return what a file is called at a destination that gives names."""
    return f"{folder.name}/{relative_path}"


def ready(
    artifacts: Sequence[Artifact],
    folder: Path,
    destination: Destination,
    settings: Configuration,
    scratch: Path,
) -> list[Parcel]:
    """Return files ready to leave.

    Parameters
    ----------
    artifacts
        The files.
    folder
        Folder that their paths start from.
    destination
        Where they go.
    settings
        The site's.
    scratch
        An empty folder for what is made anew.

    Raises
    ------
    ObjectBlocked
        If one is altered, is missing, or breaks the rules of its kind.
    OSError
        If one, or the key, cannot be read.
    """
    parcels = []
    for number, artifact in enumerate(artifacts):
        path = folder / artifact.relative_path
        _check_whole(path, artifact)
        if artifact.sop_instance_uid is None:
            name = name_of(folder, artifact.relative_path)
            parcels.append(Parcel(artifact=artifact, name=name, path=path, sha256=artifact.sha256))
            continue
        _check_fit(path, artifact, settings)
        if destination.deidentify and destination.deidentify_key is not None:
            target = scratch / f"{number}.dcm"
            deidentified(path, target, destination.deidentify_key.read_bytes().strip())
            _check_fit(target, artifact, settings)
            path = target
        parcels.append(_object(path, artifact, folder))
    return parcels


def _check_whole(path: Path, artifact: Artifact) -> None:
    """Check that a file is as the ledger has it."""
    try:
        digest = digest_file(path)
    except FileNotFoundError:
        raise ObjectBlocked(f"{artifact.relative_path} is missing") from None
    if digest != artifact.sha256:
        raise ObjectBlocked(f"{artifact.relative_path} is altered")


def _check_fit(path: Path, artifact: Artifact, settings: Configuration) -> None:
    """Check that an object is fit to leave."""
    problems = check(path, settings.gate)
    if problems:
        more = f"; {len(problems) - TOLD} more" if len(problems) > TOLD else ""
        raise ObjectBlocked(f"{artifact.relative_path}: {'; '.join(problems[:TOLD])}{more}")


def _object(path: Path, artifact: Artifact, folder: Path) -> Parcel:
    """Return an object with the UIDs that it says."""
    names = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"]
    try:
        found = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(names))
        uids = [str(found[name].value) for name in names]
        syntax = str(found.file_meta.TransferSyntaxUID)
    except (InvalidDicomError, KeyError, AttributeError, ValueError):
        raise ObjectBlocked(f"{artifact.relative_path} does not say what it is") from None
    return Parcel(
        artifact=artifact,
        name=name_of(folder, artifact.relative_path),
        path=path,
        sha256=digest_file(path),
        sop_class_uid=uids[0],
        sop_instance_uid=uids[1],
        series_instance_uid=uids[2],
        study_instance_uid=uids[3],
        transfer_syntax_uid=syntax,
    )
