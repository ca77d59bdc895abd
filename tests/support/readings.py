"""Results to be read, and readers: real jobs in a ledger of a test's own."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.config import Configuration, GateSettings, ModelSettings
from pipeline.connections import Destination, Node
from pipeline.encode.phases import encode_phases
from pipeline.identity import JobIdentity, digest_bytes
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.given import Given
from pipeline.ledger.ledger import JobRequest, Ledger
from pipeline.ledger.pastjobs import PastJob, past_job
from pipeline.ledger.reviews import Reading
from pipeline.ledger.reviewstates import Verdict
from pipeline.manifest import finite_object
from pipeline.phases import _phases_outcome
from pipeline.review.verdicts import Desk, Reader, Said, give_verdict
from pipeline.reviewsettings import ReviewSettings
from pipeline.study import VideoSeries
from tests.support.deliveries import artifacts_in
from tests.support.jobs import job_request
from tests.support.phaseresults import phases_result
from tests.support.results import CONTEXT
from tests.support.runs import Site

ANNA = Reader(name="anna", display_name="Arends^Anna", role="reviewer", address="10.0.0.7")
BERT = Reader(name="bert", display_name="Bauer^Bert")
CARL = Reader(name="carl", display_name="Čapek^Karel")
ACCEPTED, ASKED = Said(verdict=Verdict.ACCEPTED), Said(verdict=Verdict.SECOND_OPINION)
REJECTED = Said(verdict=Verdict.REJECTED, reason="motion", words="slice 1 is blurred")
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Readings:
    """A desk with one result.

    Parameters
    ----------
    ledger
        The ledger.
    job_id
        The job whose result is read.
    bundle
        Bundle of the perfusion analysis.
    """

    def __init__(self, ledger: Ledger, job_id: UUID, bundle: Path | None = None) -> None:
        self.ledger, self.job_id = ledger, job_id
        self.minutes = 0
        self.configuration = Configuration(
            review=ReviewSettings(organization="St. Elsewhere"),
            models=ModelSettings(path=bundle),
            gate=GateSettings(dciodvfy="required"),
        )

    @property
    def desk(self) -> Desk:
        return Desk(ledger=self.ledger, configuration=self.configuration, clock=self.clock)

    @property
    def past(self) -> PastJob:
        return past_job(self.ledger, self.job_id)

    def clock(self) -> datetime:
        self.minutes += 1
        return BEGAN + timedelta(minutes=self.minutes)

    def read_twice(self) -> None:
        review = replace(self.configuration.review, readings=2)
        self.configuration = replace(self.configuration, review=review)

    def connect(
        self, destinations: Mapping[str, Destination], nodes: Mapping[str, Node] | None = None
    ) -> None:
        self.configuration = replace(
            self.configuration, destinations=destinations, nodes=nodes or {}
        )

    def say(self, said: Said, reader: Reader = ANNA) -> Reading:
        return give_verdict(self.job_id, said, reader, self.desk)

    def accepted(self, said: Said = ACCEPTED) -> PastJob:
        """Accept, and return the successor."""
        successor = self.say(said).successor_job_id
        assert successor is not None
        return past_job(self.ledger, successor)

    def folder(self) -> Path:
        folder = self.past.record.folder
        assert folder is not None
        return folder


def run_perfusion(bundle: Path, study: Path, folder: Path) -> UUID:
    """Run the small bundle on a study, into a folder; return the job."""
    site = Site(bundle=bundle, ledger=folder / "ledger.db")
    (entry,) = site.run(study, output=folder / "out").jobs
    assert entry.failure is None
    return entry.identity.job_id


def copied(template: tuple[Path, UUID], folder: Path, bundle: Path) -> Readings:
    """Return a desk with a copy of a run's results and ledger."""
    source, job_id = template
    shutil.copytree(source, folder)
    ledger = Ledger.open(str(folder / "ledger.db"))
    old = past_job(ledger, job_id).record.folder
    assert old is not None
    ledger.moved(job_id, folder / "out" / old.name)
    return Readings(ledger, job_id, bundle)


def phases_job(ledger: Ledger, video: Path, output: Path) -> Readings:
    """Record a made-up result of phases on a video as a job that is done."""
    (candidate,) = take_inventory([video]).candidates
    series = candidate.load()
    assert isinstance(series, VideoSeries)
    settings = {"phases": PhasesSettings().as_dict()}
    request = JobRequest(
        identity=JobIdentity(
            input_digest=candidate.input_digest,
            analysis="phases",
            bundle_digest=CONTEXT.bundle_digest,
            configuration_digest=digest_bytes(b"phases"),
        ),
        study_instance_uid=candidate.study_instance_uid,
        series_instance_uids=candidate.series_instance_uids,
        bundle_name=CONTEXT.bundle_name,
        bundle_version=CONTEXT.bundle_version,
        software_version=CONTEXT.software_version,
    )
    job_id = request.identity.job_id
    context = replace(CONTEXT, job_id=job_id)
    folder = output / "phases"
    folder.mkdir(parents=True)
    threshold = PhasesSettings().review_uncertainty
    artifacts = encode_phases(phases_result(), series, context, threshold, folder)
    root = candidate.files[0].parent
    given = Given(
        input_root=root,
        inputs=tuple(path.relative_to(root).as_posix() for path in candidate.files),
        configuration=settings,
    )
    attempt = ledger.begin(request, given)
    outcome = finite_object(_phases_outcome(series, phases_result()))
    assert ledger.complete(job_id, attempt, folder=folder, artifacts=artifacts, outcome=outcome)
    return Readings(ledger, job_id)


def plain(reading: Reading) -> dict[str, object]:
    """Return a reading without its time."""
    return {name: value for name, value in asdict(reading).items() if name != "at"}


def made_job(ledger: Ledger, folder: Path, analysis: str) -> Readings:
    """Record a folder of made-up results as a job that is done, without its source."""
    request = job_request(analysis)
    identity = replace(request.identity, analysis=analysis)
    attempt = ledger.begin(replace(request, identity=identity))
    artifacts = [
        replace(each, kind="key_objects" if each.kind == "key_objects" else "image")
        for each in artifacts_in(folder)
    ]
    assert ledger.complete(identity.job_id, attempt, folder=folder, artifacts=artifacts, outcome={})
    return Readings(ledger, identity.job_id)
