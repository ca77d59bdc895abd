"""Ask a node which objects it has: QIDO-RS (PS3.18, 10.6), or C-FIND at the level of instances."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)
from requests import Session

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.gateways.association import answered, associate, place
from pipeline.gateways.web import web_session

PENDING = (0xFF00, 0xFF01)
"""Statuses of C-FIND that carry a match (PS3.4, Table C.4-1)."""

SOP_INSTANCE_UID = "00080018"
"""SOP Instance UID (0008,0018), as DICOM JSON names it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where an instance stands in a study."""

    study_instance_uid: str
    """Study Instance UID (0020,000D)."""

    series_instance_uid: str
    """Series Instance UID (0020,000E)."""

    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""


def present(places: Sequence[Place], node: Node, settings: Configuration) -> set[str]:
    """Return the SOP Instance UIDs that a node has: by QIDO-RS where it has a url, else by C-FIND.

    A series is asked for as a whole; an instance that is not in the answer is asked for by itself,
    since a server may cut an answer short.

    Raises
    ------
    PeerUnavailable
        If the node cannot be reached, does not answer, or cannot now.
    PeerRefused
        If it refuses.
    """
    if node.url is not None:
        with web_session(node, settings) as session:
            return _asked(places, lambda at: _qido(session, node, at))
    context = build_context(StudyRootQueryRetrieveInformationModelFind)
    with associate(node, [context], settings) as association:
        return _asked(places, lambda at: _c_find(association, node, at))


def _asked(places: Sequence[Place], ask: Callable[[Place], set[str]]) -> set[str]:
    """Return what is found, series by series, then one by one."""
    found: set[str] = set()
    for study, series in dict.fromkeys(
        (each.study_instance_uid, each.series_instance_uid) for each in places
    ):
        found |= ask(
            Place(study_instance_uid=study, series_instance_uid=series, sop_instance_uid="")
        )
    for each in places:
        if each.sop_instance_uid not in found:
            found |= ask(each)
    return found & {each.sop_instance_uid for each in places}


def _qido(session: Session, node: Node, at: Place) -> set[str]:
    """Ask for the instances of a series, or for one of them."""
    answer = session.get(
        f"{str(node.url).rstrip('/')}/studies/{at.study_instance_uid}"
        f"/series/{at.series_instance_uid}/instances",
        params={"SOPInstanceUID": at.sop_instance_uid} if at.sop_instance_uid else {},
        headers={"Accept": "application/dicom+json"},
        timeout=node.timeout_s,
        allow_redirects=False,
    )
    # No match is 204, or 404 where the study is not there.
    if answer.status_code in (204, 404):
        return set()
    if answer.status_code != 200:
        kind = PeerUnavailable if answer.status_code in (408, 429) else PeerRefused
        kind = PeerUnavailable if answer.status_code >= 500 else kind
        raise kind(f"{node.url}: QIDO-RS was answered {answer.status_code}")
    try:
        return {str(item[SOP_INSTANCE_UID]["Value"][0]) for item in answer.json()}
    except (ValueError, TypeError, KeyError, IndexError):
        raise PeerRefused(f"{node.url}: QIDO-RS was answered with something else") from None


def _c_find(association: Association, node: Node, at: Place) -> set[str]:
    """Ask for the instances of a series, or for one of them."""
    asked = Dataset()
    asked.QueryRetrieveLevel = "IMAGE"
    asked.StudyInstanceUID = at.study_instance_uid
    asked.SeriesInstanceUID = at.series_instance_uid
    asked.SOPInstanceUID = at.sop_instance_uid
    found: set[str] = set()
    for status, match in association.send_c_find(asked, StudyRootQueryRetrieveInformationModelFind):
        number = answered(status, node)
        if number in PENDING and match is not None:
            found.add(str(match.get("SOPInstanceUID", "")))
        elif number >> 8 == 0xA7:
            raise PeerUnavailable(f"{place(node)}: C-FIND was answered {number:04X}")
        elif number != 0:
            raise PeerRefused(f"{place(node)}: C-FIND was answered {number:04X}")
    return found
