"""The review page's application: routes, guarded, and what every answer carries."""

from fastapi import APIRouter, FastAPI

from pipeline import __version__
from pipeline.review import (
    accountroutes,
    dicomweb,
    events,
    jobroutes,
    oidcroutes,
    pages,
    sessionroutes,
    statisticsroutes,
    verdictroutes,
    worklistroutes,
)
from pipeline.review.problems import add_handlers
from pipeline.review.security import Security
from pipeline.review.site import Site

ROUTERS: tuple[APIRouter, ...] = (
    sessionroutes.router,
    oidcroutes.router,
    worklistroutes.router,
    jobroutes.router,
    events.router,
    accountroutes.router,
    dicomweb.router,
    verdictroutes.router,
    statisticsroutes.router,
)
"""All routes; each begins with what ``pipeline.review.guard`` asks for."""


def make_app(site: Site) -> FastAPI:
    """Return the application that serves a site."""
    app = FastAPI(
        title="Vesalius review",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.site = site
    for router in ROUTERS:
        app.include_router(router)
    # Last: it answers every path that nobody else does.
    app.include_router(pages.router)
    add_handlers(app)
    app.add_middleware(Security, settings=site.configuration.review)
    return app
