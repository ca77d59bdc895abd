"""The commands that look after deliveries, as they are called, and what is told of them."""

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.connections import Destination
from pipeline.ledger.breaker import Destinations
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.ledger import Ledger
from tests.support.deliveries import finish
from tests.support.jobs import artifact, job_request
from tests.workers.test_commands import Desk
from workers.metrics import QueueCollector

PACS = Destination(by="folder", folder=Path("/x"), breaks_after=1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "site.toml").write_text(
        '[destinations.pacs]\nby = "folder"\nfolder = "share"\n'
        '[destinations.other]\nby = "folder"\nfolder = "share"\n'
    )
    return Desk(tmp_path)


def ledger_of(desk: Desk) -> Ledger:
    return Ledger.open(str(desk.folder / "ledger.db"))


def test_a_delivery_is_looked_after_by_its_number(desk: Desk) -> None:
    config = ("--config", desk.folder / "site.toml")
    with ledger_of(desk) as ledger:
        finish(ledger, "one", (desk.folder, [artifact("a")]), ["pacs"])
    job_id = str(job_request("one").identity.job_id)
    assert f"waiting     pacs              {job_id}" in desk.said("deliveries")
    assert desk.said("deliveries", "hold", "1") == "1  held\n"
    assert desk.said("deliveries", "release", "1") == "1  waiting\n"
    assert desk.said("deliveries", "cancel", "1") == "1  cancelled\n"
    assert desk.said("deliveries", "retry", "1") == "1  waiting\n"
    assert desk.said("deliveries", "add", job_id[:8], "other", *config) == f"{job_id}  to other\n"
    desk.said("deliveries", "hold-destination", "pacs", "--reason", "maintenance", *config)
    found = json.loads(desk.said("deliveries", "--json", "--job", job_id[:8]))
    assert [d["destination"] for d in found["deliveries"]] == ["other", "pacs"]
    assert found["destinations"][0]["held"] == "maintenance"
    assert "pacs is held: maintenance" in desk.call("deliveries").stderr
    desk.said("deliveries", "release-destination", "pacs")
    assert json.loads(desk.said("deliveries", "--json", "--state", "done"))["deliveries"] == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("deliveries", "retry", "7"), "no delivery 7"),
        (("deliveries", "--state", "lost"), "no state 'lost'"),
        (("deliveries", "hold-destination", "nowhere"), "no destination 'nowhere'"),
        (("deliver",), "no destinations"),
    ],
)
def test_a_call_that_cannot_be_carried_out_says_why(
    words: tuple[str, ...], reason: str, desk: Desk
) -> None:
    done = desk.call(*words)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_deliveries_are_measured(tmp_path: Path) -> None:
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        for name in ("one", "two"):
            finish(ledger, name, (tmp_path, [artifact("a")]), ["pacs"])
        queue = Deliveries(ledger)
        claim = queue.claim("pacs", "me", 60.0)
        assert claim is not None
        queue.blocked(claim, ("ObjectBlocked", "a is altered"))
        claim = queue.claim("pacs", "me", 60.0)
        assert claim is not None
        queue.repeat(claim, ("PeerUnavailable", "down"), PACS, ours=False)
        Destinations(ledger).hold("other", "maintenance")
        registry = CollectorRegistry()
        registry.register(QueueCollector(ledger))
        said = generate_latest(registry).decode()
    for line in (
        'vesalius_deliveries{destination="pacs",state="waiting"} 1.0',
        'vesalius_deliveries_blocked{destination="pacs"} 1.0',
        'vesalius_destination_broken{destination="pacs"} 1.0',
        'vesalius_destination_held{destination="other"} 1.0',
    ):
        assert line in said
    assert "vesalius_oldest_delivery_seconds" in said
