"""DICOMweb of our own objects, to look at: QIDO-RS and WADO-RS, with the page's sign-in.

Inputs of jobs that have a result, and the results. Nothing is stored here: that is the receiver's
(``pipeline.receive``).

References
----------
.. [W18] DICOM PS3.18, 10.4 Retrieve Transaction, 10.6 Search Transaction.
"""

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import uuid5

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from pipeline.errors import NotApplicable, StudyRejected
from pipeline.identity import JOB_NAMESPACE
from pipeline.ledger.accounts import Account
from pipeline.ledger.audit import Audited, record
from pipeline.review.dicomstore import (
    INSTANCE_LEVEL,
    SERIES_LEVEL,
    STUDY_LEVEL,
    StoredInstance,
    attributes,
    metadata,
)
from pipeline.review.frames import frames_of
from pipeline.review.guard import TheSignIn, Viewer, by
from pipeline.review.problems import answers
from pipeline.review.rows import Row
from pipeline.review.site import Site, TheSite

JSON = "application/dicom+json"

MOST = 1000
"""Studies of one answer."""

PIECE = 1 << 20
"""Bytes that are sent at a time."""

Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
"""A UID in a path."""

DICOM_JSON: dict[int | str, dict[str, Any]] = {
    200: {"content": {JSON: {"schema": {"type": "array"}}}},
    204: {"description": "Nothing was found"},
}
MULTIPART: dict[int | str, dict[str, Any]] = {
    200: {"content": {"multipart/related": {"schema": {"type": "string", "format": "binary"}}}}
}

router = APIRouter(prefix="/dicomweb", tags=["dicomweb"])


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyQuery:
    """Which studies are asked for; ``*`` and ``?`` in names, ``-`` between dates."""

    StudyInstanceUID: Annotated[str | None, Query(max_length=4096)] = None
    """Study Instance UID, or several with commas."""

    PatientID: Annotated[str | None, Query(max_length=64)] = None
    """Patient ID."""

    PatientName: Annotated[str | None, Query(max_length=64)] = None
    """Patient's Name."""

    StudyDate: Annotated[
        str | None, Query(pattern=r"^[0-9]{8}$|^[0-9]{8}-$|^-[0-9]{8}$|^[0-9]{8}-[0-9]{8}$")
    ] = None
    """Study Date, or a range."""

    AccessionNumber: Annotated[str | None, Query(max_length=16)] = None
    """Accession Number."""

    limit: Annotated[int, Query(ge=1, le=MOST)] = 100
    """How many at most."""

    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0
    """How many are left out first."""


@router.get("/studies", responses={**answers(401, 403, 422), **DICOM_JSON})
def studies(
    _account: Viewer, request: Request, site: TheSite, sought: Annotated[StudyQuery, Depends()]
) -> Response:
    """Search for studies [W18]_."""
    rows = {
        row.study_instance_uid: row
        for row in site.worklist.snapshot().rows.values()
        if row.study_instance_uid is not None and _fits(row, sought)
    }
    chosen = sorted(rows)[sought.offset : sought.offset + sought.limit]
    found = []
    for uid in chosen:
        own = site.dicom.instances(uid)
        if own:
            found.append(
                attributes(
                    own[0].header,
                    STUDY_LEVEL,
                    ModalitiesInStudy=sorted({str(i.header.get("Modality", "")) for i in own}),
                    NumberOfStudyRelatedSeries=len({i.series_uid for i in own}),
                    NumberOfStudyRelatedInstances=len(own),
                    RetrieveURL=f"{request.base_url}dicomweb/studies/{uid}",
                )
            )
    return _json(found)


@router.get("/studies/{study}/series", responses={**answers(401, 403, 422), **DICOM_JSON})
def series(_account: Viewer, request: Request, site: TheSite, study: Uid) -> Response:
    """Search for the series of a study."""
    groups: dict[str, list[StoredInstance]] = {}
    for instance in site.dicom.instances(study):
        groups.setdefault(instance.series_uid, []).append(instance)
    return _json(
        [
            attributes(
                own[0].header,
                SERIES_LEVEL,
                NumberOfSeriesRelatedInstances=len(own),
                RetrieveURL=f"{request.base_url}dicomweb/studies/{study}/series/{uid}",
            )
            for uid, own in groups.items()
        ]
    )


@router.get("/studies/{study}/instances", responses={**answers(401, 403, 422), **DICOM_JSON})
def instances_of_study(_account: Viewer, site: TheSite, study: Uid) -> Response:
    """Search for the instances of a study."""
    return _json([attributes(i.header, INSTANCE_LEVEL) for i in site.dicom.instances(study)])


@router.get(
    "/studies/{study}/series/{of_series}/instances",
    responses={**answers(401, 403, 422), **DICOM_JSON},
)
def instances_of_series(_account: Viewer, site: TheSite, study: Uid, of_series: Uid) -> Response:
    """Search for the instances of a series."""
    found = site.dicom.instances(study, of_series)
    return _json([attributes(i.header, INSTANCE_LEVEL) for i in found])


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A retrieval: the instances, and who looks at them."""

    instances: Sequence[StoredInstance]
    """The instances."""

    single: bool
    """Whether one by its UID was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Looker:
    """Who looks, and where."""

    account: Account
    """The account."""

    request: Request
    """The request."""

    site: Site
    """The site."""

    session: str
    """What the session is told by."""

    def look(self, study: str, of_series: str | None = None, instance: str | None = None) -> Asked:
        """Return the instances of a path; the first look at a study in a session is audited.

        Raises
        ------
        HTTPException
            404 if there is nothing.
        """
        found = self.site.dicom.instances(study, of_series, instance)
        if not found:
            raise HTTPException(404, "no such instance")
        if self.site.looks.is_first(self.session, study):
            who = by(self.account, self.request)
            audited = Audited(
                action="study retrieved",
                actor=who.actor,
                role=who.role,
                address=who.address,
                subject=f"study {study}",
            )
            record(self.site.ledger, audited)
        return Asked(instances=found, single=instance is not None)


def looker(account: Viewer, request: Request, site: TheSite, sign_in: TheSignIn) -> Looker:
    """Return who looks."""
    return Looker(account=account, request=request, site=site, session=sign_in.token_sha256)


TheLooker = Annotated[Looker, Depends(looker)]


def whole_study(who: TheLooker, study: Uid) -> Asked:
    """Return the instances of a study."""
    return who.look(study)


def whole_series(who: TheLooker, study: Uid, of_series: Uid) -> Asked:
    """Return the instances of a series."""
    return who.look(study, of_series)


def one_instance(who: TheLooker, study: Uid, of_series: Uid, instance: Uid) -> Asked:
    """Return one instance."""
    return who.look(study, of_series, instance)


OfStudy = Annotated[Asked, Depends(whole_study)]
"""Parameter of a route: the instances of a study."""

OfSeries = Annotated[Asked, Depends(whole_series)]
"""Parameter of a route: the instances of a series."""

OfInstance = Annotated[Asked, Depends(one_instance)]
"""Parameter of a route: one instance."""

REFUSALS = answers(401, 403, 404, 422)


@router.get("/studies/{study}/metadata", responses={**REFUSALS, **DICOM_JSON})
def metadata_of_study(asked: OfStudy) -> Response:
    """Retrieve all attributes but the pixels of a study's instances."""
    return _json([metadata(i.header) for i in asked.instances])


@router.get("/studies/{study}/series/{of_series}/metadata", responses={**REFUSALS, **DICOM_JSON})
def metadata_of_series(asked: OfSeries) -> Response:
    """Retrieve all attributes but the pixels of a series' instances."""
    return _json([metadata(i.header) for i in asked.instances])


@router.get(
    "/studies/{study}/series/{of_series}/instances/{instance}/metadata",
    responses={**REFUSALS, **DICOM_JSON},
)
def metadata_of_instance(asked: OfInstance) -> Response:
    """Retrieve all attributes but the pixels of an instance."""
    return _json([metadata(i.header) for i in asked.instances])


@router.get("/studies/{study}", responses={**REFUSALS, **MULTIPART})
def study_objects(asked: OfStudy, request: Request) -> Response:
    """Retrieve the instances of a study."""
    return _objects(asked, request)


@router.get("/studies/{study}/series/{of_series}", responses={**REFUSALS, **MULTIPART})
def series_objects(asked: OfSeries, request: Request) -> Response:
    """Retrieve the instances of a series."""
    return _objects(asked, request)


@router.get(
    "/studies/{study}/series/{of_series}/instances/{instance}",
    responses={**REFUSALS, **MULTIPART},
)
def one_object(asked: OfInstance, request: Request) -> Response:
    """Retrieve an instance."""
    return _objects(asked, request)


@router.get(
    "/studies/{study}/series/{of_series}/instances/{instance}/frames/{frames}",
    responses={**REFUSALS, **answers(400), **MULTIPART},
)
def frames(
    frames: Annotated[str, Path(pattern=r"^[0-9]{1,7}(,[0-9]{1,7})*$", max_length=4096)],
    asked: OfInstance,
) -> Response:
    """Retrieve frames of an instance, as they lie in it."""
    try:
        kind, found = frames_of(
            asked.instances[0].path, [int(number) for number in frames.split(",")]
        )
    except NotApplicable as problem:
        raise HTTPException(400, str(problem)) from problem
    except (StudyRejected, OSError) as problem:
        raise HTTPException(404, "the frames cannot be read") from problem
    return _multipart(((kind, iter((content,))) for content in found), kind.split(";")[0])


def _objects(asked: Asked, request: Request) -> Response:
    """Return instances as they lie in their files."""
    accept = request.headers.get("accept", "")
    if asked.single and "multipart" not in accept and "application/dicom" in accept:
        return StreamingResponse(_pieces(asked.instances[0]), media_type="application/dicom")
    parts = (("application/dicom", _pieces(instance)) for instance in asked.instances)
    return _multipart(parts, "application/dicom")


def _pieces(instance: StoredInstance) -> Iterator[bytes]:
    """Yield the bytes of an instance's file."""
    with instance.path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _multipart(parts: Iterator[tuple[str, Iterator[bytes]]], kind: str) -> Response:
    """Return parts as one answer of multipart/related."""
    boundary = uuid5(JOB_NAMESPACE, kind).hex

    def body() -> Iterator[bytes]:
        for part_kind, pieces in parts:
            yield f"--{boundary}\r\nContent-Type: {part_kind}\r\n\r\n".encode()
            yield from pieces
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    media = f'multipart/related; type="{kind}"; boundary={boundary}'
    return StreamingResponse(body(), media_type=media)


def _json(found: list[dict[str, Any]]) -> Response:
    """Return an answer in the DICOM JSON Model; 204 where nothing was found."""
    return JSONResponse(found, media_type=JSON) if found else Response(status_code=204)


def _fits(row: Row, sought: StudyQuery) -> bool:
    """Tell whether a study is asked for."""
    patient, study = row.patient, row.study
    if sought.StudyInstanceUID is not None:
        uids = re.split(r"[,\\]", sought.StudyInstanceUID)
        if row.study_instance_uid not in uids:
            return False
    if sought.PatientID and (patient is None or patient.id != sought.PatientID):
        return False
    accession = None if study is None else study.accession_number
    if sought.AccessionNumber and accession != sought.AccessionNumber:
        return False
    if sought.PatientName and not _is_named(patient.name if patient else None, sought.PatientName):
        return False
    return not sought.StudyDate or _is_of(study.date if study else None, sought.StudyDate)


def _is_named(name: str | None, sought: str) -> bool:
    """Tell whether a name is one that is asked for; case and separators do not matter."""
    words = " ".join(re.split(r"[\^ ,]+", (name or "").casefold())).strip()
    pattern = " ".join(re.split(r"[\^ ,]+", sought.casefold())).strip()
    # In brackets a sign is itself.
    return name is not None and fnmatch.fnmatchcase(words, pattern.replace("[", "[[]"))


def _is_of(date: str | None, sought: str) -> bool:
    """Tell whether a date lies in a range."""
    if date is None:
        return False
    day = date.replace("-", "")
    first, dash, last = sought.partition("-")
    return (not first or day >= first) and (day <= last if last else bool(dash) or day == first)
