"""Routes of one result: what is needed to judge it, and its files."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse

from pipeline.errors import NotApplicable, StudyRejected
from pipeline.ledger.accounts import Account
from pipeline.ledger.audit import Audited, record
from pipeline.ledger.reviewlist import ResultJob, result_job
from pipeline.review.details import Detail, detail_of
from pipeline.review.guard import Viewer, by
from pipeline.review.images import source_of
from pipeline.review.phasedetails import Anticipated, anticipated
from pipeline.review.problems import answers
from pipeline.review.site import Site, TheSite

router = APIRouter(prefix="/api/jobs/{job_id}", tags=["results"])

KINDS = {
    ".dcm": "application/dicom",
    ".gz": "application/gzip",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".mp4": "video/mp4",
}
"""Content types by the ending of a file's name."""

ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Policy of a file that is opened by itself: nothing in it runs."""

BINARY: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "description": "The file",
    },
    206: {"description": "A part of the file"},
    400: {"description": "No range of bytes"},
    416: {"description": "No such part"},
}
"""What the schema says of files."""


@router.get("", responses=answers(401, 403, 404, 422))
def job(job_id: UUID, account: Viewer, request: Request, site: TheSite) -> Detail:
    """Return a result with all that is needed to judge it; it counts as a view."""
    found = detail_of(site, job_id, account)
    if found is None:
        raise HTTPException(404, "no such result")
    _record_view(site, job_id, account, request)
    return found


@router.get("/anticipation", responses=answers(401, 403, 404, 422))
def anticipation(
    job_id: UUID,
    _account: Viewer,
    site: TheSite,
    t_s: Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False)],
) -> Anticipated:
    """Return what was anticipated at a time of an operation."""
    found = anticipated(_result(site, job_id), t_s)
    if found is None:
        raise HTTPException(404, "nothing was anticipated")
    return found


@router.get(
    "/files/{path:path}",
    response_class=FileResponse,
    responses={**answers(401, 403, 404, 422), **BINARY},
)
def file(
    job_id: UUID,
    path: Annotated[str, PathParameter(max_length=512)],
    _account: Viewer,
    site: TheSite,
) -> FileResponse:
    """Return a file of a result; only those that the ledger lists."""
    found = _result(site, job_id)
    artifact = found.artifact(path)
    if artifact is None or found.folder is None:
        raise HTTPException(404, "the result has no such file")
    place = found.folder / artifact.relative_path
    if not place.is_file() or not place.resolve().is_relative_to(found.folder.resolve()):
        raise HTTPException(404, "the file is gone")
    return _sent(place)


@router.get(
    "/source.nii.gz",
    response_class=FileResponse,
    responses={**answers(401, 403, 404, 422), **BINARY},
)
def source(job_id: UUID, _account: Viewer, site: TheSite) -> FileResponse:
    """Return the images of the input over time, as NIfTI on the grid of the result."""
    try:
        return _sent(source_of(_result(site, job_id), site.cache).path)
    except (StudyRejected, NotApplicable) as problem:
        raise HTTPException(404, str(problem)) from problem


@router.get(
    "/video.mp4",
    response_class=FileResponse,
    responses={**answers(401, 403, 404, 422), **BINARY},
)
def video(job_id: UUID, _account: Viewer, site: TheSite) -> FileResponse:
    """Return the video of the input as browsers play it; 503 while it is being made."""
    try:
        found = site.videos.find(_result(site, job_id))
    except NotApplicable as problem:
        raise HTTPException(404, str(problem)) from problem
    if found is None:
        raise HTTPException(503, "the video is being made", headers={"Retry-After": "5"})
    return _sent(found)


def _result(site: Site, job_id: UUID) -> ResultJob:
    """Return a job that has a result.

    Raises
    ------
    HTTPException
        404 if there is none.
    """
    found = result_job(site.ledger, job_id)
    if found is None:
        raise HTTPException(404, "no such result")
    return found


def _sent(path: Path) -> FileResponse:
    """Return a file as an answer."""
    kind = KINDS.get(path.suffix, "application/octet-stream")
    return FileResponse(path, media_type=kind, headers={"Content-Security-Policy": ALONE})


def _record_view(site: Site, job_id: UUID, account: Account, request: Request) -> None:
    """Record that a result was looked at."""
    who = by(account, request)
    audited = Audited(
        action="result viewed",
        actor=who.actor,
        role=who.role,
        address=who.address,
        subject=f"job {job_id}",
    )
    record(site.ledger, audited)
