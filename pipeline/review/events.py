"""News for the page: server-sent events that tell when the worklist has changed.

A stream ends with its session, and does not keep it going.

References
----------
.. [SSE] WHATWG, HTML Living Standard, 9.2 Server-sent events.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from pipeline.errors import LedgerUnavailable
from pipeline.ledger.signins import find_session
from pipeline.review.guard import TheSignIn, Viewer, ends_at
from pipeline.review.problems import answers
from pipeline.review.site import Site, TheSite

router = APIRouter(prefix="/api", tags=["worklist"])

LOOKS_S = 1.0
"""The worklist is looked at so often [s]."""

ALIVE_LOOKS = 15
"""After so many looks without news a line is sent, and the session looked at."""

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
"""What the schema says of the stream."""


@router.get("/events", response_class=StreamingResponse, responses={**answers(401, 403), **STREAM})
async def events(
    request: Request, _account: Viewer, site: TheSite, sign_in: TheSignIn
) -> StreamingResponse:
    """Tell when the worklist has changed, as long as somebody listens [SSE]_."""
    return StreamingResponse(
        _news(request, site, sign_in.token_sha256),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _news(request: Request, site: Site, token_sha256: str) -> AsyncIterator[str]:
    """Yield an event for each change, the present state first."""
    told, looks = 0, 0
    while not site.ending.is_set() and not await request.is_disconnected():
        try:
            revision = (await run_in_threadpool(site.worklist.snapshot)).revision
        except LedgerUnavailable:
            revision = told
        looks += 1
        if revision != told:
            told = revision
            yield f"event: changed\ndata: {json.dumps({'revision': revision})}\n\n"
        elif looks % ALIVE_LOOKS == 0:
            if not await run_in_threadpool(_holds, site, token_sha256):
                return
            yield ": no news\n\n"
        await asyncio.sleep(LOOKS_S)


def _holds(site: Site, token_sha256: str) -> bool:
    """Tell whether a session holds still."""
    try:
        sign_in = find_session(site.ledger, token_sha256)
    except LedgerUnavailable:
        return False
    return sign_in is not None and ends_at(sign_in, site) > site.clock()
