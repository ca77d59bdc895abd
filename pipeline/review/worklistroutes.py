"""Routes of the worklist: its rows, what they can be narrowed by, and saved views."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import Field

from pipeline.errors import UnusableCall
from pipeline.ledger.signins import SavedView, remove_view, save_view, views_of
from pipeline.review.guard import Viewer
from pipeline.review.problems import answers
from pipeline.review.rows import Row
from pipeline.review.site import TheSite
from pipeline.review.worklist import Wanted

router = APIRouter(prefix="/api", tags=["worklist"])

MOST_ROWS = 10_000
"""Rows of one answer."""

Word = Annotated[str | None, Query(max_length=256)]
"""What a column is to be."""

ViewName = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f/]+$")]
"""Name of a saved view."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What narrows the worklist."""

    analysis: Word = None
    """Name of the analysis."""

    review: Word = None
    """Where the review stands."""

    destination: Word = None
    """A destination."""

    version: Word = None
    """Version of the bundle."""

    scanner: Word = None
    """The scanner."""

    since: Annotated[datetime | None, Query()] = None
    """Done then or later, ISO 8601, UTC."""

    until: Annotated[datetime | None, Query()] = None
    """Done before."""

    text: Word = None
    """Words of patient, study, series, or of the job."""

    def wanted(self) -> Wanted:
        """Return what is asked for; an empty text does not matter."""
        return Wanted(**{name: getattr(self, name) or None for name in Wanted.__slots__})


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Rows of the worklist."""

    total: int
    """Rows that fit."""

    revision: int
    """Grows with every change of the worklist."""

    complete: bool
    """Whether all results were indexed; if not, more will come."""

    rows: tuple[Row, ...]
    """Those that were asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facet:
    """A value that the worklist can be narrowed by."""

    value: str
    """The value."""

    count: int
    """Rows that have it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facets:
    """What the worklist can be narrowed by."""

    analyses: tuple[Facet, ...]
    """Names of analyses."""

    versions: tuple[Facet, ...]
    """Versions of bundles."""

    scanners: tuple[Facet, ...]
    """Scanners."""

    destinations: tuple[Facet, ...]
    """Destinations."""

    reviews: tuple[Facet, ...]
    """Where reviews stand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewQuery:
    """What a saved view asks for."""

    query: Annotated[dict[str, str | int | float | bool | None], Field(max_length=32)]
    """Parameters of the worklist, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A saved view."""

    name: str
    """Its name."""

    query: dict[str, Any]
    """Parameters of the worklist, by name."""


@router.get("/worklist", responses=answers(401, 403, 422))
def worklist(
    _account: Viewer,
    site: TheSite,
    filters: Annotated[Filters, Depends()],
    order: Literal["uncertainty", "priority", "date"] = "uncertainty",
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 100,
) -> Page:
    """Return results, the least certain first."""
    snapshot, rows = site.worklist.find(filters.wanted(), order)
    return Page(
        total=len(rows),
        revision=snapshot.revision,
        complete=snapshot.is_whole,
        rows=tuple(rows[offset : offset + limit]),
    )


@router.get("/worklist/facets", responses=answers(401, 403))
def facets(_account: Viewer, site: TheSite) -> Facets:
    """Return what the worklist can be narrowed by."""
    found = site.worklist.snapshot().facets
    return Facets(
        **{
            name: tuple(Facet(value=value, count=count) for value, count in sorted(counts.items()))
            for name, counts in found.items()
        }
    )


@router.get("/views", responses=answers(401, 403))
def views(account: Viewer, site: TheSite) -> tuple[View, ...]:
    """Return one's saved views."""
    found = views_of(site.ledger, account.name)
    return tuple(View(name=view.name, query=dict(view.query)) for view in found)


@router.put("/views/{name}", responses=answers(400, 401, 403, 422))
def save(account: Viewer, site: TheSite, name: ViewName, given: ViewQuery) -> View:
    """Save a view, in place of one of that name."""
    view = SavedView(name=name, query=given.query)
    try:
        save_view(site.ledger, account.name, view)
    except UnusableCall as problem:
        raise HTTPException(400, str(problem)) from problem
    return View(name=name, query=dict(view.query))


@router.delete("/views/{name}", status_code=204, responses=answers(401, 403, 404, 422))
def remove(account: Viewer, site: TheSite, name: ViewName) -> None:
    """Remove a saved view."""
    if not remove_view(site.ledger, account.name, name):
        raise HTTPException(404, "no such view")
