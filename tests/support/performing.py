"""A place where steps are performed: a ledger, bundles, and this process as the worker."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pydicom
from pydicom.dataset import Dataset
from pynetdicom import AE

from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.config import Configuration, ModelSettings
from pipeline.connections import Node
from pipeline.gateways.ups import DimseWorklist
from pipeline.gateways.upsevents import add_step_events
from pipeline.gateways.upsrs import WebWorklist
from pipeline.gateways.worklist import InputReference, Worklist
from pipeline.infer.terms import Compute
from pipeline.lease import Limits
from pipeline.ledger.exchange import Arrival, InstanceRow
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import JobState
from pipeline.ledger.workitems import Workitem, Workitems
from pipeline.owner import this_process
from pipeline.perform import open_analyses
from pipeline.steps import WorklistSettings
from pipeline.warm import OpenAnalyses
from pipeline.work import Bench, work
from pipeline.worklist.events import step_events
from pipeline.worklist.inputs import Inputs
from pipeline.worklist.perform import Performer, Site
from pipeline.worklist.performed import RetrievePlace
from tests.support.bundles import write_tiny_bundle
from tests.support.steps import input_item, step
from tests.support.tally import write_tally_bundle, write_volumes
from tests.support.upsmanager import Manager
from tests.support.upsrsserver import UpsRsServer
from tests.support.upsscp import UpsScp

TALLY = ("TALLY", "99SITE", "Tally")
MR = "1.2.840.10008.5.1.4.1.1.4"

SETTINGS = WorklistSettings(
    node="manager",
    codes=("PERFUSION^99SITE=perfusion", "TALLY^99SITE=tally"),
    station="AI1^99SITE",
    retrieve="archive",
)


class FolderInputs:
    """Inputs that lie in a folder for each study: volumes have no instances of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, inputs: Sequence[InputReference]) -> tuple[Path, ...] | None:
        folders = [self.root / each.study_instance_uid for each in inputs]
        if not all(folder.is_dir() for folder in folders):
            return None
        return tuple(path for folder in folders for path in sorted(folder.iterdir()))


class Place:
    """A ledger with bundles, and this process as the worker."""

    def __init__(self, folder: Path, name: str = "ledger.db") -> None:
        self.folder = folder
        self.models = folder / "models"
        if not self.models.exists():
            write_tally_bundle(self.models)
            write_tiny_bundle(self.models / "perfusion" / "bundle")
        self.configuration = Configuration(
            perfusion=PerfusionSettings(uncertainty_stride=8),
            models=ModelSettings(path=self.models),
        )
        self.ledger = Ledger.open(str(folder / name))
        self.items = Workitems(self.ledger)
        self.inputs: Inputs = FolderInputs(folder / "in")
        self.bench = Bench(
            ledger=self.ledger,
            analyses=OpenAnalyses(self.configuration, Compute(threads=1), 1),
            owner=this_process(),
            limits=Limits(lease_s=30.0, longest_s=60.0),
            retry_s=0.0,
        )

    def performer(self, worklist: Worklist, settings: WorklistSettings = SETTINGS) -> Performer:
        """Return a performer, with nothing in memory of any before."""
        site = Site(
            ledger=self.ledger,
            analyses=lambda names: open_analyses(names, self.configuration),
            inputs=self.inputs,
            output=self.folder / "out",
            places=(RetrievePlace(ae_title="ARCHIVE", url="https://archive/dicom-web"),),
            ae_title="VESALIUS",
        )
        return Performer("ris", settings, worklist, site)

    def work(self, uid: str) -> list[JobState | None]:
        """Do the jobs of a step as a worker would; return where they stand."""
        return [work(job_id, self.bench) for job_id in self.jobs(uid)]

    def jobs(self, uid: str) -> tuple[UUID, ...]:
        return self.item(uid).job_ids

    def state(self, job_id: UUID) -> JobState:
        record = self.ledger.find(job_id)
        assert record is not None
        return record.state

    def item(self, uid: str) -> Workitem:
        found = self.items.find(uid)
        assert found is not None
        return found

    def schedule_tally(self, manager: Manager, uid: str, **changes: str) -> None:
        """Have a step wait whose input is one volume, which is there."""
        study = f"{uid}.1"
        count = int(changes.pop("count", "1"))
        behaviour, steps = int(changes.pop("behaviour", "0")), int(changes.pop("steps", "0"))
        seed = int(uid.rpartition(".")[2]) * 100
        folder = self.folder / "in" / study
        write_volumes(folder, count, first=seed, behaviour=behaviour, steps=steps)
        inputs = [input_item(study, f"{uid}.2", [(MR, f"{uid}.3")])]
        assert manager.create(uid, step(inputs, code=TALLY, **changes)) == 0

    def receive(self, study: Path) -> Path:
        """Record the instances of a folder as received, and return the inbox."""
        inbox = self.folder / "inbox"
        with self.ledger.transaction() as session:
            for path in sorted(p for p in study.rglob("*") if p.is_file()):
                found = pydicom.dcmread(path, stop_before_pixels=True)
                uid = str(found.StudyInstanceUID)
                arrival = session.query(Arrival).filter_by(study_instance_uid=uid).one_or_none()
                if arrival is None:
                    arrival = Arrival(
                        study_instance_uid=uid, state="taken", first_at=0, last_at=0, look_at=0
                    )
                    session.add(arrival)
                    session.flush()
                target = inbox / path.name
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(path.read_bytes())
                session.add(_instance(arrival.id, found, path.name, target.stat().st_size))
        return inbox


def _instance(arrival: int, found: Dataset, name: str, size: int) -> InstanceRow:
    return InstanceRow(
        arrival_id=arrival,
        sop_instance_uid=str(found.SOPInstanceUID),
        series_instance_uid=str(found.SeriesInstanceUID),
        sop_class_uid=str(found.SOPClassUID),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sha256=f"{abs(hash(name)):064x}"[:64],
        size=size,
        relative_path=name,
        sender="test",
        received_at=0.0,
    )


@contextmanager
def served(way: str, manager: Manager) -> Iterator[Worklist]:
    """Serve a manager over one protocol, and return it as a performer sees it."""
    settings = Configuration()
    if way == "dimse":
        with UpsScp(manager) as scp:
            yield DimseWorklist(dimse_node(scp), settings)
    else:
        with UpsRsServer(manager) as server:
            yield WebWorklist(Node(url=server.url, timeout_s=10), settings)


def dimse_node(scp: UpsScp) -> Node:
    """Return the manager as a node."""
    return Node(ae_title="MANAGER", host="127.0.0.1", port=scp.port, timeout_s=10)


@contextmanager
def listening(ledger: Ledger, scp: UpsScp) -> Iterator[None]:
    """Take the reports of a manager as the receiver does."""
    entity = AE(ae_title="VESALIUS")
    add_step_events(entity)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[step_events(ledger)])
    scp.addresses["VESALIUS"] = ("127.0.0.1", server.socket.getsockname()[1])
    try:
        yield
    finally:
        server.shutdown()


def with_settings(**changes: object) -> WorklistSettings:
    """Return the settings with changes."""
    return replace(SETTINGS, **changes)  # type: ignore[arg-type]
