"""Results to be delivered, and an archive that does with them what a test wants."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import pydicom
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.dsutils import split_dataset
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from pipeline.config import Configuration, GateSettings
from pipeline.connections import Destination, Node
from pipeline.demo import write_study
from pipeline.encode.perfusion import encode_perfusion
from pipeline.identity import derived_uid, digest_file
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.deliverycare import WantedDeliveries, deliveries
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import JobOrder, Queue
from pipeline.study import Artifact
from tests.support.jobs import job_request
from tests.support.results import CONTEXT, result_on
from tests.support.traps import stack
from workers.deliverer import Deliverer

_config.LOG_HANDLER_LEVEL = "none"


@cache
def whole_result() -> Path:
    """Return a folder with every kind of object of a perfusion result, made once."""
    folder = Path(mkdtemp(prefix="vesalius-test-"))
    write_study(stack(12, n_slices=3), folder / "study", name="delivered")
    (candidate,) = take_inventory([folder / "study"]).candidates
    series = candidate.load()
    (folder / "result").mkdir()
    encode_perfusion(result_on(series.image), series, CONTEXT, folder / "result")
    return folder / "result"


@cache
def _template() -> bytes:
    return (whole_result() / "overview.dcm").read_bytes()


def write_objects(folder: Path, job_id: UUID, count: int) -> list[Artifact]:
    """Write objects of a job, each with a UID of its own; return their records."""
    folder.mkdir(parents=True)
    made = []
    for number in range(count):
        path = folder / f"object_{number}.dcm"
        path.write_bytes(_template())
        dataset = pydicom.dcmread(path)
        uid = derived_uid(job_id, f"object/{number}")
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.save_as(path)
        made.append(
            Artifact(
                kind="overview",
                relative_path=path.name,
                sop_instance_uid=uid,
                sha256=digest_file(path),
            )
        )
    return made


def files_of(folder: Path) -> dict[str, Path]:
    """Return all files under a folder, by their paths under it."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found}


def artifacts_in(folder: Path) -> list[Artifact]:
    """Return the records of all files of a folder."""
    return [
        Artifact(
            kind=path.stem,
            relative_path=name,
            sop_instance_uid=str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
            if path.suffix == ".dcm"
            else None,
            sha256=digest_file(path),
        )
        for name, path in files_of(folder).items()
    ]


@dataclass(kw_only=True)
class Site:
    """A ledger with finished jobs, and settings."""

    folder: Path
    ledger: Ledger
    nodes: dict[str, Node] = field(default_factory=dict)
    destinations: dict[str, Destination] = field(default_factory=dict)
    dciodvfy: str = "never"

    @property
    def settings(self) -> Configuration:
        return Configuration(
            nodes=self.nodes,
            destinations=self.destinations,
            gate=GateSettings(dciodvfy=self.dciodvfy),
        )

    def archive(self, name: str, port: int, **settings: Any) -> None:
        """Name an archive on this machine, and have results go there by C-STORE."""
        timeout_s = settings.pop("timeout_s", 5.0)
        self.nodes[name] = Node(
            ae_title="ARCHIVE",
            host="127.0.0.1",
            port=port,
            timeout_s=timeout_s,
            url=settings.pop("url", None),
        )
        values = {"by": "c-store", "node": name, "retry_s": 0.2, "longest_retry_s": 1.0}
        self.destinations[name] = Destination(**(values | settings))

    def job(
        self,
        name: str,
        destinations: Sequence[str],
        *,
        objects: int = 2,
        lane: str = "routine",
        priority: int = 0,
        result: Path | None = None,
    ) -> tuple[UUID, list[Artifact]]:
        """Finish a job whose result goes to destinations."""
        request = job_request(name)
        job_id = request.identity.job_id
        if result is None:
            folder = self.folder / "out" / f"perfusion-{job_id.hex[:12]}"
            made = write_objects(folder, job_id, objects)
        else:
            folder, made = result, artifacts_in(result)
        finish(self.ledger, name, (folder, made), destinations, (lane, priority))
        return job_id, made

    def states(self) -> list[str]:
        """Return where the deliveries stand, in their order."""
        found = deliveries(self.ledger, WantedDeliveries(limit=10000))
        return [line.state.value for line in sorted(found, key=lambda line: line.id)]

    def told(self) -> str:
        """Return all deliveries, for a failure."""
        return "\n".join(map(str, deliveries(self.ledger, WantedDeliveries(limit=10000))))


def finish(
    ledger: Ledger,
    name: str,
    result: tuple[Path, Sequence[Artifact]],
    destinations: Sequence[str],
    terms: tuple[str, int] = ("routine", 0),
) -> UUID:
    """Record a job that is done, with its deliveries in the same transaction."""
    request, (folder, artifacts) = job_request(name), result
    job_id = request.identity.job_id
    order = JobOrder(
        lane=terms[0],
        priority=terms[1],
        attempts=3,
        input_root=folder,
        inputs=("a",),
        configuration={},
        output=folder.parent,
    )
    Queue(ledger).submit(request, order, again=True)
    claim = Queue(ledger).claim(job_id, "test", 60.0)
    assert claim is not None
    assert ledger.complete(
        job_id,
        claim.attempt,
        folder=folder,
        artifacts=artifacts,
        outcome={},
        publish=lambda session: Deliveries(ledger).add_within(session, job_id, destinations),
    )
    return job_id


class Running:
    """A deliverer in threads of this process."""

    def __init__(self, site: Site, lease_s: float = 5.0) -> None:
        self.ending = threading.Event()
        deliverer = Deliverer(site.ledger, site.settings, lease_s)
        self.thread = threading.Thread(target=deliverer.run, args=(self.ending,))

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ending.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


Behaviour = Callable[[int, evt.Event], int | None]
"""From the number of an object, from 0, to its status; None says success and stores nothing."""


class Archive:
    """An archive of the tests' own: pynetdicom on loopback, with a behaviour."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.stored: dict[str, bytes] = {}
        self.received: Counter[str] = Counter()
        self.order: list[str] = []
        self.asked = 0
        self.behave: Behaviour = lambda _number, _event: 0x0000
        self.commit: Callable[[str, str], int] = lambda uid, _: 0 if uid in self.stored else 0x0112
        self.report: Callable[[str, list[str], Mapping[str, int]], object] | None = None
        self.cuts = 0
        self._packets = 0
        self._lock = threading.Lock()
        self._server: Any = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Take associations."""
        entity = AE(ae_title="ARCHIVE")
        entity.maximum_associations = 50
        entity.maximum_pdu_size = 4096
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), ALL_SYNTAXES)
        entity.add_supported_context("1.2.840.10008.5.1.4.1.1.66.7", ALL_SYNTAXES)
        for abstract in (
            Verification,
            StudyRootQueryRetrieveInformationModelFind,
            StorageCommitmentPushModel,
        ):
            entity.add_supported_context(abstract)
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_ACTION, self._action),
            (evt.EVT_PDU_RECV, self._count),
        ]
        self._server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers
        )
        self.port = self._server.server_address[1]

    def stop(self) -> None:
        """End all associations, and take no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def holds(self, folder: Path, made: Sequence[Artifact]) -> bool:
        """Tell whether all objects are here with the bytes that they have on disk."""
        return all(
            self.stored.get(str(each.sop_instance_uid)) == data_set(folder / each.relative_path)
            for each in made
        )

    def _count(self, event: evt.Event) -> None:
        """Close the connection in the middle of an object, as often as it is wanted."""
        self._packets += isinstance(event.pdu, P_DATA_TF)
        if self.cuts and self._packets > 5:
            self._packets, self.cuts = 0, self.cuts - 1
            event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)

    def _store(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        with self._lock:
            number = self.asked
            self.asked += 1
        status = self.behave(number, event)
        if status is None:
            return 0x0000
        if status in (0x0000, 0x0111, 0xB000, 0xB006, 0xB007):
            with self._lock:
                self.stored[uid] = event.request.DataSet.getvalue()
                self.received[uid] += 1
                self.order.append(uid)
        return status

    def _find(self, event: evt.Event) -> Any:
        wanted = str(event.identifier.get("SOPInstanceUID", "") or "")
        for uid in list(self.stored):
            if wanted in ("", uid):
                match = Dataset()
                match.QueryRetrieveLevel = "IMAGE"
                match.SOPInstanceUID = uid
                yield 0xFF00, match

    def _action(self, event: evt.Event) -> tuple[int, None]:
        asked = event.action_information
        uids = [str(item.ReferencedSOPInstanceUID) for item in asked.ReferencedSOPSequence]
        reasons = {uid: self.commit(uid, "") for uid in uids}
        committed = [uid for uid in uids if reasons[uid] == 0]
        failed = {uid: reason for uid, reason in reasons.items() if reason}
        if self.report is not None:
            self.report(str(asked.TransactionUID), committed, failed)
        return 0x0000, None


ALL_SYNTAXES = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
]
"""Transfer syntaxes that results have."""


def data_set(path: Path) -> bytes:
    """Return the encoded data set of a file."""
    _, offset = split_dataset(path)
    return path.read_bytes()[offset:]


def hang(seconds: float) -> None:
    """Be silent as a peer would."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.05)
