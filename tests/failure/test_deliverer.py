"""A deliverer that is killed, or stopped, at any moment: nothing is lost, nothing doubled."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import evt

from pipeline.ledger.ledger import Ledger
from tests.support.deliveries import Archive, Site, hang
from tests.support.service import ROOT, wait_until

KILLS = int(os.environ.get("VESALIUS_TEST_DELIVERY_KILLS", "8"))
"""How often the deliverer is killed; the figure in the documentation is of more."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        yield Site(folder=tmp_path, ledger=ledger)


def started(site: Site, port: int) -> subprocess.Popen[bytes]:
    """Start a deliverer as a process."""
    config = site.folder / "site.toml"
    config.write_text(
        f'[ledger]\nurl = "{site.folder / "ledger.db"}"\n'
        f'[nodes.pacs]\nae_title = "ARCHIVE"\nhost = "127.0.0.1"\nport = {port}\n'
        '[destinations.pacs]\nby = "c-store"\nnode = "pacs"\nretry_s = 0.2\n'
        'longest_retry_s = 1.0\n[gate]\ndciodvfy = "never"\n'
    )
    with (site.folder / "deliver.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "workers.cli", "deliver", "--config", str(config)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )


def told(site: Site) -> str:
    return site.told() + (site.folder / "deliver.log").read_text()[-3000:]


def take_time(_number: int, _event: evt.Event) -> int:
    hang(0.05)
    return 0x0000


def test_a_deliverer_that_is_killed_loses_and_doubles_nothing(site: Site) -> None:
    rng = random.Random(5)
    with Archive() as archive:
        archive.behave = take_time
        made = {}
        for number in range(4 * KILLS):
            job_id, artifacts = site.job(f"job {number}", ["pacs"], objects=3)
            made[job_id] = artifacts
        began = time.monotonic()
        for _ in range(KILLS):
            before = archive.asked
            process = started(site, archive.port)
            wait_until(lambda b=before: archive.asked > b, 60, lambda: told(site))
            hang(rng.uniform(0.0, 0.4))
            process.kill()
            process.wait(10)
        process = started(site, archive.port)
        try:
            wait_until(lambda: set(site.states()) == {"done"}, 120, lambda: told(site))
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
        for job_id, artifacts in made.items():
            record = site.ledger.find(job_id)
            assert record is not None
            assert record.folder is not None
            assert archive.holds(record.folder, artifacts)
        assert len(archive.stored) == 3 * len(made)
        again = sum(archive.received.values()) - len(archive.stored)
        assert again <= KILLS
    print(
        f"killed {KILLS} times: {len(archive.stored)} objects there once with their bytes, "
        f"{again} sent again under the same UID, {time.monotonic() - began:.0f} s"
    )


def test_a_deliverer_that_is_told_to_end_finishes_the_object_in_flight(site: Site) -> None:
    def slow(_number: int, _event: evt.Event) -> int:
        hang(1.0)
        return 0x0000

    with Archive() as archive:
        archive.behave = slow
        site.job("one", ["pacs"], objects=5)
        process = started(site, archive.port)
        try:
            wait_until(lambda: archive.asked == 1, 60, lambda: told(site))
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
        assert (archive.asked, len(archive.stored)) == (1, 1)
        assert site.states() == ["waiting"]
        assert "1, confirmed=0" in site.told()
