"""The worklist: what is in it, in which order, and what is found."""

import json
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pydicom
import pytest

from pipeline.config import Configuration
from pipeline.identity import digest_bytes
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviews import Reading, keep_reading
from pipeline.ledger.reviewstates import ReviewState, Verdict
from pipeline.ledger.tables import Job
from pipeline.review.index import FILE, Index
from pipeline.review.worklist import Wanted, Worklist
from pipeline.reviewsettings import ReviewSettings
from tests.support.jobs import job_request
from tests.support.readings import run_perfusion
from tests.support.reviewserver import Served, serving

SCRIPT = "<script>alert(1)</script>"
WAITS_S = 20.0


def add_job(
    ledger: Ledger,
    name: str,
    outcome: dict[str, object],
    *,
    analysis: str = "perfusion",
    version: str = "0.0.1",
    predecessor: UUID | None = None,
) -> UUID:
    """Add a job that is done."""
    request = job_request(name)
    identity = replace(request.identity, analysis=analysis, predecessor=predecessor)
    request = replace(request, identity=identity, bundle_version=version)
    attempt = ledger.begin(request)
    with ledger.transaction() as session:
        session.get_one(Job, identity.job_id).predecessor_id = predecessor
    assert ledger.complete(
        identity.job_id, attempt, folder=Path("/nowhere"), artifacts=[], outcome=outcome
    )
    return identity.job_id


def u_pp(*values: float) -> dict[str, object]:
    """Return the outcome of perfusion with an uncertainty on each slice."""
    slices = [{"slice_index": n, "u_pp": value} for n, value in enumerate(values)]
    return {"uncertainty": slices}


@contextmanager
def worklist(folder: Path) -> Iterator[tuple[Ledger, Worklist]]:
    """Open a worklist whose clock makes every look a new one."""
    seconds = iter(range(1_000_000))
    with Ledger.open(str(folder / "ledger.db")) as ledger:
        found = Worklist(ledger, Index.open(folder), clock=lambda: float(next(seconds)))
        yield ledger, found
        found.close()


def test_the_least_certain_is_first_by_its_worst_slice(tmp_path: Path) -> None:
    with worklist(tmp_path) as (ledger, found):
        sure = add_job(ledger, "sure", u_pp(0.001, 0.002))
        doubtful = add_job(ledger, "doubtful", u_pp(0.001, 0.009))
        middling = add_job(ledger, "middling", u_pp(0.004))
        silent = add_job(ledger, "silent", {})
        _, rows = found.find(Wanted(), "uncertainty")
    assert [row.job_id for row in rows] == [str(j) for j in (doubtful, middling, sure, silent)]
    told = [row.uncertainty for row in rows[:3]]
    assert [t.rank for t in told if t] == [1.0, pytest.approx(2 / 3), pytest.approx(1 / 3)]
    assert [t.flagged for t in told if t] == [True, False, False]
    assert rows[3].uncertainty is None


def test_results_of_another_analysis_are_ranked_among_themselves(tmp_path: Path) -> None:
    with worklist(tmp_path) as (ledger, found):
        add_job(ledger, "one", u_pp(0.001))
        segment = {"uncertainty": [{"uncertainty": 0.2}, {"uncertainty": 0.4}]}
        add_job(ledger, "two", segment, analysis="phases")
        _, rows = found.find(Wanted(), "uncertainty")
    assert {row.uncertainty.rank for row in rows if row.uncertainty} == {1.0}


def test_a_job_that_a_later_one_has_taken_the_place_of_is_not_listed(tmp_path: Path) -> None:
    with worklist(tmp_path) as (ledger, found):
        first = add_job(ledger, "first", u_pp(0.001))
        assert [row.job_id for row in found.find(Wanted(), "date")[1]] == [str(first)]
        second = add_job(ledger, "second", u_pp(0.001), predecessor=first)
        assert [row.job_id for row in found.find(Wanted(), "date")[1]] == [str(second)]
        row = found.row(first)
        assert row is not None
        assert row.job_id == str(first)


def test_a_verified_result_is_not_read_again_and_the_one_it_is_of_says_so(tmp_path: Path) -> None:
    with worklist(tmp_path) as (ledger, found):
        read = add_job(ledger, "read", u_pp(0.001))
        before = found.snapshot().revision
        verified = add_job(ledger, "verified", u_pp(0.001), predecessor=read)
        with ledger.transaction() as session:
            keep_reading(session, read, reading(verified))
        snapshot, rows = found.find(Wanted(), "date")
    assert [(row.job_id, row.review, row.readings) for row in rows] == [(str(read), "accepted", 1)]
    assert snapshot.revision > before


def reading(successor: UUID) -> Reading:
    """Return a reading that accepts."""
    return Reading(
        reviewer="rita",
        display_name="Rita",
        verdict=Verdict.ACCEPTED,
        reason=None,
        words=None,
        correction_id=None,
        state=ReviewState.ACCEPTED,
        successor_job_id=successor,
        result_digest=digest_bytes(b"result"),
        at=datetime.now(UTC),
    )


def test_nothing_changes_the_revision_but_a_change(tmp_path: Path) -> None:
    with worklist(tmp_path) as (ledger, found):
        add_job(ledger, "one", u_pp(0.001))
        first = found.snapshot().revision
        assert found.snapshot().revision == first
        add_job(ledger, "two", u_pp(0.001))
        assert found.snapshot().revision > first


def test_the_index_is_a_cache_that_only_its_owner_reads(tmp_path: Path) -> None:
    with worklist(tmp_path) as (ledger, found):
        add_job(ledger, "one", u_pp(0.001), version="7.7.7")
        assert len(found.find(Wanted(text="7.7.7"), "date")[1]) == 1
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for damage in (b"", b"no database at all" * 100):
        path.write_bytes(damage)
        with worklist(tmp_path) as (_, found):
            assert len(found.find(Wanted(text="7.7.7"), "date")[1]) == 1


@pytest.mark.parametrize("text", ['"', "*", "AND OR NOT", "a:b", "(", "-", "'; DROP TABLE", "\x00"])
def test_what_is_sought_is_text_and_no_query(tmp_path: Path, text: str) -> None:
    with worklist(tmp_path) as (ledger, found):
        add_job(ledger, "one", u_pp(0.001))
        assert found.find(Wanted(text=text), "date")[1] == []


def test_rows_say_whose_results_they_are_as_the_objects_do(served: Served, job: UUID) -> None:
    (row,) = served.person("vera").get("/api/worklist").json()["rows"]
    assert row["job_id"] == str(job)
    assert row["patient"]["name"] == "Phantom, Perfusion"
    assert row["study"]["date"] == "2026-03-02"
    assert row["series_description"] == "First-pass perfusion, short axis"
    assert row["review"] == "open"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("text=phantom", 1),
        ("text=PERF phant", 1),
        ("text=nobody", 0),
        ("analysis=perfusion", 1),
        ("analysis=phases", 0),
        ("review=open", 1),
        ("review=accepted", 0),
        ("version=0.0.1", 1),
        ("destination=pacs", 0),
        ("since=2000-01-01T00:00:00Z", 1),
        ("until=2000-01-01T00:00:00", 0),
        ("scanner=none", 0),
        ("analysis=&text=", 1),
    ],
)
def test_rows_are_narrowed(served: Served, query: str, count: int) -> None:
    page = served.person("vera").get(f"/api/worklist?{query}").json()
    assert (page["total"], len(page["rows"])) == (count, count)


def test_facets_count_what_there_is(served: Served) -> None:
    found = served.person("vera").get("/api/worklist/facets").json()
    assert found["analyses"] == [{"value": "perfusion", "count": 1}]
    assert found["reviews"] == [{"value": "open", "count": 1}]


def test_a_name_that_is_markup_stays_a_text(tmp_path: Path, study: Path, tiny_bundle: Path) -> None:
    for path in study.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PatientName = f"{SCRIPT}^<b>x"
        dataset.save_as(path)
    run_perfusion(tiny_bundle, study, tmp_path)
    configuration = Configuration(review=ReviewSettings(port=0))
    with serving(tmp_path / "ledger.db", configuration) as served:
        vera = served.person("vera")
        answer = vera.get("/api/worklist")
        assert answer.headers["Content-Type"] == "application/json"
        (row,) = answer.json()["rows"]
        assert row["patient"]["name"] == f"{SCRIPT}, <b>x"
        assert vera.get("/api/worklist", params={"text": SCRIPT}).json()["total"] == 1


def test_views_are_saved_for_each_account(served: Served) -> None:
    vera, rita = served.person("vera"), served.person("rita")
    query = {"analysis": "perfusion", "order": "date"}
    assert vera.put("/api/views/mine", json={"query": query}).status_code == 200
    assert vera.get("/api/views").json() == [{"name": "mine", "query": query}]
    assert rita.get("/api/views").json() == []
    assert rita.delete("/api/views/mine").status_code == 404
    assert vera.delete("/api/views/mine").status_code == 204
    assert vera.get("/api/views").json() == []


def test_a_listener_hears_of_a_change(served: Served) -> None:
    with served.person("vera").get("/api/events", stream=True) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        first = next_revision(lines)
        add_job(served.site.ledger, "new", u_pp(0.001))
        assert next_revision(lines) > first


def next_revision(lines: Iterator[str]) -> int:
    """Return the revision of the next event."""
    until = time.monotonic() + WAITS_S
    for line in lines:
        assert time.monotonic() < until
        if line.startswith("data: "):
            return int(json.loads(line.removeprefix("data: "))["revision"])
    raise AssertionError("the stream has ended")
