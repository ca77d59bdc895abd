"""Rest and stress of a study find each other."""

from pathlib import Path
from uuid import UUID

from sqlalchemy import update

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.pairs import Pair, pair_of
from pipeline.ledger.tables import Job
from tests.support.jobs import job_request


def done(
    ledger: Ledger,
    name: str,
    state: str | None,
    segments: tuple[int, ...] = (7,),
    *,
    study: str | None = "2.25.1",
) -> UUID:
    request = job_request(name, study=study)
    job = request.identity.job_id
    outcome = {"heart_state": state, "aha_segments": [{"segment": n} for n in segments]}
    ledger.complete(job, ledger.begin(request), folder=Path("/r"), artifacts=(), outcome=outcome)
    return job


def test_rest_and_stress_of_a_study_are_a_pair(ledger: Ledger) -> None:
    rest, stress = done(ledger, "rest", "rest"), done(ledger, "stress", "stress")
    done(ledger, "other study", "rest", study="2.25.9")
    assert pair_of(ledger, rest) == Pair(job_id=stress, state="stress")
    assert pair_of(ledger, stress) == Pair(job_id=rest, state="rest")


def test_the_pair_of_a_slice_is_the_one_of_its_height(ledger: Ledger) -> None:
    rest = done(ledger, "rest mid", "rest", (7, 8, 9))
    mid = done(ledger, "stress mid", "stress", (7, 8))
    done(ledger, "stress basal", "stress", (1, 2, 3, 4))
    assert pair_of(ledger, rest) == Pair(job_id=mid, state="stress")


def test_a_state_that_is_not_told_has_no_pair(ledger: Ledger) -> None:
    unknown, rest = done(ledger, "unknown", None), done(ledger, "rest", "rest")
    begun = job_request("begun")
    ledger.begin(begun)
    assert pair_of(ledger, unknown) is None
    assert pair_of(ledger, rest) is None
    without_study = done(ledger, "nifti rest", "rest", study=None)
    done(ledger, "nifti stress", "stress", study=None)
    assert pair_of(ledger, without_study) is None


def test_a_result_that_another_took_the_place_of_is_no_pair(ledger: Ledger) -> None:
    rest, early = done(ledger, "rest", "rest"), done(ledger, "early", "stress")
    late = done(ledger, "late", "stress")
    with ledger.transaction() as session:
        session.execute(update(Job).where(Job.id == late).values(predecessor_id=early))
    assert pair_of(ledger, rest) == Pair(job_id=late, state="stress")
