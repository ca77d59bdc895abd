"""A manager over HTTP: UPS-RS after PS3.18, 11, with its status codes and Warning header fields."""

import json
import threading
from typing import Any

import uvicorn
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.service import wait_until
from tests.support.upsmanager import Manager

JSON = "application/dicom+json"

CODES = {0xC307: 404, 0xC301: 400, 0xC300: 409, 0xC302: 409, 0xC303: 400, 0xC304: 409, 0xC310: 409}
CODES |= {0xC311: 409, 0xC312: 409, 0xC308: 403, 0x0106: 400, 0x0115: 400, 0xC309: 400, 0x0111: 409}

SAID = {
    0xB304: "The UPS is already in the requested state of CANCELED.",
    0xB306: "The UPS is already in the requested state of COMPLETED.",
    0xC301: "The Transaction UID is incorrect.",
}
INCONSISTENT = "The submitted request is inconsistent with the state of the UPS Instance."


class UpsRsServer:
    """Serves a manager in a thread; whoever asks must show the token, if there is one."""

    def __init__(self, manager: Manager, *, token: str | None = None, port: int = 0) -> None:
        self.manager, self._token = manager, token
        self.paths: list[str] = []
        routes = [
            Route("/dicom-web/workitems", self._guarded(self._search)),
            Route("/dicom-web/workitems/{uid}", self._guarded(self._retrieve)),
            Route("/dicom-web/workitems/{uid}", self._guarded(self._update), methods=["POST"]),
            Route("/dicom-web/workitems/{uid}/state", self._guarded(self._state), methods=["PUT"]),
            Route(
                "/dicom-web/workitems/{uid}/cancelrequest",
                self._guarded(self._cancel),
                methods=["POST"],
            ),
            Route(
                "/dicom-web/workitems/{uid}/subscribers/{title}",
                self._guarded(self._subscribe),
                methods=["POST", "DELETE"],
            ),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), host="127.0.0.1", port=port, log_level="critical", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> "UpsRsServer":
        self._thread.start()
        wait_until(lambda: self._server.started, 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    @property
    def url(self) -> str:
        (server,) = self._server.servers
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/dicom-web"

    def _guarded(self, serve: Any) -> Any:
        async def answer(request: Request) -> Response:
            self.paths.append(f"{request.method} {request.url.path}")
            if self._token and request.headers.get("authorization") != f"Bearer {self._token}":
                return Response(status_code=401)
            if request.path_params.get("uid") in self.manager.gone:
                return Response(status_code=410)
            has_payload = request.method in ("POST", "PUT") and bool(await request.body())
            if has_payload and request.headers.get("content-type") != JSON:
                return Response(status_code=415)
            found: Response = await serve(request)
            return found

        return answer

    async def _search(self, request: Request) -> Response:
        keys = Dataset()
        for name, value in request.query_params.multi_items():
            if name == "includefield":
                continue
            first, _, inner = name.partition(".")
            if inner:
                items = keys.get(first) or [Dataset()]
                setattr(items[0], inner, value)
                setattr(keys, first, items)
            else:
                setattr(keys, first, value)
        found = self.manager.find(keys)
        return _json(found) if found else Response(status_code=204)

    async def _retrieve(self, request: Request) -> Response:
        status, found = self.manager.get(request.path_params["uid"])
        return _json([found]) if found is not None else _answer(status)

    async def _update(self, request: Request) -> Response:
        changes = await _payload(request)
        transaction = request.url.query or None
        return _answer(self.manager.set(request.path_params["uid"], changes, transaction))

    async def _state(self, request: Request) -> Response:
        said = await _payload(request)
        state = str(said.get("ProcedureStepState"))
        uid, transaction = request.path_params["uid"], said.get("TransactionUID")
        return _answer(self.manager.change_state(uid, transaction, state))

    async def _cancel(self, request: Request) -> Response:
        status = self.manager.request_cancel(request.path_params["uid"], await _payload(request))
        return Response(status_code=202) if status == 0 else _answer(status)

    async def _subscribe(self, request: Request) -> Response:
        uid, title = request.path_params["uid"], request.path_params["title"]
        if request.method == "DELETE":
            return _answer(self.manager.unsubscribe(uid, title))
        lock = request.query_params.get("deletionlock", "").upper()
        status = self.manager.subscribe(uid, title, lock)
        return Response(status_code=201) if status == 0 else _answer(status)


async def _payload(request: Request) -> Dataset:
    """Return the data set of a request, whose keys must be tags of the dictionary."""
    held = json.loads(await request.body() or b"[{}]")
    if isinstance(held, list):
        (held,) = held
    assert all(keyword_for_tag(tag) for tag in held), held
    return Dataset.from_json(held)


def _json(found: list[Dataset]) -> Response:
    """Return data sets as an answer."""
    return Response(json.dumps([each.to_json_dict() for each in found]), media_type=JSON)


def _answer(status: int) -> Response:
    """Return what a status of DIMSE is in HTTP."""
    if status == 0:
        return Response(status_code=200)
    code = CODES.get(status, 200)
    said = SAID.get(status, INCONSISTENT)
    headers = {"Warning": f"299 manager: {said}"} if code != 404 else {}
    return Response(status_code=code, headers=headers)
