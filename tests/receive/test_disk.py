"""Disks that are full or fail, ledgers that are away, and what processes leave that are killed."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.connections import ReceiveSettings
from pipeline.errors import LedgerUnavailable
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reception import Standing
from pipeline.receive.inbox import Inbox, NoSpace
from pipeline.receive.keeper import OUT_OF_RESOURCES, STORED, Storing
from tests.support.archives import data_set
from tests.support.encoded import instance
from tests.support.inboxes import begun, check_whole, files, instances, offer, received
from tests.support.service import ROOT

LARGE = bytes(3 << 20)

FULL = """
import resource, signal, sys
from pathlib import Path
from pipeline.connections import ReceiveSettings
from pipeline.ledger.ledger import Ledger
from pipeline.receive.inbox import Inbox
from pipeline.receive.keeper import Storing
from tests.support.encoded import instance
from tests.support.inboxes import files, instances, offer

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
# A file cannot grow beyond: EFBIG, as a disk that is full has ENOSPC.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Ledger.open(str(folder / "ledger.db")) as ledger:
    inbox = Inbox.open(folder / "inbox", ledger, ReceiveSettings(free_mib=0))
    data = instance(pixels=bytes(1 << 20))
    for soft, expected in ((limit, 0xA700), (resource.RLIM_INFINITY, 0)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))
        storing = Storing(inbox, offer())
        for start in range(0, len(data), 1 << 16):
            storing.write(data[start : start + (1 << 16)])
        answer = storing.answer()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert answer.status == expected, answer
        assert len(files(folder / "inbox")) == (expected == 0), files(folder / "inbox")
        assert len(instances(ledger)) == (expected == 0)
"""


@pytest.mark.parametrize("limit", [500_000, 300, 100])
def test_a_file_that_cannot_be_written_is_refused_and_leaves_nothing(
    tmp_path: Path, limit: int
) -> None:
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("files may not grow as they like")
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path, str(limit)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """Return a folder on a file system of 4 MiB; skip where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted")
    return folder


@pytest.fixture
def unmounted(small_disk: Path):
    """Unmount the disk at the end."""
    yield
    subprocess.run(["umount", "-l", small_disk], check=True)


@pytest.mark.usefixtures("unmounted")
def test_a_disk_that_is_full_refuses_until_there_is_space(small_disk: Path, ledger: Ledger) -> None:
    inbox = Inbox.open(small_disk / "inbox", ledger, ReceiveSettings(free_mib=0))
    first, second = instance(1, pixels=LARGE), instance(2, pixels=LARGE)
    received(inbox, first)
    storing = Storing(inbox, offer(2))
    storing.write(second)
    answer = storing.answer()
    assert (answer.status, answer.comment) == (
        OUT_OF_RESOURCES,
        "cannot be written (No space left on device)",
    )
    assert len(files(inbox.root)) == len(instances(ledger)) == 1
    (small_disk / "rest").write_bytes(bytes(1 << 19))
    check_whole(ledger, inbox.root, ["2.25.1000001"])
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    assert received(inbox, second, 2).standing is Standing.NEW
    check_whole(ledger, inbox.root, ["2.25.1000001", "2.25.1000002"])


class FailingFlush:
    """Flushes of files that fail as those of a disk do: once, and then all is well."""

    def __init__(self) -> None:
        self.calls = 0
        self._fsync = os.fsync
        self._failed = False

    def __call__(self, descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a descriptor, no path
            self._fsync(descriptor)
            return
        self.calls += 1
        if not self._failed:
            self._failed = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_flush_that_fails_is_not_tried_again(
    inbox: Inbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = FailingFlush()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", flush)
        with pytest.raises(NoSpace, match="Input/output error"):
            received(inbox, instance())
    assert flush.calls == 1
    assert not files(inbox.root)
    assert not instances(ledger)
    assert received(inbox, instance()).standing is Standing.NEW


def test_a_flush_that_fails_takes_nothing_that_was_answered_for(
    inbox: Inbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = received(inbox, instance())
    inode = (inbox.root / kept.instance.relative_path).stat().st_ino
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", FailingFlush())
        with pytest.raises(NoSpace):
            received(inbox, instance())
    assert (inbox.root / kept.instance.relative_path).stat().st_ino == inode
    check_whole(ledger, inbox.root, ["2.25.1000001"])
    assert len(files(inbox.root)) == 1


def test_a_file_system_without_second_names_does(
    inbox: Inbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    assert received(inbox, instance()).standing is Standing.NEW
    assert received(inbox, instance()).standing is Standing.SAME
    check_whole(ledger, inbox.root, ["2.25.1000001"])
    assert len(files(inbox.root)) == 1


def test_without_its_ledger_nothing_is_answered_for(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    with Ledger.open(str(place)) as ledger:
        inbox = Inbox.open(tmp_path / "inbox", ledger, ReceiveSettings(free_mib=0))
    away = tmp_path / "away"
    away.mkdir()
    for path in tmp_path.glob("ledger.db*"):
        path.rename(away / path.name)
    place.mkdir()
    storing = Storing(inbox, offer())
    storing.write(instance())
    answer = storing.answer()
    assert (answer.status, answer.comment) == (OUT_OF_RESOURCES, "the ledger is away")
    with pytest.raises(LedgerUnavailable):
        received(inbox, instance())
    assert not files(inbox.root, "incoming")
    place.rmdir()
    for path in away.iterdir():
        path.rename(tmp_path / path.name)
    storing = Storing(inbox, offer())
    storing.write(instance())
    assert storing.answer() == STORED
    with Ledger.open(str(place)) as ledger:
        check_whole(ledger, inbox.root, ["2.25.1000001"])
    assert len(files(inbox.root)) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.connections import ReceiveSettings
from pipeline.ledger.ledger import Ledger
from pipeline.receive.inbox import Inbox
from tests.support.encoded import instance
from tests.support.inboxes import begun

with Ledger.open(sys.argv[1]) as ledger:
    begun(Inbox.open(Path(sys.argv[2]), ledger, ReceiveSettings(free_mib=0)), instance())
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_the_dead_leave_is_swept_and_what_the_living_write_is_not(
    inbox: Inbox, place: str, ledger: Ledger
) -> None:
    living = begun(inbox, instance(2), 2)
    subprocess.run(
        [sys.executable, "-c", KILLED, place, inbox.root],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert len(files(inbox.root, "incoming")) == 2
    again = Inbox.open(inbox.root, ledger, ReceiveSettings(free_mib=0))
    assert files(inbox.root) == [living.file]
    assert living.keep().standing is Standing.NEW
    assert received(again, instance()).standing is Standing.NEW
    check_whole(ledger, inbox.root, ["2.25.1000001", "2.25.1000002"])


def test_a_file_that_the_ledger_does_not_know_is_replaced(inbox: Inbox, ledger: Ledger) -> None:
    # As a kill leaves it between the flush and the ledger, and a power cut perhaps not whole.
    kept = received(inbox, instance())
    path = inbox.root / kept.instance.relative_path
    with ledger.connection() as connection:
        connection.exec_driver_sql("DELETE FROM instances")
    path.write_bytes(path.read_bytes()[:100])
    assert received(inbox, instance()).standing is Standing.NEW
    assert data_set(path) == instance()
    check_whole(ledger, inbox.root, ["2.25.1000001"])
