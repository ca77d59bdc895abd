"""The commands on the audit log, as they are called."""

import json
from pathlib import Path

import pytest

from pipeline.ledger.audit import Audited, record
from pipeline.ledger.ledger import Ledger
from pipeline.owner import this_person
from tests.workers.test_commands import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def done(desk: Desk, subject: str, *, succeeded: bool = True) -> None:
    with Ledger.open(str(desk.folder / "ledger.db")) as ledger:
        record(
            ledger,
            Audited(
                action="result viewed",
                actor=this_person(),
                subject=subject,
                detail={"digits": 3},
                succeeded=succeeded,
            ),
        )


def test_the_log_is_told_and_proven(desk: Desk) -> None:
    assert desk.said("audit", "list") == ""
    done(desk, "job 1")
    done(desk, "job 2", succeeded=False)
    first, second = desk.said("audit", "list").splitlines()
    assert f"{this_person()}  result viewed  job 1  digits=3" in first
    assert "result viewed (refused)  job 2" in second
    assert desk.said("audit", "list", "--subject", "job 1").splitlines() == [first]
    assert desk.said("audit", "list", "--limit", "1").splitlines() == [second]
    assert desk.said("audit", "list", "--since", "2999-01-01") == ""
    told = [json.loads(line) for line in desk.said("audit", "list", "--json").splitlines()]
    assert [event["outcome"] for event in told] == ["done", "refused"]
    said = desk.said("audit", "verify")
    assert said == f"2 events, head {told[1]['digest']}\nthe log is whole\n"
    assert desk.call("audit", "verify", "--kept", told[0]["digest"]).returncode == 0


def test_a_log_that_is_not_whole_ends_with_1(desk: Desk) -> None:
    done(desk, "job 1")
    found = desk.call("audit", "verify", "--kept", "0" * 63 + "1")
    assert found.returncode == 1
    assert "not whole: the event whose digest was kept is not in the log" in found.stdout


def test_a_date_that_is_none_is_refused(desk: Desk) -> None:
    found = desk.call("audit", "list", "--since", "yesterday")
    assert found.returncode == 2
    assert "--since is 'yesterday', needed is a date or time of ISO 8601" in found.stderr
