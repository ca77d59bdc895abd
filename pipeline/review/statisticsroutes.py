"""Routes of what verdicts say, and of what they are exported as."""

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from pydantic import Field
from starlette.background import BackgroundTask

from pipeline.review.guard import Administrator, Viewer
from pipeline.review.problems import answers
from pipeline.review.site import TheSite
from pipeline.review.statistics import Summary, judged, summarise
from pipeline.review.trainingset import ExportAsked, export
from pipeline.review.verdictroutes import reader_of

router = APIRouter(prefix="/api", tags=["statistics"])


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportWanted:
    """What is to be exported."""

    analysis: Annotated[str | None, Field(max_length=64)] = None
    """Only results of this analysis."""

    deidentified: bool = False
    """Whether what links a case to the ledger or to an archive is left out."""


@router.get("/statistics", responses=answers(401, 422))
def statistics(
    _account: Viewer, site: TheSite, analysis: Annotated[str | None, Query(max_length=64)] = None
) -> Summary:
    """Tell how often results are accepted, and whether their uncertainty tells."""
    return summarise(judged(site.ledger, analysis or None))


@router.post(
    "/exports",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {}}}, **answers(401, 403, 422)},
)
def export_training_set(
    wanted: ExportWanted, request: Request, account: Administrator, site: TheSite
) -> FileResponse:
    """Return what was accepted or corrected as a training set, a ZIP archive."""
    asked = ExportAsked(analysis=wanted.analysis, deidentified=wanted.deidentified)
    with ExitStack() as held:
        scratch = Path(tempfile.mkdtemp(prefix="vesalius-export-"))
        held.callback(shutil.rmtree, scratch)
        export(site.ledger, asked, scratch / "training-set", reader_of(account, request))
        packed = shutil.make_archive(str(scratch / "packed"), "zip", scratch, "training-set")
        # It is removed when it has been sent.
        sent = BackgroundTask(held.pop_all().close)
    return FileResponse(
        packed, media_type="application/zip", filename="training-set.zip", background=sent
    )
