"""A worklist's manager, as strict as the standard: states, Transaction UIDs, final requirements.

References: PS3.4, table CC.1.1-2 (the state transitions, each with its status), table CC.2.5-3
(the attributes, with what COMPLETED and CANCELED need), CC.2.2.3 (cancel requests), CC.2.3.3
(subscriptions).
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock

from pydicom.dataset import Dataset

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"
PUSH = "1.2.840.10008.5.1.4.34.6.1"

TRANSITIONS = {
    IN_PROGRESS: {IN_PROGRESS: 0xC302, COMPLETED: 0xC300, CANCELED: 0xC300},
    COMPLETED: {SCHEDULED: 0xC310, COMPLETED: 0xB306, CANCELED: 0xC300},
    CANCELED: {SCHEDULED: 0xC310, COMPLETED: 0xC300, CANCELED: 0xB304},
}
"""What a change to a state is answered with, by the state before: table CC.1.1-2."""

SETTABLE = {
    "SpecificCharacterSet",
    "TransactionUID",
    "ProcedureStepProgressInformationSequence",
    "UnifiedProcedureStepPerformedProcedureSequence",
}
"""What a performer may set here; the patient and the request are the manager's."""

PERFORMED = (
    "PerformedStationNameCodeSequence",
    "PerformedWorkitemCodeSequence",
    "PerformedProcedureStepStartDateTime",
    "PerformedProcedureStepEndDateTime",
)
"""P in the column Final State of table CC.2.5-3, within the performed procedure; a value each."""

OUTPUT = "OutputInformationSequence"

GIVEN_UP = (
    "ProcedureStepCancellationDateTime",
    "ProcedureStepDiscontinuationReasonCodeSequence",
)
"""X in the column Final State, within the progress information."""

ENTRY = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
REFERENCE = ("TypeOfInstances", "StudyInstanceUID", "SeriesInstanceUID", "ReferencedSOPSequence")
"""What a coded entry, and a reference to instances, must have."""


@dataclass
class Item:
    """A step, who has it, and who hears of it."""

    dataset: Dataset
    transaction: str | None = None
    watchers: dict[str, str] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        return str(self.dataset.ProcedureStepState)


class Manager:
    """The steps of a worklist. Every call is a transaction, and answers with a status of DIMSE."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.gone: set[str] = set()
        self.known_titles: set[str] = {"VESALIUS"}
        self.report: Callable[[str, str, int, Dataset], None] = lambda *_: None
        self.calls: list[str] = []
        self._lock = RLock()

    def create(self, uid: str, dataset: Dataset) -> int:
        with self._lock:
            if uid in self.items:
                return 0x0111
            if dataset.get("ProcedureStepState") != SCHEDULED:
                return 0xC309
            made = deepcopy(dataset)
            made.SOPClassUID, made.SOPInstanceUID = PUSH, uid
            made.ProcedureStepProgressInformationSequence = []
            made.UnifiedProcedureStepPerformedProcedureSequence = []
            self.items[uid] = Item(made, history=[SCHEDULED])
            return 0x0000

    def remove(self, uid: str) -> None:
        with self._lock:
            del self.items[uid]
            self.gone.add(uid)

    def find(self, keys: Dataset) -> list[Dataset]:
        with self._lock:
            self.calls.append("find")
            return [_public(i.dataset) for i in self.items.values() if _matches(i.dataset, keys)]

    def get(self, uid: str) -> tuple[int, Dataset | None]:
        with self._lock:
            self.calls.append("get")
            item = self.items.get(uid)
            return (0xC307, None) if item is None else (0x0000, _public(item.dataset))

    def set(self, uid: str, changes: Dataset, transaction: str | None) -> int:
        """CC.2.6.3: N-SET."""
        with self._lock:
            self.calls.append("set")
            item = self.items.get(uid)
            if item is None:
                return 0xC307
            if item.state != IN_PROGRESS:
                return 0xC310 if item.state == SCHEDULED else 0xC300
            if transaction is None or transaction != item.transaction:
                return 0xC301
            if not {element.keyword for element in changes} <= SETTABLE or not is_sound(changes):
                return 0x0106
            for element in changes:
                if element.keyword != "TransactionUID":
                    item.dataset[element.tag] = deepcopy(element)
            return 0x0000

    def change_state(self, uid: str, transaction: str | None, state: str) -> int:
        """CC.2.1.3, table CC.1.1-2."""
        with self._lock:
            self.calls.append(f"state {state}")
            item = self.items.get(uid)
            if item is None:
                return 0xC307
            if state == SCHEDULED:
                return 0xC303
            if not transaction or state not in (IN_PROGRESS, COMPLETED, CANCELED):
                return 0xC301
            status = TRANSITIONS[state].get(item.state, 0x0000)
            if state == IN_PROGRESS:
                item.transaction = item.transaction or transaction
            elif item.state != SCHEDULED and transaction != item.transaction:
                status = 0xC301
            elif status == 0 and not self._can_end(item, state):
                status = 0xC304
            if status == 0:
                self._become(uid, item, state)
            return status

    @staticmethod
    def _can_end(item: Item, state: str) -> bool:
        if state == CANCELED:
            _fill_cancellation_time(item.dataset)
        return not unmet(item.dataset, state)

    def request_cancel(self, uid: str, information: Dataset) -> int:
        """CC.2.2.3: one that is in progress is its performer's to cancel; nothing of it is kept."""
        with self._lock:
            self.calls.append("request cancel")
            item = self.items.get(uid)
            if item is None:
                return 0xC307
            if item.state == COMPLETED:
                return 0xC311
            if item.state == CANCELED:
                return 0xB304
            if item.state == SCHEDULED:
                self._become(uid, item, IN_PROGRESS)
                _fill_cancellation_time(item.dataset)
                self._become(uid, item, CANCELED)
                return 0x0000
            if not item.watchers:
                return 0xC312
            for title in item.watchers:
                self.report(title, uid, 2, information)
            return 0x0000

    def subscribe(self, uid: str, title: str, lock: str) -> int:
        with self._lock:
            item = self.items.get(uid)
            if item is None:
                return 0xC307
            if title not in self.known_titles:
                return 0xC308
            if lock not in ("TRUE", "FALSE"):
                return 0x0115
            item.watchers[title] = lock
            self.report(title, uid, 1, _state_of(item))
            return 0x0000

    def unsubscribe(self, uid: str, title: str) -> int:
        with self._lock:
            item = self.items.get(uid)
            if item is None:
                return 0xC307
            item.watchers.pop(title, None)
            return 0x0000

    def _become(self, uid: str, item: Item, state: str) -> None:
        item.dataset.ProcedureStepState = state
        item.history.append(state)
        for title in item.watchers:
            self.report(title, uid, 1, _state_of(item))


def unmet(dataset: Dataset, state: str) -> list[str]:
    """Return what a step lacks for a final state: table CC.2.5-3."""
    if state == COMPLETED:
        lacks = _lacks(dataset, "UnifiedProcedureStepPerformedProcedureSequence", PERFORMED)
        for item in dataset.UnifiedProcedureStepPerformedProcedureSequence or ():
            # It may be empty, and must be there.
            lacks += [] if OUTPUT in item else [OUTPUT]
        return lacks
    return _lacks(dataset, "ProcedureStepProgressInformationSequence", GIVEN_UP)


def _lacks(dataset: Dataset, sequence: str, keys: tuple[str, ...]) -> list[str]:
    """Return what has no value in the items of a sequence that must have one."""
    items = dataset.get(sequence) or ()
    return [key for item in items for key in keys if not item.get(key)] if items else [sequence]


def is_sound(changes: Dataset) -> bool:
    """Tell whether coded entries and references are whole: PS3.3, 8.8 and table 10-3b."""
    return all(
        all(item.get(key) for key in ENTRY)
        for element in changes.iterall()
        if element.keyword.endswith("CodeSequence")
        for item in element.value
    ) and all(
        all(item.get(key) for key in REFERENCE)
        and (item.get("DICOMRetrievalSequence") or item.get("WADORSRetrievalSequence"))
        for element in changes.iterall()
        if element.keyword == OUTPUT
        for item in element.value
    )


def _fill_cancellation_time(dataset: Dataset) -> None:
    """Fill the time of cancellation where the performer has not: note in table CC.2.5-3."""
    for item in dataset.ProcedureStepProgressInformationSequence:
        if not item.get("ProcedureStepCancellationDateTime"):
            item.ProcedureStepCancellationDateTime = datetime.now(UTC).strftime("%Y%m%d%H%M%S")


def _state_of(item: Item) -> Dataset:
    """Return the information of a UPS State Report."""
    made = Dataset()
    made.ProcedureStepState = item.state
    made.InputReadinessState = item.dataset.get("InputReadinessState", "READY")
    return made


def _public(dataset: Dataset) -> Dataset:
    """Return what anybody is told: never the Transaction UID, which is kept apart."""
    return deepcopy(dataset)


def _matches(dataset: Dataset, keys: Dataset) -> bool:
    """Match single values and sequences of one item."""
    for element in keys:
        if element.keyword in ("SpecificCharacterSet", ""):
            continue
        if element.VR == "SQ":
            for key in element.value:
                if len(key) and not any(
                    _matches(item, key) for item in dataset.get(element.keyword, ())
                ):
                    return False
        elif element.value not in (None, "") and str(dataset.get(element.keyword)) != str(
            element.value
        ):
            return False
    return True
