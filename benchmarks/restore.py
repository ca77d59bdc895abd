"""Time to back an installation up, to do it again, and to put it back after its disk was lost.

    python -m benchmarks.restore [--instances 2000] [--kib 512]

Everything is made in a temporary folder and removed. Backups lie on the same disk: a network or a
slower disk adds to the times.
"""

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from pipeline.connections import ReceiveSettings
from pipeline.ledger.audit import verify
from pipeline.ledger.ledger import Ledger
from pipeline.receive.inbox import Inbox
from pipeline.record.backup import back_up
from pipeline.record.forget import Holdings
from pipeline.record.places import Places
from pipeline.record.restore import restore
from pipeline.record.store import Store
from tests.support.encoded import instance
from tests.support.inboxes import received

STUDY = 100
"""Instances of a study."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=2000)
    parser.add_argument("--kib", type=int, default=512)
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="vesalius-") as name:
        measure(Path(name), asked.instances, asked.kib)


def measure(folder: Path, n_instances: int, kib: int) -> None:
    """Back up, lose, restore, and print the times."""
    site, place = folder / "site", str(folder / "site" / "ledger.db")
    places = Places(
        inbox=site / "inbox", state=site, registry=None, features=None, output=site / "out"
    )
    store = Store(folder=folder / "backups")
    with Ledger.open(place) as ledger:
        inbox = Inbox.open(places.inbox, ledger, ReceiveSettings(free_mib=0))
        for number in range(1, n_instances + 1):
            pixels = number.to_bytes(8, "little") * (kib * 128)
            received(inbox, instance(number, study=number // STUDY, pixels=pixels), number)
        holdings = Holdings(ledger=ledger, place=place, places=places)
        times = {}
        for name in ("first backup", "backup with nothing new"):
            began = perf_counter()
            made = back_up(store, holdings, "benchmark")
            times[name] = perf_counter() - began
    shutil.rmtree(site)
    began = perf_counter()
    done = restore(store, place, places, "benchmark", None)
    times["restore"] = perf_counter() - began
    with Ledger.open(place) as ledger:
        fault = verify(ledger).fault
    if fault is not None or not done.files == made.files == n_instances:
        raise SystemExit(f"not whole: {fault}")
    print(f"{n_instances} instances of {kib} KiB")
    for name, seconds in times.items():
        print(f"{name:26} {seconds:8.2f} s")


if __name__ == "__main__":
    main()
