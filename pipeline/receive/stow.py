"""STOW-RS: instances by HTTP, kept in the same inbox under the same promises as by C-STORE.

A body is read as it comes, and each of its parts is on disk and recorded before the next is read. A
part that cannot be kept is told of in the answer and stops none of the others.

References
----------
.. [S10] DICOM PS3.18, 10.5 Store Transaction.
.. [I] DICOM PS3.18, I Store Instances Response Module.
"""

import hmac
import logging
import math
import ssl
from asyncio import Transport
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from anyio import fail_after
from anyio.from_thread import run as run_in_loop
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from pipeline.errors import UnreadableFile
from pipeline.gateways.multipart import BrokenOff, NotMultipart, instance, parts
from pipeline.ingest.uids import is_uid
from pipeline.receive.encoded import offered
from pipeline.receive.inbox import Inbox
from pipeline.receive.keeper import NOT_UNDERSTOOD, OUT_OF_RESOURCES, Storing

LOG = logging.getLogger(__name__)

SENDER = "stow-rs"

STORED, SOME_STORED, NONE_STORED, NO_SPACE = 200, 202, 409, 503
"""Statuses of the answer [S10]_; 503 where every instance was refused for want of space."""

DICOM_JSON = "application/dicom+json"


@dataclass(slots=True)
class _Told:
    """What became of the instances of a request, by SOP Class and Instance UID."""

    stored: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str, int]] = field(default_factory=list)
    n_unknown: int = 0
    is_broken_off: bool = False

    @property
    def status(self) -> int:
        """Status of the answer."""
        is_whole = not (self.refused or self.n_unknown or self.is_broken_off)
        if self.stored:
            return STORED if is_whole else SOME_STORED
        statuses = {status for _, _, status in self.refused}
        return NO_SPACE if statuses == {OUT_OF_RESOURCES} else NONE_STORED

    def to_json(self) -> dict[str, object]:
        """Return the answer in the DICOM JSON Model [I]_."""
        answer: dict[str, object] = {}
        if self.stored:
            answer["00081199"] = _sequence(_reference(*uids) for uids in self.stored)
        if self.refused:
            answer["00081198"] = _sequence(
                {**_reference(sop_class, uid), **_reason(status)}
                for sop_class, uid, status in self.refused
            )
        if self.n_unknown:
            answer["0008119A"] = _sequence(_reason(NOT_UNDERSTOOD) for _ in range(self.n_unknown))
        return answer


def stow_application(inbox: Inbox, token: str | None, silent_s: float) -> Starlette:
    """Return the web application that stores instances [S10]_.

    Parameters
    ----------
    inbox
        Keeps them.
    token
        What a client must show as its bearer token; None asks for none.
    silent_s
        Time after which a body that is silent has ended [s].
    """

    async def store(request: Request) -> Response:
        if token is not None and not _shows(request, token):
            return PlainTextResponse(
                "a bearer token is needed", 401, {"WWW-Authenticate": "Bearer"}
            )
        study = request.path_params.get("study")
        if study is not None and not is_uid(study):
            return PlainTextResponse("the path names no Study Instance UID", 400)
        stream = request.stream()

        async def chunk() -> bytes | None:
            with fail_after(silent_s):
                return await anext(stream, None)

        kind = request.headers.get("content-type", "")
        try:
            told = await run_in_threadpool(_keep_all, inbox, _body(chunk), (kind, study))
        except NotMultipart:
            return PlainTextResponse(
                "needed is a body of multipart/related with application/dicom", 415
            )
        LOG.info(
            "%d instances stored by STOW-RS, %d refused",
            len(told.stored),
            len(told.refused) + told.n_unknown,
            extra={"action": "instances_stored"},
        )
        return JSONResponse(told.to_json(), told.status, media_type=DICOM_JSON)

    return Starlette(
        routes=[
            Route("/studies", store, methods=["POST"]),
            Route("/studies/{study}", store, methods=["POST"]),
        ]
    )


class _Connection(H11Protocol):
    """A connection that is closed where nothing is asked for."""

    first_s = 0.0
    _seen: RequestResponseCycle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        super().connection_made(transport)
        self.loop.call_later(self.first_s, self._look)

    def _look(self) -> None:
        """Close it if no request has come since the last look, and look again later if not."""
        cycle: RequestResponseCycle | None = self.cycle
        if (cycle is None or cycle.response_complete) and cycle is self._seen:
            self.transport.close()
        if not self.transport.is_closing():
            self._seen = cycle
            self.loop.call_later(self.first_s, self._look)


def stow_server(
    application: Starlette,
    tls: Callable[[], ssl.SSLContext] | None,
    *,
    first_s: float,
    ends_s: float,
) -> uvicorn.Server:
    """Return a server of an application; run it with a socket that listens.

    Parameters
    ----------
    application
        The application.
    tls
        Makes what connections are secured with; None has them plain.
    first_s
        Time in which a client must have asked for something [s].
    ends_s
        Time that requests have to end when the server ends [s].
    """
    config = uvicorn.Config(
        application,
        http=type("Connection", (_Connection,), {"first_s": first_s}),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=math.ceil(ends_s),
    )
    server = uvicorn.Server(config)
    if tls is not None:
        config.load()
        config.ssl = tls()
    return server


def _shows(request: Request, token: str) -> bool:
    """Tell whether a request shows a token."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(shown.encode(), token.encode())


def _body(chunk: Callable[[], Any]) -> Iterator[bytes]:
    """Return the body of a request, read in the loop that serves it."""
    while (part := run_in_loop(chunk)) is not None:
        yield part


def _keep_all(inbox: Inbox, body: Iterator[bytes], asked: tuple[str, str | None]) -> _Told:
    """Keep what a body holds, one instance after the other.

    Raises
    ------
    NotMultipart
        If the body is none of the kind that it says, and nothing was kept.
    """
    kind, study = asked
    told = _Told()
    try:
        for chunks in parts(body, kind):
            _keep(inbox, chunks, study, told)
    except (BrokenOff, ClientDisconnect, TimeoutError):
        told.is_broken_off = True
    except NotMultipart:
        if not (told.stored or told.refused or told.n_unknown):
            raise
        told.is_broken_off = True
    return told


def _keep(inbox: Inbox, chunks: Iterator[bytes], study: str | None, told: _Told) -> None:
    """Keep the instance of one part, if it is one."""
    try:
        offer, data_set = offered(instance(chunks), SENDER, study)
    except (NotMultipart, UnreadableFile):
        told.n_unknown += 1
        return
    storing = Storing(inbox, offer)
    try:
        for chunk in data_set:
            storing.write(chunk)
        answer = storing.answer()
    finally:
        storing.give_up()
    uids = offer.sop_class_uid, offer.sop_instance_uid
    if answer.status:
        told.refused.append((*uids, answer.status))
    else:
        told.stored.append(uids)


def _sequence(items: Iterable[dict[str, object]]) -> dict[str, object]:
    """Return a sequence in the DICOM JSON Model."""
    return {"vr": "SQ", "Value": list(items)}


def _reference(sop_class_uid: str, sop_instance_uid: str) -> dict[str, object]:
    """Return Referenced SOP Class UID (0008,1150) and Instance UID (0008,1155)."""
    return {
        "00081150": {"vr": "UI", "Value": [sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [sop_instance_uid]},
    }


def _reason(status: int) -> dict[str, object]:
    """Return Failure Reason (0008,1197)."""
    return {"00081197": {"vr": "US", "Value": [status]}}
