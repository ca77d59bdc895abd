"""Which version does a study, and what becomes of it: live, canary and shadow in this process."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from pipeline import reproduce as reproducing
from pipeline.admit import admit
from pipeline.config import Configuration, ModelSettings
from pipeline.connections import Destination
from pipeline.errors import BundleRejected, UnusableCall
from pipeline.infer.terms import Compute
from pipeline.ingest.inventory import Candidate, take_inventory
from pipeline.inservice import InService, place_of
from pipeline.lease import Limits
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.deliverycare import WantedDeliveries, deliveries
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.listing import JobLine, Wanted, jobs
from pipeline.ledger.queue import Queue
from pipeline.ledger.roles import Role
from pipeline.ledger.states import JobState
from pipeline.ledger.statistics import recorded, without_statistics
from pipeline.ledger.tables import Job
from pipeline.ledger.versionpairs import job_pairs
from pipeline.ledger.versions import Version, Versions
from pipeline.owner import this_process
from pipeline.perform import open_analyses
from pipeline.registry.store import Registry
from pipeline.reproduction import Verdict
from pipeline.run import RunRequest, run
from pipeline.submit import SHADOW_LANE, Submitted, Terms, submit
from pipeline.warm import OpenAnalyses
from pipeline.work import Bench, work
from tests.support.runs import Heard
from tests.support.tally import write_tally_bundle, write_volumes
from tests.support.versions import version_of

ACTOR = "anna@ward"


class Site:
    """A ledger, a registry, an installed bundle, and this process as the worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        models = write_tally_bundle(folder / "models")
        self.installed = models / "tally" / "bundle"
        self.registry = Registry(root=folder / "registry")
        self.configuration = Configuration(
            models=ModelSettings(path=models, registry=self.registry.root)
        )
        self.ledger = Ledger.open(str(folder / "ledger.db"))
        self.versions = Versions(self.ledger)
        self.service = InService(self.ledger, self.configuration)
        self.analyses = open_analyses(["tally"], self.configuration)
        self.bench = Bench(
            ledger=self.ledger,
            analyses=OpenAnalyses(self.configuration, Compute(threads=1), 64),
            owner=this_process(),
            limits=Limits(lease_s=30.0, longest_s=60.0),
            retry_s=1000.0,
            destinations={"share": Destination(by="folder", folder=folder / "share", always=True)},
            service=self.service,
        )

    def version(self, number: int) -> Version:
        """Return a version that is enabled."""
        label = f"1.{number}.0"
        folder = self.folder / label
        version_of(self.installed, folder, label)
        found = admit(folder, self.registry, self.ledger, ACTOR)
        return self.versions.enable(found.digest, ACTOR)

    def submit(self, *inputs: Path) -> Submitted:
        terms = Terms(output=self.folder / "out", service=self.service)
        return submit(inputs, self.analyses, terms, self.ledger)

    def volumes(self, count: int, first: int = 0) -> list[Path]:
        return write_volumes(self.folder / "in", count, first=first)

    def lines(self) -> dict[UUID, JobLine]:
        return {line.job_id: line for line in jobs(self.ledger, Wanted(limit=1000))}

    def digest(self, job_id: UUID) -> str:
        with self.ledger.reading() as session:
            return str(session.scalars(select(Job.bundle_digest).where(Job.id == job_id)).one())

    def delivered(self) -> set[UUID]:
        return {line.job_id for line in deliveries(self.ledger, WantedDeliveries())}

    def described(self) -> int:
        return len(recorded(self.ledger, "tally"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.ledger.close()


def test_without_a_live_version_the_installed_bundle_does_the_studies(site: Site) -> None:
    site.version(1)
    (job,) = site.submit(*site.volumes(1)).jobs
    assert site.digest(job.job_id) == site.analyses[0].bundle.digest
    assert site.lines()[job.job_id].role == "live"


def test_a_promotion_and_a_rollback_need_no_restart(site: Site) -> None:
    first, second = site.version(1), site.version(2)
    wanted = []
    for number, change in enumerate(
        (
            lambda: site.versions.promote(first.digest, ACTOR, {}),
            lambda: site.versions.promote(second.digest, ACTOR, {}),
            lambda: site.versions.rollback("tally", ACTOR),
            lambda: site.versions.rollback("tally", ACTOR),
        )
    ):
        change()
        (job,) = site.submit(*site.volumes(1, first=number)).jobs
        assert work(job.job_id, site.bench) is JobState.DONE
        wanted.append(site.digest(job.job_id))
    installed = site.analyses[0].bundle.digest
    assert wanted == [first.digest, second.digest, first.digest, installed]
    assert len(site.delivered()) == 4


def test_a_job_is_done_by_the_bundle_that_it_names_whatever_is_live_then(site: Site) -> None:
    first, second = site.version(1), site.version(2)
    site.versions.promote(first.digest, ACTOR, {})
    (job,) = site.submit(*site.volumes(1)).jobs
    site.versions.promote(second.digest, ACTOR, {})
    site.versions.retire(first.digest, ACTOR)
    assert work(job.job_id, site.bench) is JobState.DONE
    assert site.digest(job.job_id) == first.digest
    again = reproducing.Bench(
        ledger=site.ledger,
        configuration=site.configuration,
        compute=Compute(threads=1),
        scratch=site.folder / "again",
    )
    found = reproducing.reproduce(job.job_id, again)
    assert found.verdict is Verdict.IDENTICAL, "a version that is retired stays reproducible"


def test_a_canary_does_its_share_and_a_study_goes_the_same_way_each_time(site: Site) -> None:
    share = 0.3
    version = site.versions.canary(site.version(1).digest, share, ACTOR)
    inputs = site.volumes(60)
    found = site.submit(*inputs)
    places = [place_of(one, version.digest) for one in series(inputs)]
    took = [site.digest(job.job_id) == version.digest for job in found.jobs]
    assert took == [place < share for place in places]
    assert 0 < sum(took) < len(took)
    roles = [site.lines()[job.job_id].role for job in found.jobs]
    assert roles == ["canary" if mine else "live" for mine in took]
    again = site.submit(*inputs).jobs
    assert [job.job_id for job in again] == [job.job_id for job in found.jobs]
    assert not any(job.is_new for job in again)
    mine = found.jobs[took.index(True)].job_id
    assert work(mine, site.bench) is JobState.DONE
    assert site.delivered() == {mine}
    assert site.described() == 1


def test_places_of_studies_are_even_and_differ_between_versions(site: Site) -> None:
    found = series(site.volumes(200))
    first, second = ([place_of(one, digit * 64) for one in found] for digit in "ab")
    for places in (first, second):
        assert all(20 < sum(q <= p < q + 0.25 for p in places) < 80 for q in (0, 0.25, 0.5, 0.75))
    both = sum(p < 0.5 and q < 0.5 for p, q in zip(first, second, strict=True))
    assert 25 < both < 75


def series(inputs: list[Path]) -> tuple[Candidate, ...]:
    return take_inventory(inputs).candidates


def test_a_shadow_works_beside_and_nothing_of_it_counts(site: Site) -> None:
    version = site.versions.shadow(site.version(1).digest, ACTOR)
    found = site.submit(*site.volumes(1))
    (job,), (shadow,) = found.jobs, found.shadows
    line = site.lines()[shadow.job_id]
    assert (line.role, line.lane) == ("shadow", SHADOW_LANE)
    assert site.digest(shadow.job_id) == version.digest
    digests = site.analyses[0].bundle.digest, version.digest
    assert job_pairs(site.ledger, "tally", digests) == ()
    assert [work(each, site.bench) for each in (shadow.job_id, job.job_id)] == [JobState.DONE] * 2
    (pair,) = job_pairs(site.ledger, "tally", digests)
    assert (pair.first.job_id, pair.second.job_id) == (job.job_id, shadow.job_id)
    assert [path.name for path in pair.files] == ["000000.nii"]
    assert site.delivered() == {job.job_id}
    assert site.described() == 1
    assert without_statistics(site.ledger) == ()
    with site.ledger.transaction() as session:
        Deliveries(site.ledger).add_within(session, shadow.job_id, ["share"])
    assert site.delivered() == {job.job_id}, "nor by hand"


def test_a_shadow_that_is_live_or_canary_too_does_a_study_once(site: Site) -> None:
    version = site.version(1)
    site.versions.shadow(version.digest, ACTOR)
    site.versions.promote(version.digest, ACTOR, {})
    found = site.submit(*site.volumes(1))
    assert (len(found.jobs), found.shadows) == (1, ())


@pytest.mark.parametrize("when", ["waiting", "running", "done"])
def test_a_shadows_job_counts_once_its_version_does_the_study(when: str, site: Site) -> None:
    version = site.versions.shadow(site.version(1).digest, ACTOR)
    inputs = site.volumes(1)
    (shadow,) = site.submit(*inputs).shadows
    if when == "done":
        work(shadow.job_id, site.bench)
        assert site.described() == 0
    if when == "running":
        assert Queue(site.ledger).claim(shadow.job_id, "another", 30.0) is not None
    site.versions.promote(version.digest, ACTOR, {})
    (job,) = site.submit(*inputs).jobs
    assert job.job_id == shadow.job_id
    line = site.lines()[job.job_id]
    assert line.role == "live"
    if when == "running":
        assert line.state is JobState.RUNNING
        Queue(site.ledger).hand_back(job.job_id, 1)
    else:
        assert line.lane == "routine"
    assert work(job.job_id, site.bench) is JobState.DONE
    assert site.delivered() == {job.job_id}
    assert site.described() == 1


def test_a_job_that_counts_never_becomes_a_shadows(site: Site) -> None:
    first, second = site.version(1), site.version(2)
    site.versions.promote(first.digest, ACTOR, {})
    inputs = site.volumes(1)
    (job,) = site.submit(*inputs).jobs
    site.versions.promote(second.digest, ACTOR, {})
    site.versions.shadow(first.digest, ACTOR)
    found = site.submit(*inputs)
    assert [each.job_id for each in found.shadows] == [job.job_id]
    assert site.lines()[job.job_id].role == "live"
    assert work(job.job_id, site.bench) is JobState.DONE
    assert site.delivered() == {job.job_id}


def test_a_version_on_trial_that_cannot_be_opened_keeps_no_study_waiting(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    canary, shadow = site.version(1), site.version(2)
    site.versions.canary(canary.digest, 0.999, ACTOR)
    site.versions.shadow(shadow.digest, ACTOR)
    for version in (canary, shadow):
        (site.registry.place(version.digest) / "LICENSE").write_text("another")
    found = site.submit(*site.volumes(1))
    assert site.digest(found.jobs[0].job_id) == site.analyses[0].bundle.digest
    assert found.shadows == ()
    assert "the canary version cannot be opened" in caplog.text
    assert "the shadow version cannot be opened" in caplog.text


def test_a_study_is_done_by_no_other_model_than_the_one_that_is_live(site: Site) -> None:
    version = site.version(1)
    site.versions.promote(version.digest, ACTOR, {})
    site.registry.place(version.digest).rename(site.folder / "away")
    with pytest.raises(BundleRejected, match="no bundle of tally with the digest"):
        site.submit(*site.volumes(1))
    assert site.lines() == {}


def test_a_run_without_the_service_is_done_by_what_is_live(site: Site) -> None:
    version = site.version(1)
    site.versions.promote(version.digest, ACTOR, {})
    site.versions.shadow(site.version(2).digest, ACTOR)
    request = RunRequest(
        inputs=tuple(site.volumes(1)),
        output=site.folder / "run",
        analyses=site.analyses,
        service=site.service,
    )
    (entry,) = run(request, site.ledger, Heard()).jobs
    assert (entry.failure, entry.bundle.version) == (None, "1.1.0")
    assert len(site.lines()) == 1


def test_a_version_is_admitted_once_and_no_other_under_its_name(site: Site) -> None:
    first = site.version(1)
    again = admit(site.folder / "1.1.0", site.registry, site.ledger, ACTOR)
    assert again == replace(first)
    other = version_of(site.installed, site.folder / "other", "1.1.0")
    (other.folder / "LICENSE").write_text("MIT\n")
    changed = version_of(other.folder, site.folder / "changed", "1.1.0")
    with pytest.raises(UnusableCall, match="another bundle needs another version"):
        admit(changed.folder, site.registry, site.ledger, ACTOR)
    assert not site.registry.has(changed.digest)
    odd = version_of(site.installed, site.folder / "odd", "1.1")
    with pytest.raises(UnusableCall, match=r"version '1.1' is none of the form"):
        admit(odd.folder, site.registry, site.ledger, ACTOR)
    assert [v.role for v in site.versions.listed()] == [Role.ENABLED]
