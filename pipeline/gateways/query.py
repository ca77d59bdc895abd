"""What an archive has: by QIDO-RS where the node has a URL, else by C-FIND of the Study Root.

References
----------
.. [C4] DICOM PS3.4, C.4.1, the C-FIND service and its statuses.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.gateways.association import answered, associate, place
from pipeline.gateways.dicomweb import search
from pipeline.gateways.found import WANTED, Found, Level, Query, fitting, found, keys_of

PENDING = (0xFF00, 0xFF01)
"""Statuses of a response that has a match [C4]_."""

OUT_OF_RESOURCES = 0xA700
"""Status of an archive that cannot now [C4]_; so are those up to 0xA7FF."""

CANCELLED = 0xFE00
"""Status of a query that was ended as asked [C4]_."""


Ask = Callable[[Query], list[Found]]
"""Asks an archive for one level."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How many instances an archive has of a study."""

    study: int | None
    """In the whole study; None if the archive does not have it."""

    series: Mapping[str, int]
    """In each series, by its UID."""


def query(node: Node, wanted: Query, settings: Configuration) -> list[Found]:
    """Return what an archive has that matches.

    At the level of series, or of images, those of each study that matches.

    Parameters
    ----------
    node
        The archive.
    wanted
        What is looked for.
    settings
        The site's.

    Raises
    ------
    PeerUnavailable
        If the archive does not answer, or cannot now.
    PeerRefused
        If it refuses the query.
    """
    if node.url is not None:
        return _nested(lambda one: search(node, one, settings), wanted)
    context = build_context(StudyRootQueryRetrieveInformationModelFind)
    with associate(node, [context], settings) as association:
        return _nested(lambda one: _find(association, node, one), wanted)


def listing(node: Node, study_instance_uid: str, settings: Configuration) -> list[Found]:
    """Return all instances that an archive has of a study.

    Raises
    ------
    PeerUnavailable
        If the archive does not answer, or cannot now.
    PeerRefused
        If it refuses the query.
    """
    return query(node, Query(study=study_instance_uid, level=Level.IMAGE), settings)


def counts(node: Node, study_instance_uid: str, settings: Configuration) -> Counts:
    """Return how many instances an archive has of a study and of each series.

    Where it does not tell, or what it tells of the series and of the study does not agree, the
    instances are listed and counted.

    Raises
    ------
    PeerUnavailable
        If the archive does not answer, or cannot now.
    PeerRefused
        If it refuses the query.
    """
    wanted = Query(study=study_instance_uid)
    studies = query(node, wanted, settings)
    if not studies:
        return Counts(study=None, series={})
    told = {
        str(one.series_instance_uid): one.instances
        for one in query(node, replace(wanted, level=Level.SERIES), settings)
    }
    known = {uid: number for uid, number in told.items() if number is not None}
    whole = studies[0].instances
    if len(known) == len(told) and (whole is None or whole == sum(known.values())):
        return Counts(study=sum(known.values()), series=known)
    listed = Counter(
        str(one.series_instance_uid) for one in listing(node, study_instance_uid, settings)
    )
    return Counts(study=listed.total(), series=dict(listed))


def _nested(ask: Ask, wanted: Query) -> list[Found]:
    """Ask level by level: below the studies an archive wants the UIDs of what lies above."""
    answers: list[Found] = []
    for one in _queries(ask, wanted):
        answers += fitting(one, ask(one))
        if wanted.limit is not None and len(answers) >= wanted.limit:
            return answers[: wanted.limit]
    return answers


def _queries(ask: Ask, wanted: Query) -> Iterator[Query]:
    """Return the queries of the wanted level, one for each entity above."""
    if wanted.level is Level.STUDY:
        yield wanted
        return
    above = Level.STUDY if wanted.level is Level.SERIES else Level.SERIES
    known = wanted.series if wanted.level is Level.IMAGE else None
    if wanted.study is not None and (above is Level.STUDY or known is not None):
        yield wanted
        return
    for one in _nested(ask, replace(wanted, level=above, limit=None)):
        yield replace(wanted, study=one.study_instance_uid, series=one.series_instance_uid)


def _find(association: Association, node: Node, wanted: Query) -> list[Found]:
    """Return the answers to one C-FIND."""
    answers: list[Found] = []
    responses = association.send_c_find(
        identifier(wanted), StudyRootQueryRetrieveInformationModelFind
    )
    is_cancelled = False
    for status, answer in responses:
        code = answered(status, node)
        if code not in PENDING:
            _check(code, node)
            break
        one = None if answer is None else found(answer, wanted.level)
        if one is not None and fitting(wanted, [one]):
            answers.append(one)
        if wanted.limit is not None and len(answers) >= wanted.limit and not is_cancelled:
            is_cancelled = True
            association.send_c_cancel(1, None, StudyRootQueryRetrieveInformationModelFind)
    return answers


def identifier(wanted: Query) -> Dataset:
    """Return what a C-FIND asks for."""
    asked = Dataset()
    asked.QueryRetrieveLevel = str(wanted.level)
    for keyword in WANTED[wanted.level]:
        setattr(asked, keyword, None)
    keys = keys_of(wanted)
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    if not all(value.isascii() for value in keys.values()):
        asked.SpecificCharacterSet = "ISO_IR 192"
    return asked


def _check(code: int, node: Node) -> None:
    """Raise the failure that a last status tells, if it does."""
    if code in (0, CANCELLED):
        return
    told = f"{place(node)}: C-FIND was answered {code:04X}"
    if code >> 8 == OUT_OF_RESOURCES >> 8:
        raise PeerUnavailable(f"{told}, out of resources")
    raise PeerRefused(told)
