"""A batch of an archive: what is asked of it is bounded, and what was fetched is removed."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from pydicom import dcmread

from pipeline.demo import write_study
from pipeline.imaging.volume import TimeSeries
from pipeline.phantom import PhantomSettings, perfusion_phantom
from tests.batch.test_run import rows_of
from tests.support.batches import Desk
from tests.support.orthanc import Orthanc, needs_orthanc
from tests.support.service import free_port, wait_until

pytestmark = pytest.mark.service

STUDIES = 6


def small(seed: int) -> TimeSeries:
    """Return a small series."""
    settings = PhantomSettings(n_slices=1, n_beats=40, rows=64, columns=64)
    return perfusion_phantom(seed, settings).image


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Return an archive with studies that have accession numbers."""
    folder = tmp_path_factory.mktemp("archive")
    with Orthanc(folder / "orthanc", aet="PEER") as orthanc:
        for number in range(STUDIES):
            paths = write_study(small(number), folder / str(number), name=f"study {number}")
            for path in paths:
                instance = dcmread(path)
                instance.AccessionNumber = f"ACC{number}"
                instance.save_as(path)
            orthanc.upload(*paths)
        yield orthanc


def settings_of(port: int, **changes: float | str) -> str:
    """Return the settings of a site with the archive, reached by a port over DIMSE."""
    values = {"archive_per_minute": 600, **changes}
    lines = [f'{k} = "{v}"' if isinstance(v, str) else f"{k} = {v}" for k, v in values.items()]
    return (
        "[perfusion]\nuncertainty_stride = 8\n"
        + "\n".join(("[batch]", *lines))
        + '\n[nodes.pacs]\nae_title = "PEER"\nhost = "127.0.0.1"\n'
        + f"port = {port}\ntimeout_s = 10.0\n"
    )


@needs_orthanc
def test_what_is_asked_of_an_archive_keeps_its_pace(
    make_desk: Callable[..., Desk], archive: Orthanc, tiny_bundle: Path, tmp_path: Path
) -> None:
    numbers = tmp_path / "list.csv"
    numbers.write_text("accession_number\nACC1\nACC3\nACC4\nnone of these\n")
    with watched(archive.port) as door:
        desk = make_desk(
            settings_of(door.port, archive_per_minute=40, identifiers="accession"),
            tiny_bundle,
        )
        plan = json.loads(
            desk.call("plan", "list", "--from", "pacs", "--accessions", numbers, "--json")
        )
        assert plan["studies"] == {"waiting": 3}
        assert plan["studies_to_fetch"] == 3
        assert plan["jobs"] == {}
        queries = door.take()
        desk.call("run", "list", "--threads", "1")
        fetches = door.take()
    assert len(queries) == 4
    assert len(fetches) % 3 == 0
    # The first of the associations of each study.
    begun = fetches[:: len(fetches) // 3]
    for asked in (queries, begun):
        # Connections are seen a moment after they are made.
        assert all(b - a > 60 / 40 - 0.3 for a, b in pairwise(asked)), asked
    assert door.most == 1
    results = rows_of(desk.tables("list") / "results.parquet")
    assert sorted(str(row["accession_number"]) for row in results) == ["ACC1", "ACC3", "ACC4"]
    assert list(fetched(desk, "list")) == []
    # The list of numbers is not kept in the ledger.
    assert b"ACC1" not in (desk.folder / "ledger.db").read_bytes()


@needs_orthanc
def test_a_batch_of_an_archive_that_is_killed_goes_on_and_keeps_little_on_disk(
    make_desk: Callable[..., Desk], archive: Orthanc, tiny_bundle: Path
) -> None:
    limits = {"archive_per_minute": 6000, "prefetch": 1, "archive_associations": 2}
    with watched(archive.port) as door:
        desk = make_desk(settings_of(door.port, **limits), tiny_bundle)
        words = ("--from", "pacs", "--date", "20260101-20261231", "--modality", "MR")
        first = desk.start("run", "all", *words, "--threads", "1", "--processes", "1")
        most = 0

        def some_are_done() -> bool:
            nonlocal most
            most = max(most, len(list(fetched(desk, "all"))))
            return desk.jobs_done() >= 2

        wait_until(some_are_done, 120)
        desk.kill(first)
        desk.call("resume", "all", "--threads", "1", "--processes", "1")
        assert door.most <= 2
    assert 1 <= most <= 2
    assert desk.studies("all") == {"done": STUDIES}
    assert desk.done_twice() == []
    assert list(fetched(desk, "all")) == []
    results = rows_of(desk.tables("all") / "results.parquet")
    assert len({row["study"] for row in results}) == STUDIES
    assert {row["accession_number"] for row in results} == {None}
    # Their results exist now: they are looked up, and not fetched.
    desk.settings = settings_of(archive.port, **limits)
    desk.call("run", "again", *words)
    assert desk.studies("again") == {"skipped": STUDIES}


@needs_orthanc
def test_an_archive_that_is_away_ends_the_run_before_it_fails_everything(
    make_desk: Callable[..., Desk], archive: Orthanc, tiny_bundle: Path
) -> None:
    desk = make_desk(settings_of(archive.port, archive_per_minute=6000), tiny_bundle)
    desk.call("plan", "all", "--from", "pacs", "--date", "20260101-20261231")
    desk.settings = settings_of(free_port(), archive_per_minute=6000)
    out = desk.call("resume", "all", "--json", status=1)
    assert json.loads(out)["outcome"] == "the archive fails"
    found = desk.studies("all")
    assert found["failed"] >= 3
    assert found["waiting"] >= 1
    failures = rows_of(desk.tables("all") / "failures.parquet")
    assert all(str(row["reason"]).startswith("not fetched: ") for row in failures)
    desk.settings = settings_of(archive.port, archive_per_minute=6000)
    desk.call("resume", "all", "--failed", "--threads", "1")
    assert desk.studies("all") == {"done": STUDIES}


def test_an_archive_is_not_asked_for_everything(
    make_desk: Callable[..., Desk], tiny_bundle: Path
) -> None:
    desk = make_desk('[nodes.pacs]\nae_title = "PEER"\nhost = "127.0.0.1"\n', tiny_bundle)
    out = desk.call("plan", "all", "--from", "pacs", "--modality", "MR", status=2)
    assert "too much is asked for" in out
    words = ("--from", "pacs", "--date", "20260101")
    assert "wado or get" in desk.call("run", "all", *words, "--by", "move", status=2)


def fetched(desk: Desk, name: str) -> Iterator[Path]:
    """Yield the folders of the studies that lie on disk since they were fetched."""
    folder = desk.tables(name) / "fetched"
    if folder.is_dir():
        yield from folder.iterdir()


class Door:
    """A door before an archive: it notes when somebody comes, and how many are in at a time."""

    def __init__(self, server: socket.socket, behind: int) -> None:
        self.port = int(server.getsockname()[1])
        self.most, self._inside, self._came = 0, 0, []
        self._server, self._behind, self._lock = server, behind, threading.Lock()

    def take(self) -> list[float]:
        """Return when somebody came since this was last asked [s]."""
        with self._lock:
            came, self._came = self._came, []
            return came

    def serve(self) -> None:
        """Let everybody in until the door is closed."""
        while True:
            try:
                guest, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._lead, args=(guest,), daemon=True).start()

    def _lead(self, guest: socket.socket) -> None:
        """Lead somebody to the archive and back."""
        with self._lock:
            self._came.append(time.monotonic())
            self._inside += 1
            self.most = max(self.most, self._inside)
        with guest, socket.create_connection(("127.0.0.1", self._behind)) as archive:
            back = threading.Thread(target=carry, args=(archive, guest), daemon=True)
            back.start()
            carry(guest, archive)
            # The guest has ended what it had to say: it is on its way out.
            with self._lock:
                self._inside -= 1
            back.join(30)


def carry(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes from one end to the other until it ends."""
    try:
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@contextmanager
def watched(behind: int) -> Iterator[Door]:
    """Put a door before an archive."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        door = Door(server, behind)
        thread = threading.Thread(target=door.serve, daemon=True)
        thread.start()
        try:
            yield door
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
