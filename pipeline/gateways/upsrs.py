"""A worklist over HTTP: UPS-RS with DICOM JSON, as its performer sees it.

The Transaction UID of an update goes as the standard writes it, as the query, and in the payload
besides, where some worklists look for it. Reports of events come over a WebSocket in UPS-RS; that
channel is not opened: a worklist that also speaks DIMSE may report to the subscribed title, and a
cancelled or removed step shows when it is retrieved.

References
----------
.. [R] DICOM PS3.18, 11: 11.5 Retrieve, 11.6 Update, 11.7 Change State, 11.8 Request Cancellation,
   11.9 Search, 11.10 Subscribe, with the status codes and Warning header fields of each.
"""

import json
from collections.abc import Mapping
from urllib.parse import quote

import requests
from pydicom.dataset import Dataset

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.gateways.web import MAY_PASS, introduce
from pipeline.gateways.worklist import (
    READ,
    Refusal,
    Step,
    StepRefused,
    Wanted,
    code_keys,
    fits,
    step_of,
)
from pipeline.quiet import quietly
from pipeline.steps import StepState

JSON = "application/dicom+json"
"""Media type of DICOM JSON: PS3.18, F."""

GONE = frozenset({404, 410})
"""Codes of a step that is not there."""

SUCCESS = range(200, 300)
"""Codes of what was done."""


class WebWorklist:
    """A worklist over UPS-RS."""

    def __init__(self, node: Node, settings: Configuration) -> None:
        self._session = requests.Session()
        introduce(self._session, node, settings.tls)
        self._root = str(node.url).rstrip("/")
        self._timeout_s = node.timeout_s

    def scheduled(self, wanted: Wanted) -> tuple[Step, ...]:
        """Return steps that are SCHEDULED and whose inputs are READY (Search)."""
        keys: dict[str, str | list[str]] = {
            "ProcedureStepState": StepState.SCHEDULED.value,
            "InputReadinessState": "READY",
            "includefield": list(READ),
        }
        for keyword, code in code_keys(wanted):
            keys[f"{keyword}.CodeValue"] = code.value
            keys[f"{keyword}.CodingSchemeDesignator"] = code.scheme
        answer = self._asked("GET", "/workitems", query=keys)
        self._check(answer, "search", "")
        found = _parsed(answer, self._root)
        steps = (step_of(each) for each in found)
        return tuple(step for step in steps if fits(step, wanted))

    def retrieve(self, uid: str) -> Step:
        """Return a step (Retrieve)."""
        answer = self._asked("GET", f"/workitems/{uid}")
        self._check(answer, "retrieve", uid)
        found = _parsed(answer, self._root)
        return step_of(found[0] if found else Dataset(), uid)

    def claim(self, uid: str, transaction_uid: str) -> None:
        """Take control of a step (Change State)."""
        self._change(uid, transaction_uid, StepState.IN_PROGRESS)

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
        """Set attributes of a step that is claimed (Update)."""
        whole = Dataset()
        whole.update(changes)
        whole.TransactionUID = transaction_uid
        answer = self._asked("POST", f"/workitems/{uid}?{transaction_uid}", whole)
        self._check(answer, "update", uid)

    def finish(self, uid: str, transaction_uid: str, state: StepState) -> None:
        """Have a step become COMPLETED or CANCELED (Change State)."""
        self._change(uid, transaction_uid, state)

    def subscribe(self, uid: str, ae_title: str) -> None:
        """Have what happens to a step reported (Subscribe)."""
        place = f"/workitems/{uid}/subscribers/{quote(ae_title)}"
        answer = self._asked("POST", place, query={"deletionlock": "false"})
        self._check(answer, "subscribe", uid)

    def unsubscribe(self, uid: str, ae_title: str) -> None:
        """Have it reported no more (Unsubscribe)."""
        place = f"/workitems/{uid}/subscribers/{quote(ae_title)}"
        self._check(self._asked("DELETE", place), "unsubscribe", uid)

    def request_cancel(self, uid: str, reason: str) -> None:
        """Ask the performer of a step to give it up (Request Cancellation)."""
        information = Dataset()
        information.ReasonForCancellation = reason
        answer = self._asked("POST", f"/workitems/{uid}/cancelrequest", information)
        self._check(answer, "cancel request", uid)

    def _change(self, uid: str, transaction_uid: str, state: StepState) -> None:
        """Ask for a change of state."""
        information = Dataset()
        information.TransactionUID = transaction_uid
        information.ProcedureStepState = state.value
        answer = self._asked("PUT", f"/workitems/{uid}/state", information)
        self._check(answer, f"change to {state.value}", uid)

    def _asked(
        self,
        method: str,
        place: str,
        payload: Dataset | None = None,
        *,
        query: Mapping[str, str | list[str]] | None = None,
    ) -> requests.Response:
        """Send a request, and return what was answered."""
        headers = {"Accept": JSON}
        body = None
        if payload is not None:
            headers["Content-Type"] = JSON
            body = json.dumps([payload.to_json_dict()]).encode()
        try:
            return self._session.request(
                method,
                self._root + place,
                params=query,
                data=body,
                headers=headers,
                timeout=self._timeout_s,
                allow_redirects=False,
            )
        except requests.RequestException as problem:
            # Its text quotes the address with all of the query.
            raise PeerUnavailable(f"{self._root}: {type(problem).__name__}") from None

    def _check(self, answer: requests.Response, what: str, uid: str) -> None:
        """Raise what an answer says, if it was not done."""
        code = answer.status_code
        if code in SUCCESS:
            return
        said = f"{self._root}: {what}{' of step ' + uid if uid else ''}: status {code}"
        if code in MAY_PASS:
            raise PeerUnavailable(said)
        if not uid or code in (401, 403):
            raise PeerRefused(said)
        why = _refusal(code, answer.headers.get("Warning", "").lower())
        raise StepRefused(f"{said}: {why.value}", why)


def _refusal(code: int, warning: str) -> Refusal:
    """Return why a worklist refuses, by its code and its Warning header field [R]_."""
    if code in GONE:
        return Refusal.GONE
    if "transaction uid" in warning or "claimed workitem" in warning:
        return Refusal.NOT_OURS
    if "already in progress" in warning:
        return Refusal.TAKEN
    if "final state" in warning:
        return Refusal.NOT_MET
    if "no longer be updated" in warning:
        return Refusal.ENDED
    return Refusal.CONFLICT if code == 409 or "inconsistent" in warning else Refusal.OTHER


def _parsed(answer: requests.Response, root: str) -> tuple[Dataset, ...]:
    """Return the data sets of an answer."""
    if not answer.content:
        return ()
    try:
        held = answer.json()
        several = held if isinstance(held, list) else [held]
        with quietly():
            return tuple(Dataset.from_json(each) for each in several)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise PeerRefused(f"{root}: what it answers is no DICOM JSON") from None
