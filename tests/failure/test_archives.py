"""Archives that refuse, hang, abort, crawl, vanish and lie: nothing is lost, nothing doubled."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from pynetdicom import evt

from pipeline.ledger.breaker import Destinations
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.deliverycare import DeliveryCare, WantedDeliveries, deliveries
from pipeline.ledger.ledger import Ledger
from pipeline.study import Artifact
from tests.support.deliveries import Archive, Behaviour, Running, Site, hang
from tests.support.jobs import job_request
from tests.support.service import free_port, wait_until

Made = dict[UUID, list[Artifact]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        yield Site(folder=tmp_path, ledger=ledger)


def jobs(site: Site, count: int, *destinations: str) -> Made:
    """Finish jobs whose results go to destinations."""
    return dict(site.job(f"job {number}", destinations) for number in range(count))


def check_all_there(site: Site, archive: Archive, made: Made) -> None:
    """Check that the archive holds every object once, with its bytes, and no other."""
    for job_id, artifacts in made.items():
        record = site.ledger.find(job_id)
        assert record is not None
        assert record.folder is not None
        assert archive.holds(record.folder, artifacts)
    assert len(archive.stored) == sum(map(len, made.values()))


def abort(number: int, event: evt.Event) -> None:
    """End the association in the middle."""
    if number % 3 == 1:
        event.assoc.abort()
        hang(0.2)


def aborting(number: int, event: evt.Event) -> int:
    abort(number, event)
    return 0x0000 if number % 3 != 1 else 0xA700


def slow(number: int, event: evt.Event) -> int:
    hang(0.3)
    return 0x0000


def hanging(number: int, event: evt.Event) -> int:
    if number < 2:
        hang(2.5)
        return 0xA700
    return 0x0000


PASSING: dict[str, Behaviour] = {
    "out of resources": lambda number, _: 0xA700 if number % 2 == 0 else 0x0000,
    "processing failure": lambda number, _: 0x0110 if number < 3 else 0x0000,
    "aborts": aborting,
    "slow": slow,
    "hangs": hanging,
    "forgets": lambda number, _: None if number < 3 else 0x0000,
    "warns": lambda number, _: (0xB000, 0xB006, 0xB007)[number % 3],
    "says that it has it": lambda number, _: 0x0111 if number % 2 else 0x0000,
    "knows no status": lambda number, _: 0x1234 if number == 0 else 0x0000,
}
"""What archives do that takes objects in the end."""


@pytest.mark.parametrize("behaviour", PASSING)
def test_an_archive_that_fails_for_a_time_gets_everything_once(behaviour: str, site: Site) -> None:
    with Archive() as archive:
        archive.behave = PASSING[behaviour]
        site.archive("pacs", archive.port, confirm_s=0.5, timeout_s=1.5)
        made = jobs(site, 3, "pacs")
        began = time.monotonic()
        with Running(site):
            wait_until(lambda: site.states() == ["done"] * 3, 60, site.told)
        check_all_there(site, archive, made)
        resent = sum(archive.received.values()) - len(archive.stored)
        print(
            f"{behaviour}: {len(archive.stored)} objects in {time.monotonic() - began:.1f} s, "
            f"asked {archive.asked} times, {resent} stored again under the same UID"
        )


def test_a_connection_that_is_cut_within_an_object_is_made_again(site: Site) -> None:
    with Archive() as archive:
        archive.cuts = 3
        site.archive("pacs", archive.port, timeout_s=1.5)
        made = jobs(site, 3, "pacs")
        with Running(site):
            wait_until(lambda: site.states() == ["done"] * 3, 60, site.told)
        assert archive.cuts == 0
        check_all_there(site, archive, made)


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122, 0x0124])
def test_what_is_refused_for_good_is_refused_once_and_the_rest_is_stored(
    status: int, site: Site
) -> None:
    with Archive() as archive:
        archive.behave = lambda number, _: status if number == 0 else 0x0000
        site.archive("pacs", archive.port)
        jobs(site, 2, "pacs")
        with Running(site):
            wait_until(lambda: site.states() == ["refused", "done"], 30, site.told)
        assert archive.asked == 4
        assert len(archive.stored) == 3
        refused = [d for d in deliveries(site.ledger, WantedDeliveries()) if d.error]
        assert f"{status:04X}" in str(refused[0].reason)
        DeliveryCare(site.ledger).retry(refused[0].id)
        with Running(site):
            wait_until(lambda: site.states() == ["done", "done"], 30, site.told)
        # What was stored before is not sent again.
        assert archive.asked == 5


def test_an_archive_that_is_down_gets_everything_in_order_when_it_returns(site: Site) -> None:
    port = free_port()
    site.archive("pacs", port, confirm="query", connections=1)
    wanted: list[str] = []
    made: Made = {}
    for lane, priority in (("batch", 0), ("routine", 0), ("routine", 5), ("stat", 0), ("batch", 9)):
        job_id, artifacts = site.job(f"{lane} {priority}", ["pacs"], lane=lane, priority=priority)
        made[job_id] = artifacts
    order = ["stat 0", "routine 5", "routine 0", "batch 9", "batch 0"]
    for name in order:
        wanted += [str(a.sop_instance_uid) for a in made[job_request(name).identity.job_id]]
    with Running(site):
        wait_until(lambda: any(d.closed_s is not None for d in Destinations(site.ledger).all()), 20)
        hang(2.0)
        tried = sum(d.attempts for d in deliveries(site.ledger, WantedDeliveries()))
        with Archive(port) as archive:
            began = time.monotonic()
            wait_until(lambda: site.states() == ["done"] * 5, 30, site.told)
            assert archive.order == wanted
            check_all_there(site, archive, made)
    print(
        f"down and back: {len(wanted)} objects in order, once each, {time.monotonic() - began:.1f} "
        f"s after the return; {tried} attempts while it was down"
    )


def test_one_that_hangs_keeps_no_other_waiting(site: Site) -> None:
    with Archive() as hangs, Archive() as works:
        hangs.behave = hanging
        site.archive("hangs", hangs.port, timeout_s=3.0)
        site.archive("works", works.port)
        jobs(site, 3, "hangs", "works")
        with Running(site):
            began = time.monotonic()
            wait_until(lambda: len(works.stored) == 6, 3, site.told)
            print(f"beside one that hangs: 6 objects in {time.monotonic() - began:.1f} s")
            wait_until(lambda: site.states() == ["done"] * 6, 60, site.told)


def test_an_object_that_is_not_fit_is_kept_and_nothing_of_its_result_leaves(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with Archive() as archive:
        site.archive("pacs", archive.port)
        job_id, _ = site.job("altered", ["pacs"])
        record = site.ledger.find(job_id)
        assert record is not None
        assert record.folder is not None
        path = record.folder / "object_1.dcm"
        path.write_bytes(path.read_bytes()[:-10])
        with Running(site):
            wait_until(lambda: site.states() == ["blocked"], 20, site.told)
        assert archive.asked == 0
        assert "page" in [getattr(r, "action", None) for r in caplog.records]


def test_a_held_destination_gets_nothing_until_it_is_released(site: Site) -> None:
    with Archive() as archive:
        site.archive("pacs", archive.port)
        jobs(site, 1, "pacs")
        Destinations(site.ledger).hold("pacs", "maintenance")
        with Running(site):
            hang(1.2)
            assert site.states() == ["waiting"]
            Destinations(site.ledger).release("pacs")
            wait_until(lambda: site.states() == ["done"], 20, site.told)


def test_commitment_that_fails_has_the_object_sent_again(site: Site) -> None:
    with Archive() as archive:
        ledger = Deliveries(site.ledger)
        archive.behave = lambda number, _: None if number == 0 else 0x0000
        archive.report = ledger.committed
        site.archive("pacs", archive.port, confirm="commitment", confirm_s=20.0)
        made = jobs(site, 1, "pacs")
        with Running(site):
            wait_until(lambda: site.states() == ["done"], 30, site.told)
        check_all_there(site, archive, made)
        assert archive.asked == 3
        assert not ledger.committed("2.25.1", [], {})
