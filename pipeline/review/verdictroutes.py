"""Routes of verdicts and corrections."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import Field

from pipeline.analyses.perfusion.aha import Insertions
from pipeline.errors import LedgerUnavailable, PipelineError, UnusableCall
from pipeline.ledger.accounts import Account
from pipeline.ledger.reviews import LONGEST_WORDS, Correction, correction_of
from pipeline.ledger.reviewstates import Verdict
from pipeline.review.corrections import MOST_BYTES, Kept, correctable, keep
from pipeline.review.correctperfusion import drawn, of_insertions, of_members
from pipeline.review.correctphases import MOST_SEGMENTS, Stretch, of_stretches
from pipeline.review.displaynames import shown_name, shown_unit
from pipeline.review.guard import Reviewer, Viewer, address_of
from pipeline.review.perfusiondetails import Bullseye, bullseye_of
from pipeline.review.problems import answers
from pipeline.review.reasons import REASONS
from pipeline.review.site import Site, TheSite
from pipeline.review.verdicts import Desk, Reader, Said, give_verdict
from pipeline.study import Measurement

router = APIRouter(prefix="/api", tags=["verdicts"])

Result = TypeVar("Result")

REFUSALS = answers(401, 403, 404, 409, 422)
"""How these routes refuse."""

LABELS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""What the schema says of a label map: compressed NIfTI on the grid of the segmentation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownReason:
    """Why a result may be rejected."""

    code: str
    """What a verdict names."""

    label: str
    """What readers see."""

    analyses: tuple[str, ...]
    """Analyses that it is one for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictGiven:
    """What a reader says of a result."""

    verdict: Literal["accepted", "rejected", "second opinion"]
    """The verdict."""

    reason: Annotated[str | None, Field(max_length=64)] = None
    """Code of the reason, for a rejection."""

    words: Annotated[str | None, Field(max_length=LONGEST_WORDS)] = None
    """What the reader adds; no names."""

    correction: UUID | None = None
    """The correction with which it is accepted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownReading:
    """A reading as it was recorded."""

    reviewer: str
    """The reader's name."""

    verdict: str
    """What the reader said."""

    reason: str | None
    """Code of the reason of a rejection."""

    words: str | None
    """What the reader added."""

    at: str
    """When, ISO 8601, UTC."""

    review: str
    """Where the review stands with it."""

    successor_job_id: UUID | None
    """The job of the verified result that it led to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownMeasurement:
    """What is measured on a corrected result."""

    name: str
    """Its key."""

    label: str
    """Its name for people."""

    value: float
    """Its value."""

    unit: str
    """Its unit; empty for a ratio."""

    slice: int | None
    """The slice that it is of, from 0; null for the whole."""

    segment: str | None
    """The structure or phase that it is of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownSegments:
    """The segments of the myocardium, measured on a corrected result."""

    bullseye: Bullseye | None
    """The myocardium by segments; null where there are none."""

    notes: tuple[str, ...]
    """Why a slice has no segments, and how its height was told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptCorrection:
    """A correction that is kept as a draft."""

    correction: UUID
    """What a verdict names."""

    measurements: tuple[ShownMeasurement, ...]
    """What is measured on the corrected result."""

    segments: ShownSegments | None
    """The segments of the myocardium; null where the result has no heart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenSegment:
    """A phase as a reader sets it."""

    start_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Where it begins [s]."""

    end_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Where it ends [s]."""

    phase: Annotated[str, Field(max_length=64)]
    """Name of the phase."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenSegments:
    """The phases of an operation as a reader sets them."""

    segments: Annotated[list[GivenSegment], Field(min_length=1, max_length=MOST_SEGMENTS)]
    """They follow each other; gaps show no phase."""


async def body_of(request: Request) -> bytes:
    """Return the body of a request; 413 as soon as it is too long."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MOST_BYTES:
            raise HTTPException(413, f"longer than {MOST_BYTES} bytes")
    return bytes(content)


Body = Annotated[bytes, Depends(body_of)]
"""Parameter of a route: the body as it came."""

Members = Annotated[dict[int, Annotated[str, Field(max_length=64)]], Field(max_length=1000)]
"""The member that is chosen on each slice, from 0."""


Millimetres = Annotated[float, Field(ge=-10_000, le=10_000, allow_inf_nan=False)]
"""A coordinate in the patient [mm], LPS+."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenInsertions:
    """Where the right ventricle meets the left one on a slice."""

    anterior: tuple[Millimetres, Millimetres, Millimetres]
    """In front."""

    inferior: tuple[Millimetres, Millimetres, Millimetres]
    """Below."""


def desk_of(site: Site) -> Desk:
    """Return where results are read."""
    return Desk(ledger=site.ledger, configuration=site.configuration, clock=site.clock)


def reader_of(account: Account, request: Request) -> Reader:
    """Return who reads."""
    return Reader(
        name=account.name,
        display_name=account.display_name,
        role=str(account.role),
        address=address_of(request),
    )


@router.get("/reasons", responses=answers(401))
def reasons(_account: Viewer) -> list[ShownReason]:
    """Tell why a result may be rejected."""
    return [
        ShownReason(code=reason.code, label=reason.label, analyses=reason.analyses)
        for reason in REASONS
    ]


@router.post("/jobs/{job_id}/verdicts", status_code=201, responses=REFUSALS)
def judge(
    job_id: UUID, given: VerdictGiven, request: Request, account: Reviewer, site: TheSite
) -> ShownReading:
    """Judge a result; acceptance that ends the review makes the verified result."""
    said = Said(
        verdict=Verdict(given.verdict),
        reason=given.reason,
        words=given.words,
        correction=given.correction,
    )
    reader, desk = reader_of(account, request), desk_of(site)
    reading = _told(lambda: give_verdict(job_id, said, reader, desk))
    return ShownReading(
        reviewer=reading.display_name,
        verdict=reading.verdict.value,
        reason=reading.reason,
        words=reading.words,
        at=reading.at.isoformat(),
        review=reading.state.value,
        successor_job_id=reading.successor_job_id,
    )


@router.post(
    "/jobs/{job_id}/corrections/segmentation",
    status_code=201,
    responses={**REFUSALS, **answers(413)},
    openapi_extra=LABELS,
)
def correct_segmentation(
    job_id: UUID, body: Body, request: Request, account: Reviewer, site: TheSite
) -> KeptCorrection:
    """Keep contours that a reader has drawn, as labels: 1 myocardium, 2 blood pool."""
    reader, desk = reader_of(account, request), desk_of(site)

    def kept() -> Kept:
        past = correctable(job_id, desk)
        return keep(past, ("segmentation", drawn(past, body)), reader, desk)

    return _shown(_told(kept))


@router.get(
    "/jobs/{job_id}/corrections/{correction_id}",
    response_class=Response,
    responses={
        200: {"content": {"application/gzip": {}, "application/json": {}}},
        **answers(401, 404, 422),
    },
)
def read_correction(job_id: UUID, correction_id: UUID, _account: Viewer, site: TheSite) -> Response:
    """Return a correction as it is kept: labels as compressed NIfTI, members or phases as JSON."""

    def found() -> Correction:
        with site.ledger.reading() as session:
            return correction_of(session, job_id, correction_id)

    correction = _told(found)
    kind = "gzip" if correction.kind == "segmentation" else "json"
    return Response(correction.content, media_type=f"application/{kind}")


@router.post("/jobs/{job_id}/corrections/members", status_code=201, responses=REFUSALS)
def correct_members(
    job_id: UUID, given: Members, request: Request, account: Reviewer, site: TheSite
) -> KeptCorrection:
    """Keep a choice of other members of the pool on some slices."""
    reader, desk = reader_of(account, request), desk_of(site)

    def kept() -> Kept:
        past = correctable(job_id, desk)
        return keep(past, ("members", of_members(past, given)), reader, desk)

    return _shown(_told(kept))


@router.post("/jobs/{job_id}/corrections/insertions", status_code=201, responses=REFUSALS)
def correct_insertions(
    job_id: UUID,
    given: Annotated[dict[int, GivenInsertions], Field(max_length=1000)],
    request: Request,
    account: Reviewer,
    site: TheSite,
) -> KeptCorrection:
    """Keep where a reader sees the right ventricle meet the left one, by slice from 0."""
    reader, desk = reader_of(account, request), desk_of(site)
    points = {
        index: Insertions(anterior_lps_mm=each.anterior, inferior_lps_mm=each.inferior)
        for index, each in given.items()
    }

    def kept() -> Kept:
        past = correctable(job_id, desk)
        return keep(past, ("insertions", of_insertions(past, points)), reader, desk)

    return _shown(_told(kept))


@router.post("/jobs/{job_id}/corrections/phases", status_code=201, responses=REFUSALS)
def correct_phases(
    job_id: UUID, given: GivenSegments, request: Request, account: Reviewer, site: TheSite
) -> KeptCorrection:
    """Keep phases as a reader has set them."""
    reader, desk = reader_of(account, request), desk_of(site)
    stretches = [
        Stretch(start_s=each.start_s, end_s=each.end_s, phase=each.phase) for each in given.segments
    ]

    def kept() -> Kept:
        past = correctable(job_id, desk)
        return keep(past, ("phases", of_stretches(past, stretches)), reader, desk)

    return _shown(_told(kept))


def _told(do: Callable[[], Result]) -> Result:
    """Do something; say why not as an answer: 404 for what is not there, else 409."""
    try:
        return do()
    except UnusableCall as problem:
        raise HTTPException(404, str(problem)) from problem
    except LedgerUnavailable:
        raise
    except PipelineError as problem:
        raise HTTPException(409, str(problem)) from problem


def _shown(kept: Kept) -> KeptCorrection:
    """Return a correction as an answer."""
    segments = kept.segments
    return KeptCorrection(
        correction=kept.id,
        measurements=tuple(_measurement(m) for m in kept.measurements),
        segments=None
        if segments is None
        else ShownSegments(bullseye=bullseye_of(segments.outcome), notes=segments.notes),
    )


def _measurement(each: Measurement) -> ShownMeasurement:
    """Return a measurement as an answer."""
    return ShownMeasurement(
        name=each.name,
        label=shown_name(each.name),
        value=each.value,
        unit=shown_unit(each.unit),
        slice=each.slice_index,
        segment=each.structure,
    )
