"""Studies that are received become jobs, and late instances a revision."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pydicom
import pytest

from pipeline.analysis import Priors
from pipeline.assemble.assembler import Assembler
from pipeline.config import Configuration, ModelSettings
from pipeline.connections import Node, ReceiveSettings
from pipeline.infer.terms import Compute
from pipeline.lease import Limits
from pipeline.ledger.arrivals import Arrivals
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.listing import Wanted, jobs
from pipeline.ledger.queue import Queue
from pipeline.ledger.states import JobState
from pipeline.owner import this_process
from pipeline.perform import Perfusion, open_analyses
from pipeline.receive.inbox import Inbox, Offer
from pipeline.submit import Terms
from pipeline.warm import OpenAnalyses
from pipeline.work import Bench, work
from tests.support.archives import data_set, write_named
from tests.support.orthanc import Orthanc, needs_orthanc
from tests.support.service import free_port, wait_until


class Site:
    """An inbox, an assembler and a worker over one ledger."""

    def __init__(self, folder: Path, models: Path, configuration: Configuration) -> None:
        self.folder = folder
        self.ledger = Ledger.open(str(folder / "ledger.db"))
        self.configuration = replace(configuration, models=ModelSettings(path=models))
        self.inbox = Inbox.open(folder / "inbox", self.ledger, configuration.receive)
        self.assembler = Assembler(
            configuration=self.configuration,
            inbox=folder / "inbox",
            ledger=self.ledger,
            analyses=open_analyses(["perfusion"], self.configuration),
            terms=Terms(output=folder / "out"),
        )

    def receive(self, *files: Path) -> None:
        for path in files:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            incoming = self.inbox.receive(
                Offer(
                    sop_class_uid=header.SOPClassUID,
                    sop_instance_uid=header.SOPInstanceUID,
                    transfer_syntax_uid=header.file_meta.TransferSyntaxUID,
                    sender="test",
                )
            )
            incoming.write(data_set(path))
            incoming.keep()

    def look(self) -> None:
        """Look at all studies, after the shortest time in which one is taken for quiet."""
        wait_until(lambda: self.study.quiet_s > 0.02, 5)
        for study in Arrivals(self.ledger).listed():
            if study.state == "arriving":
                self.assembler._look(study)

    @property
    def study(self):
        (found,) = Arrivals(self.ledger).listed()
        return found

    def states(self) -> list[JobState]:
        """Return the states of the jobs, in the order in which they were made."""
        found = jobs(self.ledger, Wanted(state=None, lane=None, study_instance_uid=None, limit=99))
        return [job.state for job in sorted(found, key=lambda job: job.created_at)]

    def ids(self):
        found = jobs(self.ledger, Wanted(state=None, lane=None, study_instance_uid=None, limit=99))
        return [job.job_id for job in sorted(found, key=lambda job: job.created_at)]

    def work(self, job_id: UUID) -> JobState | None:
        bench = Bench(
            ledger=self.ledger,
            analyses=OpenAnalyses(self.configuration, Compute(threads=1), 64),
            owner=this_process(),
            limits=Limits(lease_s=60, longest_s=600),
            retry_s=1.0,
        )
        return work(job_id, bench)


def settings(node: Node | None = None, **receive: object) -> Configuration:
    if node is not None:
        receive["ask"] = "pacs"
    return Configuration(
        receive=ReceiveSettings(**{"ask_s": 0.01, "quiet_s": 0.01, **receive}),  # type: ignore[arg-type]
        nodes={} if node is None else {"pacs": node},
    )


@pytest.fixture
def files(sound_study: Path, tmp_path: Path) -> list[Path]:
    """Return the files of a study that does not say how many beats it has, in their order."""
    copy = Path(shutil.copytree(sound_study, tmp_path / "sent"))
    found = {}
    for path in copy.rglob("*"):
        if path.is_file():
            instance = pydicom.dcmread(path)
            del instance.NumberOfTemporalPositions
            instance.save_as(path)
            found[path] = int(instance.InstanceNumber)
    return sorted(found, key=lambda path: found[path])


@pytest.fixture
def site(tmp_path: Path, tiny_bundle: Path) -> Iterator[Site]:
    made = Site(tmp_path / "site", tiny_bundle, settings())
    yield made
    made.ledger.close()


def test_a_study_is_taken_once_it_is_quiet(site: Site, files: list[Path]) -> None:
    site.receive(*files)
    site.look()
    assert (site.study.state, site.study.revision) == ("taken", 1)
    assert site.study.why == "no new instance, quiet for 0.01 s"
    assert site.states() == [JobState.WAITING]
    site.look()
    assert site.states() == [JobState.WAITING]


def test_a_gap_keeps_a_study_waiting(site: Site, files: list[Path]) -> None:
    site.receive(*files[:20], *files[21:])
    site.look()
    assert site.study.state == "arriving"
    assert "a gap" in site.study.why
    site.receive(files[20])
    site.look()
    assert site.study.state == "taken"
    assert site.states() == [JobState.WAITING]


def test_late_instances_make_a_revision_that_names_its_predecessor(
    site: Site, files: list[Path]
) -> None:
    site.receive(*files[:-2])
    site.look()
    (first,) = site.ids()
    assert site.work(first) is JobState.DONE
    site.receive(*files[-2:])
    assert (site.study.state, site.study.revision) == ("arriving", 1)
    site.look()
    assert (site.study.state, site.study.revision) == ("taken", 2)
    second = site.ids()[-1]
    assert second != first
    assert site.work(second) is JobState.DONE
    before, after = (
        pydicom.dcmread(
            next((site.folder / "out" / f"perfusion-{job.hex[:12]}").glob("report*.dcm"))
        )
        for job in (first, second)
    )
    assert "PredecessorDocumentsSequence" not in before
    (study,) = after.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (document,) = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == before.StudyInstanceUID
    assert series.SeriesInstanceUID == before.SeriesInstanceUID
    assert document.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert document.ReferencedSOPClassUID == before.SOPClassUID


def test_a_revision_overtakes_a_job_that_waits(site: Site, files: list[Path]) -> None:
    site.receive(*files[:-2])
    site.look()
    site.receive(*files[-2:])
    site.look()
    assert site.states() == [JobState.CANCELLED, JobState.WAITING]
    assert site.work(site.ids()[-1]) is JobState.DONE


def test_a_revision_waits_for_a_job_that_runs(site: Site, files: list[Path]) -> None:
    site.receive(*files[:-2])
    site.look()
    (first,) = site.ids()
    queue = Queue(site.ledger)
    claim = queue.claim(first, this_process(), 60.0)
    assert claim is not None
    site.receive(*files[-2:])
    site.look()
    assert site.study.state == "arriving"
    assert str(first) in site.study.why
    assert site.ids() == [first]
    queue.hand_back(first, claim.attempt)
    site.look()
    assert site.states() == [JobState.CANCELLED, JobState.WAITING]


def test_what_comes_again_changes_nothing(site: Site, files: list[Path]) -> None:
    site.receive(*files)
    site.look()
    site.receive(*files)
    assert (site.study.state, site.study.revision) == ("taken", 1)
    assert len(site.ids()) == 1


def test_an_instance_that_comes_while_it_is_taken_is_not_left_out(
    site: Site, files: list[Path]
) -> None:
    site.receive(*files[:-1])
    seen = site.study
    site.receive(files[-1])
    site.assembler._look(seen)
    assert site.study.state == "arriving"
    assert site.ids() == []
    site.look()
    assert len(site.ids()) == 1


@needs_orthanc
@pytest.mark.service
def test_the_archive_proves_that_a_study_is_whole(
    tmp_path: Path, tiny_bundle: Path, files: list[Path]
) -> None:
    with Orthanc(tmp_path / "orthanc") as archive:
        node = Node(ae_title="ORTHANC", host="127.0.0.1", port=archive.port)
        configuration = settings(node, quiet_s=900.0)
        site = Site(tmp_path / "site", tiny_bundle, configuration)
        archive.upload(*files)
        site.receive(*files[:-1])
        site.look()
        assert (site.study.state, site.study.expected) == ("arriving", len(files))
        assert f"{len(files) - 1} of {len(files)} instances" in site.study.why
        site.receive(files[-1])
        site.look()
        assert site.study.why == f"the node has the same {len(files)} instances"
        assert site.states() == [JobState.WAITING]
        site.ledger.close()


@needs_orthanc
@pytest.mark.service
def test_earlier_studies_are_fetched_for_an_analysis_that_asks(
    tmp_path: Path, tiny_bundle: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Perfusion, "priors", Priors(number=1), raising=False)
    patient = pydicom.dcmread(files[0]).PatientID
    prior, uid = write_named(tmp_path / "prior", "latin", PatientID=patient, StudyDate="20200101")
    with Orthanc(tmp_path / "orthanc") as archive:
        node = Node(ae_title="ORTHANC", host="127.0.0.1", port=archive.port, url=archive.url)
        site = Site(tmp_path / "site", tiny_bundle, settings(node))
        archive.upload(*files, prior)
        site.receive(*files)
        site.assembler._look(site.study)
        found = {study.study_instance_uid for study in Arrivals(site.ledger).listed()}
        site.ledger.close()
    assert uid in found
    assert len(found) == 2


def test_an_archive_that_does_not_say_costs_the_quiet_time(
    tmp_path: Path, tiny_bundle: Path, files: list[Path]
) -> None:
    node = Node(ae_title="NOBODY", host="127.0.0.1", port=free_port(), timeout_s=1.0)
    configuration = settings(node)
    site = Site(tmp_path / "site", tiny_bundle, configuration)
    site.receive(*files)
    site.look()
    assert site.study.state == "taken"
    assert "pacs does not say" in site.study.why
    site.ledger.close()
