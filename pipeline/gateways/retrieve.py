"""Instances from an archive by C-GET, or sent by it elsewhere by C-MOVE (Study Root).

References
----------
.. [C42] DICOM PS3.4, C.4.2, C-MOVE.
.. [C43] DICOM PS3.4, C.4.3, C-GET: the caller is the storage SCP of the same association.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from pydicom.dataset import Dataset
from pydicom.uid import (
    AllTransferSyntaxes,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import StoragePresentationContexts, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable, PipelineError, StudyRejected
from pipeline.gateways.association import answered, associate, place
from pipeline.gateways.found import Level
from pipeline.gateways.multipart import Encoded

MOST_CONTEXTS = 127
"""Presentation contexts beside the one of the retrieval: ids are odd numbers of a byte."""

MOST_UIDS = 200
"""UIDs in one request: a value of VR UI with a length of two bytes would hold 1000."""

PENDING = 0xFF00
"""Status of a retrieval that goes on."""

SOME_FAILED = 0xB000
"""Status of one that is done, except for instances that it tells [C42]_."""

OUT_OF_RESOURCES = (0xA700, 0xA701, 0xA702)
"""Statuses of an archive that cannot now [C42]_."""

NOT_UNDERSTOOD = 0xC000
"""Status that an archive is told of an instance that cannot be kept (PS3.4, B.2.3)."""

UNKNOWN_DESTINATION = 0xA801
"""Status of C-MOVE where the archive does not know who shall get the instances."""

PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""What every archive can send."""

COMPRESSED = tuple(
    uid
    for uid in AllTransferSyntaxes
    if uid not in (*PLAIN, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
)
"""What is taken as it is stored, where the archive has a context for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is retrieved: a study, some of its series, or instances of one of them."""

    study: str
    series: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """Its level."""
        if self.instances:
            return Level.IMAGE
        return Level.SERIES if self.series else Level.STUDY


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """What a retrieval came to, as the archive counts."""

    completed: int = 0
    failed: int = 0
    warned: int = 0
    failed_uids: tuple[str, ...] = ()
    """SOP Instance UIDs of those that failed, as far as the archive tells them."""


@dataclass(slots=True)
class _Keeping:
    """Takes the instances of a C-GET, and remembers what went wrong with them."""

    keep: Callable[[Encoded], None]
    broken: PipelineError | OSError | None = None

    def store(self, event: evt.Event) -> int:
        """Take an instance, encoded as it came; return the status that the archive is told."""
        if self.broken is not None:
            return OUT_OF_RESOURCES[0]
        request = cast("C_STORE", event.request)
        data = request.DataSet
        encoded = Encoded(
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            chunks=iter((b"" if data is None else data.getvalue(),)),
        )
        try:
            self.keep(encoded)
        except StudyRejected:
            return NOT_UNDERSTOOD
        except (PipelineError, OSError) as problem:
            self.broken = problem
            return OUT_OF_RESOURCES[0]
        return 0


def get(
    node: Node,
    wanted: Wanted,
    classes: Sequence[str],
    keep: Callable[[Encoded], None],
    settings: Configuration,
) -> Transfer:
    """Retrieve instances by C-GET [C43]_.

    Parameters
    ----------
    node
        The archive.
    wanted
        What is retrieved.
    classes
        SOP classes of the instances; none takes those of DICOM that are used most.
    keep
        Takes an instance, encoded as the archive sent it.
    settings
        The site's.

    Raises
    ------
    PeerUnavailable
        If the archive does not answer, or cannot now.
    PeerRefused
        If it refuses the retrieval.
    """
    model = StudyRootQueryRetrieveInformationModelGet
    contexts = storage_contexts(classes)
    named = sorted({str(context.abstract_syntax) for context in contexts})
    keeping = _Keeping(keep)
    total = Transfer()
    with associate(
        node,
        [build_context(model), *contexts],
        settings,
        handlers=[(evt.EVT_C_STORE, keeping.store)],
        roles=[build_role(uid, scp_role=True) for uid in named],
    ) as association:
        for number, asked in enumerate(identifiers(wanted), start=1):
            _check_context(association, node, model, "C-GET")
            for status, told in association.send_c_get(asked, model, msg_id=number):
                code = answered(status, node)
                if keeping.broken is not None:
                    raise keeping.broken
                if code != PENDING:
                    _check(code, node, "C-GET")
                    total = _added(total, status, told)
    return total


def move(
    node: Node,
    wanted: Wanted,
    settings: Configuration,
    progress: Callable[[int, int], None] = lambda _done, _left: None,
) -> Transfer:
    """Have an archive send instances to this installation's receiver by C-MOVE [C42]_.

    Parameters
    ----------
    node
        The archive.
    wanted
        What is sent.
    settings
        The site's: the title of its receiver.
    progress
        Hears how many instances are done and how many are left, where the archive tells.

    Raises
    ------
    PeerUnavailable
        If the archive does not answer, or cannot now.
    PeerRefused
        If it refuses, or does not know the receiver.
    """
    model = StudyRootQueryRetrieveInformationModelMove
    total = Transfer()
    with associate(node, [build_context(model)], settings) as association:
        for number, asked in enumerate(identifiers(wanted), start=1):
            _check_context(association, node, model, "C-MOVE")
            title = settings.receive.ae_title
            for status, told in association.send_c_move(asked, title, model, msg_id=number):
                code = answered(status, node)
                if code == PENDING:
                    left = status.get("NumberOfRemainingSuboperations", 0)
                    progress(status.get("NumberOfCompletedSuboperations", 0), left)
                    continue
                if code == UNKNOWN_DESTINATION:
                    raise PeerRefused(f"{place(node)}: does not know {title} as a destination")
                _check(code, node, "C-MOVE")
                total = _added(total, status, told)
    return total


def storage_contexts(classes: Sequence[str]) -> list[PresentationContext]:
    """Return what is asked for to be sent instances of some classes as they are stored.

    A context of its own for each compressed transfer syntax: of those in one context the archive
    takes one, and would have to convert instances that are stored in another.
    """
    if not classes:
        usual = [str(context.abstract_syntax) for context in StoragePresentationContexts]
        return [build_context(uid, list(PLAIN + COMPRESSED)) for uid in usual[:MOST_CONTEXTS]]
    names = sorted(set(classes))[:MOST_CONTEXTS]
    each = MOST_CONTEXTS // len(names)
    if each < 2:
        return [build_context(uid, list(PLAIN + COMPRESSED)) for uid in names]
    alone, rest = COMPRESSED[: each - 2], COMPRESSED[each - 2 :]
    contexts = []
    for uid in names:
        contexts.append(build_context(uid, list(PLAIN)))
        contexts += [build_context(uid, [syntax]) for syntax in alone]
        if rest:
            contexts.append(build_context(uid, list(rest)))
    return contexts


def identifiers(wanted: Wanted) -> Iterator[Dataset]:
    """Return what is asked for, in as many requests as its UIDs need."""
    for series in _batches(wanted.series) if wanted.level is Level.SERIES else [wanted.series]:
        for instances in _batches(wanted.instances) or [()]:
            asked = Dataset()
            asked.QueryRetrieveLevel = str(wanted.level)
            asked.StudyInstanceUID = wanted.study
            if series:
                asked.SeriesInstanceUID = list(series)
            if instances:
                asked.SOPInstanceUID = list(instances)
            yield asked


def _batches(uids: Sequence[str]) -> list[Sequence[str]]:
    """Return UIDs in parts that fit a value."""
    return [uids[first : first + MOST_UIDS] for first in range(0, len(uids), MOST_UIDS)]


def _check_context(association: Association, node: Node, model: str, what: str) -> None:
    """Raise if an archive has accepted other things, and not the retrieval."""
    if not any(context.abstract_syntax == model for context in association.accepted_contexts):
        raise PeerRefused(f"{place(node)}: does not take {what}")


def _added(total: Transfer, status: Dataset, told: Dataset | None) -> Transfer:
    """Return what a retrieval came to, with the numbers of one more answer."""
    uids = () if told is None else told.get("FailedSOPInstanceUIDList", ())
    failed = (str(uids),) if isinstance(uids, str) else tuple(str(uid) for uid in uids or ())
    return Transfer(
        completed=total.completed + status.get("NumberOfCompletedSuboperations", 0),
        failed=total.failed + status.get("NumberOfFailedSuboperations", 0),
        warned=total.warned + status.get("NumberOfWarningSuboperations", 0),
        failed_uids=total.failed_uids + tuple(uid for uid in failed if uid),
    )


def _check(code: int, node: Node, what: str) -> None:
    """Raise the failure that a last status tells, if it does."""
    if code in (0, SOME_FAILED):
        return
    told = f"{place(node)}: {what} was answered {code:04X}"
    if code in OUT_OF_RESOURCES:
        raise PeerUnavailable(f"{told}, out of resources")
    raise PeerRefused(told)
