"""What a performer asks of a worklist, over whichever protocol, and what it is told.

References
----------
.. [P34] DICOM PS3.4, CC.2, the services of the Unified Procedure Step; table CC.2.5-3.
.. [P33] DICOM PS3.3, table 10-3b, Referenced Instances and Access Macro.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pipeline.errors import PeerRefused
from pipeline.quiet import quietly
from pipeline.steps import Code, StepState

UID = re.compile(r"[0-9.]{1,64}")
"""What a UID is made of: PS3.5, 9.1."""

READ = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "ProcedureStepState",
    "InputReadinessState",
    "ScheduledProcedureStepPriority",
    "ScheduledWorkitemCodeSequence",
    "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence",
    "InputInformationSequence",
    "ProcedureStepProgressInformationSequence",
)
"""What is read of a step. No attribute of the patient is asked for."""


class Refusal(StrEnum):
    """Why a worklist does not do what it is asked."""

    TAKEN = "another performer has claimed it"
    NOT_OURS = "the Transaction UID is not its own"
    ENDED = "it may no longer be updated"
    GONE = "there is no such step"
    NOT_MET = "the requirements of the final state are not met"
    CONFLICT = "it does not go with the step's state"
    OTHER = "for another reason"


LOST = frozenset({Refusal.TAKEN, Refusal.NOT_OURS, Refusal.ENDED, Refusal.GONE})
"""Refusals after which the step is no longer this installation's."""


class StepRefused(PeerRefused):
    """A worklist will not do what it is asked with a step; ``why`` sorts the reasons."""

    def __init__(self, said: str, why: Refusal) -> None:
        super().__init__(said)
        self.why = why


@dataclass(frozen=True, kw_only=True, slots=True)
class InputReference:
    """Instances of one series that a step is to be performed on: an item of [P33]_."""

    study_instance_uid: str
    """Their study."""

    series_instance_uid: str
    """Their series; empty where the item names none."""

    sop_instance_uids: tuple[str, ...]
    """The instances."""

    retrieve_ae_titles: tuple[str, ...] = ()
    """Application entities that they can be retrieved from."""

    retrieve_url: str | None = None
    """Where WADO-RS has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A procedure step, as the worklist tells of it; nothing of the patient."""

    sop_instance_uid: str
    """What it is."""

    state: StepState
    """Where it stands."""

    is_ready: bool
    """Whether its inputs are there: Input Readiness State (0040,4041) is READY."""

    priority: str
    """Scheduled Procedure Step Priority (0074,1200): HIGH, MEDIUM or LOW."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); else that of its first input."""

    workitem: Code | None
    """Scheduled Workitem Code."""

    stations: tuple[Code, ...]
    """Scheduled Station Name Codes."""

    station_classes: tuple[Code, ...]
    """Scheduled Station Class Codes."""

    inputs: tuple[InputReference, ...]
    """What it is to be performed on."""

    has_cancellation: bool
    """Whether its progress information holds a reason to cancel it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which steps are asked for."""

    workitem: Code | None = None
    """Scheduled Workitem Code; None takes every."""

    station: Code | None = None
    """Scheduled Station Name Code; None takes every."""

    station_class: Code | None = None
    """Scheduled Station Class Code; None takes every."""


class Worklist(Protocol):
    """Another system's worklist.

    Contract: every call stands alone, and may be repeated. ``claim`` with the Transaction UID that
    has claimed a step already is refused as ``TAKEN`` or ``CONFLICT``: ``update`` tells whose it
    is. ``finish`` of a step that is in that state already passes. A worklist that does not answer,
    or says that it cannot now, raises ``PeerUnavailable``; one that will not raises
    ``StepRefused``; whatever else it says raises ``PeerRefused``. No message holds an attribute of
    a patient.
    """

    def scheduled(self, wanted: Wanted) -> tuple[Step, ...]:
        """Return steps that are SCHEDULED and whose inputs are READY."""

    def retrieve(self, uid: str) -> Step:
        """Return a step."""

    def claim(self, uid: str, transaction_uid: str) -> None:
        """Take control of a step: SCHEDULED becomes IN PROGRESS."""

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
        """Set attributes of a step that is claimed."""

    def finish(self, uid: str, transaction_uid: str, state: StepState) -> None:
        """Have a step that is claimed become COMPLETED or CANCELED."""

    def subscribe(self, uid: str, ae_title: str) -> None:
        """Have what happens to a step reported to an application entity; nothing is locked."""

    def unsubscribe(self, uid: str, ae_title: str) -> None:
        """Have it reported no more."""

    def request_cancel(self, uid: str, reason: str) -> None:
        """Ask the performer of a step, whoever it is, to give it up."""


def matching_keys(wanted: Wanted) -> Dataset:
    """Return the keys that steps are matched by; what is empty is to be returned."""
    keys = Dataset()
    for keyword in READ:
        if keyword.endswith("Sequence"):
            setattr(keys, keyword, [])
        else:
            setattr(keys, keyword, "")
    keys.ProcedureStepState = StepState.SCHEDULED.value
    keys.InputReadinessState = "READY"
    for keyword, code in code_keys(wanted):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme
        setattr(keys, keyword, [item])
    return keys


def code_keys(wanted: Wanted) -> tuple[tuple[str, Code], ...]:
    """Return the sequences that are matched by a code, each with it."""
    keys = (
        ("ScheduledWorkitemCodeSequence", wanted.workitem),
        ("ScheduledStationNameCodeSequence", wanted.station),
        ("ScheduledStationClassCodeSequence", wanted.station_class),
    )
    return tuple((keyword, code) for keyword, code in keys if code is not None)


def fits(step: Step, wanted: Wanted) -> bool:
    """Tell whether a step is one that was asked for: not every worklist matches every key."""
    pairs = (
        (wanted.workitem, () if step.workitem is None else (step.workitem,)),
        (wanted.station, step.stations),
        (wanted.station_class, step.station_classes),
    )
    is_waiting = step.state is StepState.SCHEDULED and step.is_ready
    return is_waiting and all(
        code is None or any(code.is_same(found) for found in has) for code, has in pairs
    )


def step_of(dataset: Dataset, uid: str = "") -> Step:
    """Return what a data set says of a step.

    Parameters
    ----------
    dataset
        The data set.
    uid
        The step that was asked for, where the data set need not say.

    Raises
    ------
    PeerRefused
        If it says no state, or no UID.
    """
    with quietly():
        named = text(dataset, "SOPInstanceUID") or uid
        said = text(dataset, "ProcedureStepState")
        if UID.fullmatch(named) is None:
            raise PeerRefused("the worklist tells of a step that has no UID")
        if said not in set(StepState):
            raise PeerRefused(f"step {named}: the worklist tells no state of it")
        inputs = tuple(_input(item) for item in items(dataset, "InputInformationSequence"))
        progress = items(dataset, "ProcedureStepProgressInformationSequence")
        workitems = codes(dataset, "ScheduledWorkitemCodeSequence")
        return Step(
            sop_instance_uid=named,
            state=StepState(said),
            is_ready=text(dataset, "InputReadinessState") == "READY",
            priority=text(dataset, "ScheduledProcedureStepPriority"),
            study_instance_uid=text(dataset, "StudyInstanceUID")
            or next((each.study_instance_uid for each in inputs if each.study_instance_uid), None),
            workitem=workitems[0] if workitems else None,
            stations=codes(dataset, "ScheduledStationNameCodeSequence"),
            station_classes=codes(dataset, "ScheduledStationClassCodeSequence"),
            inputs=inputs,
            has_cancellation=any(_has_cancellation(item) for item in progress),
        )


def text(dataset: Dataset, keyword: str) -> str:
    """Return the first value of an attribute as text; empty if there is none."""
    values = texts(dataset, keyword)
    return values[0] if values else ""


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the values of an attribute as texts."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return ()
    several: Iterable[object] = value if isinstance(value, MultiValue | list) else (value,)
    return tuple(str(each).strip() for each in several)


def items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence; none if it is absent or empty."""
    return tuple(dataset.get(keyword) or ())


def codes(dataset: Dataset, keyword: str) -> tuple[Code, ...]:
    """Return the coded entries of a sequence."""
    return tuple(
        Code(
            value=text(item, "CodeValue") or text(item, "LongCodeValue"),
            scheme=text(item, "CodingSchemeDesignator"),
            meaning=text(item, "CodeMeaning"),
        )
        for item in items(dataset, keyword)
    )


def _has_cancellation(progress: Dataset) -> bool:
    """Tell whether progress information holds a reason to cancel."""
    keys = ("ReasonForCancellation", "ProcedureStepCancellationDateTime")
    is_coded = bool(items(progress, "ProcedureStepDiscontinuationReasonCodeSequence"))
    return is_coded or any(text(progress, key) for key in keys)


def _input(item: Dataset) -> InputReference:
    """Return an item of Input Information Sequence [P33]_."""
    return InputReference(
        study_instance_uid=text(item, "StudyInstanceUID"),
        series_instance_uid=text(item, "SeriesInstanceUID"),
        sop_instance_uids=tuple(
            text(each, "ReferencedSOPInstanceUID") for each in items(item, "ReferencedSOPSequence")
        ),
        retrieve_ae_titles=tuple(
            title
            for each in items(item, "DICOMRetrievalSequence")
            for title in texts(each, "RetrieveAETitle")
        ),
        retrieve_url=next(
            (text(each, "RetrieveURL") for each in items(item, "WADORSRetrievalSequence")), None
        ),
    )
