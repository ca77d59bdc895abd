"""A manager over DIMSE, of pynetdicom's UPS classes: Push, Pull, Watch, and Event to watchers."""

import threading
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_role, evt
from pynetdicom.sop_class import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)

from tests.support.upsmanager import Manager

_config.LOG_HANDLER_LEVEL = "none"

CHANGE, CANCEL, SUBSCRIBE, UNSUBSCRIBE = 1, 2, 3, 4


class UpsScp:
    """Serves a manager on a port of its own; events go to the titles whose addresses it knows."""

    def __init__(self, manager: Manager, port: int = 0) -> None:
        self.manager = manager
        self.addresses: dict[str, tuple[str, int]] = {}
        self.answers: list[int] = []
        self._sending: list[threading.Thread] = []
        manager.report = self._report
        entity = AE(ae_title="MANAGER")
        for sop_class in (
            UnifiedProcedureStepPush,
            UnifiedProcedureStepPull,
            UnifiedProcedureStepWatch,
            UnifiedProcedureStepQuery,
        ):
            entity.add_supported_context(sop_class)
        self._server = entity.start_server(
            ("127.0.0.1", port),
            block=False,
            evt_handlers=[
                (evt.EVT_N_CREATE, self._create),
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_N_GET, self._get),
                (evt.EVT_N_SET, self._set),
                (evt.EVT_N_ACTION, self._act),
            ],
        )
        self.port = int(self._server.socket.getsockname()[1])

    def __enter__(self) -> "UpsScp":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        for thread in self._sending:
            thread.join(10)

    def _create(self, event: Any) -> tuple[int, Dataset | None]:
        if _class(event) != UnifiedProcedureStepPush:
            return 0x0211, None
        uid = str(event.request.AffectedSOPInstanceUID)
        return self.manager.create(uid, event.attribute_list), None

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for match in self.manager.find(event.identifier):
            yield 0xFF00, match
        yield 0x0000, None

    def _get(self, event: Any) -> tuple[int, Dataset | None]:
        assert event.request.RequestedSOPClassUID == UnifiedProcedureStepPush
        status, found = self.manager.get(str(event.request.RequestedSOPInstanceUID))
        if found is None:
            return status, None
        wanted = Dataset()
        for tag in event.attribute_identifiers:
            if tag in found:
                wanted[tag] = found[tag]
        return status, wanted

    def _set(self, event: Any) -> tuple[int, Dataset | None]:
        assert event.request.RequestedSOPClassUID == UnifiedProcedureStepPush
        if _class(event) != UnifiedProcedureStepPull:
            return 0x0211, None
        changes = event.modification_list
        uid = str(event.request.RequestedSOPInstanceUID)
        return self.manager.set(uid, changes, changes.get("TransactionUID")), None

    def _act(self, event: Any) -> tuple[int, Dataset | None]:
        assert event.request.RequestedSOPClassUID == UnifiedProcedureStepPush
        uid, said = str(event.request.RequestedSOPInstanceUID), event.action_information
        kind, by = event.action_type, _class(event)
        if kind == CHANGE and by == UnifiedProcedureStepPull:
            state = str(said.get("ProcedureStepState"))
            return self.manager.change_state(uid, said.get("TransactionUID"), state), None
        if kind == CANCEL and by in (UnifiedProcedureStepPush, UnifiedProcedureStepWatch):
            return self.manager.request_cancel(uid, said), None
        if by != UnifiedProcedureStepWatch:
            return 0x0123, None
        if kind == SUBSCRIBE:
            return self.manager.subscribe(uid, said.ReceivingAE, said.get("DeletionLock")), None
        return self.manager.unsubscribe(uid, said.ReceivingAE), None

    def _report(self, title: str, uid: str, kind: int, information: Dataset) -> None:
        """Send an N-EVENT-REPORT over an association of its own: CC.2.4.3."""
        if title in self.addresses:
            thread = threading.Thread(
                target=self._send, args=(self.addresses[title], title, uid, kind, information)
            )
            thread.start()
            self._sending.append(thread)

    def _send(
        self, at: tuple[str, int], title: str, uid: str, kind: int, information: Dataset
    ) -> None:
        entity = AE(ae_title="MANAGER")
        entity.add_requested_context(UnifiedProcedureStepEvent)
        role = build_role(UnifiedProcedureStepEvent, scp_role=True)
        association = entity.associate(*at, ae_title=title, ext_neg=[role])
        if association.is_established:
            status, _ = association.send_n_event_report(
                information,
                kind,
                UnifiedProcedureStepPush,
                uid,
                meta_uid=UnifiedProcedureStepEvent,
            )
            self.answers.append(int(status.Status))
            association.release()


def _class(event: Any) -> str:
    """Return the SOP class that the context was negotiated for."""
    return str(event.context.abstract_syntax)
