"""The page itself: what ``make page`` built, as files.

Scripts and styles are named by their content, so browsers keep them; the document is asked for
anew.
"""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BUILT = Path(__file__).parent / "static"
"""Where the build lies, also in a wheel."""

KEPT = "public, max-age=31536000, immutable"
"""Of files whose name changes with their content."""


class Page(StaticFiles):
    """Files of the page, each with how long a browser keeps it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer for a file."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = KEPT if path.startswith("assets/") else "no-cache"
        return response


def add_page(app: FastAPI, built: Path = BUILT) -> None:
    """Serve the page below all other routes; without a build, say how to make one."""
    if (built / "index.html").is_file():
        app.mount("/", Page(directory=built, html=True), name="page")
        return

    @app.get("/", include_in_schema=False)
    def missing() -> PlainTextResponse:
        return PlainTextResponse("The page is not built: make page\n", 503)
