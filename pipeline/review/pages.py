"""The page itself: files that were built from ``page/`` and come with the package."""

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse, PlainTextResponse

from pipeline.ledger.reviewlist import marks
from pipeline.review.site import TheSite

STATIC = Path(__file__).parent / "static"
"""Where the built files are."""

FOR_EVER = "public, max-age=31536000, immutable"
"""Of files whose names hold a digest of what they hold."""

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
"""Content types by the ending of a name; nothing else is served."""

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def healthy() -> PlainTextResponse:
    """Tell that the server runs."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def ready(site: TheSite) -> PlainTextResponse:
    """Tell whether the ledger answers; 503 says that it is away."""
    marks(site.ledger)
    return PlainTextResponse("ready\n")


@router.get("/{path:path}")
def page(path: str) -> FileResponse:
    """Return a file of the page; any other path is one of its views.

    Raises
    ------
    HTTPException
        404 if there is none.
    """
    if path.split("/")[0] in ("api", "dicomweb"):
        raise HTTPException(404, "not found")
    place = (STATIC / path).resolve()
    is_file = place.is_relative_to(STATIC.resolve()) and place.is_file()
    if not is_file and Path(path).suffix:
        raise HTTPException(404, "not found")
    found = place if is_file else STATIC / "index.html"
    kind = KINDS.get(found.suffix)
    if kind is None or not found.is_file():
        raise HTTPException(404, "the page was not built: make page")
    caching = FOR_EVER if path.startswith("assets/") else "no-cache"
    return FileResponse(found, media_type=kind, headers={"Cache-Control": caching})
