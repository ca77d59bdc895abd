"""One job of the service, in this process: what its end depends on, and what follows from it."""

from dataclasses import replace
from pathlib import Path
from threading import Timer
from uuid import UUID

import pytest

from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.reconstruction.settings import ReconstructionSettings
from pipeline.config import Configuration, ModelSettings
from pipeline.connections import Destination
from pipeline.errors import (
    BundleRejected,
    LedgerUnavailable,
    StudyRejected,
    UnreadableFile,
    UnusableCall,
)
from pipeline.infer.bundle import write_file_list
from pipeline.infer.interrupt import Reason
from pipeline.infer.terms import Compute
from pipeline.lease import Limits
from pipeline.ledger.deliverycare import WantedDeliveries, deliveries
from pipeline.ledger.ledger import JobRecord, Ledger
from pipeline.ledger.listing import Wanted, jobs
from pipeline.ledger.queue import Queue
from pipeline.ledger.states import JobState
from pipeline.outputs import what_is_wrong
from pipeline.owner import is_child, is_gone, this_process
from pipeline.perform import open_analyses
from pipeline.phantom import Phantom
from pipeline.sandbox.reader import Allowance, Reader
from pipeline.submit import Terms, submit
from pipeline.warm import OpenAnalyses
from pipeline.work import Bench, backoff_s, may_pass, work
from tests.support.bundles import write_tiny_bundle
from tests.support.rawfiles import write_nifti
from tests.support.reconstruction import write_tiny_reconstruction
from tests.support.restandstress import small_pair, write_pair
from tests.support.tally import write_tally_bundle, write_volumes
from tests.test_chain import phantom_kspace


class Place:
    """A ledger, bundles of every analysis, and this process as the worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = write_tally_bundle(folder / "models")
        write_tiny_bundle(self.models / "perfusion" / "bundle")
        write_tiny_reconstruction(self.models / "reconstruction" / "bundle", head=1e-4)
        self.configuration = Configuration(
            perfusion=PerfusionSettings(uncertainty_stride=8),
            reconstruction=ReconstructionSettings(uncertainty_draws=0),
            models=ModelSettings(path=self.models),
        )
        self.ledger = Ledger.open(str(folder / "ledger.db"))
        self.bench = Bench(
            ledger=self.ledger,
            analyses=OpenAnalyses(self.configuration, Compute(threads=1), 1),
            owner=this_process(),
            limits=Limits(lease_s=30.0, longest_s=60.0),
            retry_s=1000.0,
        )

    def submit(self, *inputs: Path, names: tuple[str, ...] = ("tally",)) -> list[UUID]:
        analyses = open_analyses(names, self.configuration)
        terms = Terms(output=self.folder / "out", lane="stat", priority=5)
        return [job.job_id for job in submit(inputs, analyses, terms, self.ledger).jobs]

    def found(self, job_id: UUID) -> JobRecord:
        record = self.ledger.find(job_id)
        assert record is not None
        return record


@pytest.fixture
def at(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_job_is_done_once_however_often_it_is_called(at: Place) -> None:
    (job,) = at.submit(*write_volumes(at.folder / "in", 1))
    assert work(job, at.bench) is JobState.DONE
    assert work(job, at.bench) is None
    record = at.found(job)
    assert record.folder is not None
    assert what_is_wrong(record.folder, record.artifacts) is None


def test_a_job_of_a_worker_that_is_gone_is_done_at_once(at: Place) -> None:
    (job,) = at.submit(*write_volumes(at.folder / "in", 1))
    gone = f"{this_process().rpartition(' ')[0]} 1"
    assert Queue(at.ledger).claim(job, gone, 1000.0) is not None
    assert work(job, at.bench) is JobState.DONE


def test_a_job_of_another_worker_is_left_to_it(at: Place) -> None:
    (job,) = at.submit(*write_volumes(at.folder / "in", 1))
    assert Queue(at.ledger).claim(job, this_process(), 1000.0) is not None
    assert work(job, at.bench) is None


def test_a_file_is_read_by_one_reader(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    begin = Reader.__init__
    (job,) = at.submit(*write_volumes(at.folder / "in", 1))

    def counted(reader: Reader, name: str, allowance: Allowance, module: str) -> None:
        made.append(name)
        begin(reader, name, allowance, module)

    monkeypatch.setattr(Reader, "__init__", counted)
    assert work(job, at.bench) is JobState.DONE
    assert made == ["000000.nii"]


def test_a_result_is_to_be_delivered_as_soon_as_it_is_there(at: Place) -> None:
    at.bench = replace(
        at.bench,
        destinations={
            "share": Destination(by="folder", folder=at.folder, always=True),
            "named": Destination(by="folder", folder=at.folder),
            "other": Destination(by="folder", folder=at.folder, always=True, analyses=("phases",)),
        },
    )
    (job,) = at.submit(*write_volumes(at.folder / "in", 1))
    assert deliveries(at.ledger, WantedDeliveries()) == ()
    assert work(job, at.bench) is JobState.DONE
    (found,) = deliveries(at.ledger, WantedDeliveries())
    assert (found.job_id, found.destination, found.state.value) == (job, "share", "waiting")


def test_the_last_of_rest_and_stress_makes_their_reserve_and_has_it_delivered(at: Place) -> None:
    destination = Destination(by="folder", folder=at.folder, always=True, analyses=("reserve",))
    at.bench = replace(at.bench, destinations={"share": destination})
    pair = small_pair()
    images = pair.rest.phantom.image, pair.stress.phantom.image
    jobs = at.submit(write_pair(*images, at.folder / "in"), names=("perfusion",))
    assert [work(job, at.bench) for job in jobs[:1]] == [JobState.DONE]
    assert deliveries(at.ledger, WantedDeliveries()) == ()
    assert [work(job, at.bench) for job in jobs[1:]] == [JobState.DONE]
    (found,) = deliveries(at.ledger, WantedDeliveries())
    record = at.found(found.job_id)
    assert record.state is JobState.DONE
    assert record.folder is not None
    assert record.folder.parent == at.folder / "out"
    assert what_is_wrong(record.folder, record.artifacts) is None
    told = (record.outcome or {})["reserve"]
    assert isinstance(told, dict)
    assert {told["rest"]["job_id"], told["stress"]["job_id"]} == {str(job) for job in jobs}


@pytest.mark.parametrize("fate", ["altered", "gone"])
def test_an_input_that_is_not_what_was_submitted_fails_the_job_for_good(
    fate: str, at: Place
) -> None:
    (path,) = write_volumes(at.folder / "in", 1)
    (job,) = at.submit(path)
    if fate == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert work(job, at.bench) is JobState.FAILED
    record = at.found(job)
    assert record.error == "StudyRejected"
    assert "since the job was submitted" in (record.reason or "")


def test_an_output_that_cannot_be_written_now_is_tried_again_later(at: Place) -> None:
    (job,) = at.submit(*write_volumes(at.folder / "in", 1))
    (at.folder / "out").write_text("in the way")
    assert work(job, at.bench) is JobState.WAITING
    assert work(job, at.bench) is None, "its time has not come"
    assert at.found(job).attempts == 1


def test_a_job_for_another_bundle_is_not_done_with_this_one(at: Place) -> None:
    (job,) = at.submit(*write_volumes(at.folder / "in", 1))
    write_tally_bundle(at.folder / "other")
    (at.folder / "other" / "tally" / "bundle" / "LICENSE").write_text("MIT\n")
    write_file_list(at.folder / "other" / "tally" / "bundle")
    elsewhere = Configuration(models=ModelSettings(path=at.folder / "other"))
    at.bench.analyses._configuration = elsewhere
    assert work(job, at.bench) is JobState.FAILED
    assert at.found(job).error == "BundleRejected"


def test_a_model_run_is_ended_from_outside_and_the_job_handed_back(at: Place) -> None:
    (job,) = at.submit(*write_volumes(at.folder / "in", 1, steps=15_000_000))
    Timer(1.0, lambda: at.bench.running[0].stop(Reason.STOPPING)).start()
    assert work(job, at.bench) is JobState.WAITING
    claim = Queue(at.ledger).claim(job, "next", 10.0)
    assert claim is not None
    assert claim.order.attempts == 4, "an attempt that was handed back does not count"


def test_images_that_a_job_reconstructs_are_submitted_with_its_end(
    at: Place, phantom: Phantom
) -> None:
    kspace = phantom_kspace(phantom, 2.0)
    path = write_nifti(at.folder / "dynamic.nii.gz", kspace, phantom.image.affine)
    (job,) = at.submit(path, names=("reconstruction",))
    assert work(job, at.bench) is JobState.DONE
    waiting = jobs(at.ledger, Wanted(state=JobState.WAITING))
    follow = [line for line in waiting if line.analysis == "perfusion"]
    assert [(line.lane, line.priority) for line in follow] == [("stat", 5)]
    assert work(follow[0].job_id, at.bench) is JobState.DONE


def test_the_least_recently_used_analysis_is_closed_when_memory_is_short(at: Place) -> None:
    tally, perfusion, _ = sorted(
        open_analyses([], at.configuration), key=lambda a: (a.name != "tally", a.name)
    )
    wanted = [(a.name, a.bundle.digest, a.configuration) for a in (tally, perfusion)]
    kept = OpenAnalyses(at.configuration, Compute(threads=1), 1000)
    assert kept.find(*wanted[0]) is kept.find(*wanted[0])
    first = kept.find(*wanted[0])
    kept.find(*wanted[1])
    assert kept.find(*wanted[0]) is first
    short = OpenAnalyses(at.configuration, Compute(threads=1), 0)
    first = short.find(*wanted[0])
    short.find(*wanted[1])
    assert short.find(*wanted[0]) is not first


def test_waits_double_and_end_at_an_hour() -> None:
    assert [backoff_s(n, 10.0) for n in (1, 2, 3, 20)] == [10.0, 20.0, 40.0, 3600.0]


def caused(problem: Exception, cause: Exception) -> Exception:
    problem.__cause__ = cause
    return problem


@pytest.mark.parametrize(
    ("problem", "passes"),
    [
        (OSError(28, "No space left on device"), True),
        (LedgerUnavailable("away"), True),
        (MemoryError(), True),
        (caused(UnusableCall("out: cannot be written"), OSError(28, "full")), True),
        (caused(UnreadableFile("a: cannot be read again"), OSError(5, "I/O error")), True),
        (caused(UnreadableFile("a: gone"), FileNotFoundError(2, "gone")), False),
        (StudyRejected("two patients"), False),
        (BundleRejected("altered"), False),
        (KeyError("a defect"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(problem: Exception, passes: bool) -> None:
    assert may_pass(problem) == passes


def test_a_process_is_known_to_be_gone_only_on_its_own_machine() -> None:
    own = this_process()
    machine, parent, pid, started = own.rsplit(" ", 3)
    assert not is_gone(own)
    assert is_gone(f"{machine} {parent} {pid} {int(started) - 1}"), "its number was used again"
    assert not is_gone(f"elsewhere {parent} {pid} 1")
    host, space, _ = machine.rsplit(" ", 2)
    assert is_gone(f"{host} {space} another-boot {parent} {pid} {started}")
    assert not is_gone("")
    assert not is_child(own)
