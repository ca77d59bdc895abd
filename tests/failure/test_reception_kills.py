"""Receivers that are killed: what was answered for is on disk and in the ledger."""

import hashlib
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.archives import data_set
from tests.support.encoded import EXPLICIT, MR, instance
from tests.support.inboxes import files, instances
from tests.support.rawdimse import RawSender
from tests.support.receiver import Receiver
from tests.support.service import kill

pytestmark = pytest.mark.service

TRIALS = int(os.environ.get("FAILURE_TRIALS", "6"))
"""Kills of a test."""

SENDERS = 4


@dataclass
class Sender:
    """Sends instances one after the other, each until it is answered for, and notes which were.

    Each has a size and content of its own, so that a mix-up shows.
    """

    port: int
    number: int
    answered: dict[str, str] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)
    n_broken: int = 0
    is_ended: bool = False

    def run(self) -> None:
        """Send until told to end."""
        chance = random.Random(self.number)
        count = 0
        while not self.is_ended:
            uid = 100_000 * (self.number + 1) + count
            pixels = chance.randbytes(2 * chance.randrange(100, 60_000))
            self._send(f"2.25.1{uid:06d}", instance(uid, study=self.number, pixels=pixels))
            count += 1
        self._leave()

    def _send(self, uid: str, data: bytes) -> None:
        """Send an instance until it is answered for."""
        while not self.is_ended:
            try:
                status = self._connected().store(data, uid, part=30_000)
            except (OSError, AssertionError, ValueError):
                self.n_broken += 1
                self._leave()
                time.sleep(0.02)
                continue
            self.statuses.add(status)
            if status == 0:
                self.answered[uid] = hashlib.sha256(data).hexdigest()
                return

    _sender: RawSender | None = None

    def _connected(self) -> RawSender:
        """Return the association, or a new one."""
        if self._sender is None:
            self._sender = RawSender(self.port, timeout_s=10)
            self._sender.associate(((MR, EXPLICIT),))
        return self._sender

    def _leave(self) -> None:
        """Give the association up."""
        if self._sender is not None:
            self._sender.socket.close()
            self._sender = None


def check_answered(receiver: Receiver, senders: list[Sender]) -> int:
    """Check that all that was answered for is there and whole; return how many files are more."""
    with receiver.ledger() as ledger:
        recorded = {row.sop_instance_uid: row for row in instances(ledger)}
    for sender in senders:
        for uid, sha256 in sender.answered.items():
            assert uid in recorded, f"{uid} was answered for, and is not recorded"
            row = recorded[uid]
            assert row.sha256 == sha256
            data = data_set(receiver.inbox / row.relative_path)
            assert hashlib.sha256(data).hexdigest() == sha256, f"{uid} is not whole"
    known = {receiver.inbox / row.relative_path for row in recorded.values()}
    return len(set(files(receiver.inbox)) - known)


@pytest.mark.timeout(3600)
def test_a_receiver_killed_at_random_moments_loses_nothing_that_it_answered_for(
    ledger_place: str, tmp_path: Path
) -> None:
    receiver = Receiver(tmp_path, ledger_place, processes=2, silent_s=10.0)
    chance = random.Random(TRIALS)
    with receiver:
        senders = [Sender(receiver.port, number) for number in range(SENDERS)]
        threads = [threading.Thread(target=sender.run) for sender in senders]
        for thread in threads:
            thread.start()
        n_whole = 0
        for _ in range(TRIALS):
            before = sum(len(sender.answered) for sender in senders)
            time.sleep(chance.uniform(0.05, 0.8))
            if chance.random() < 0.5:
                # All of it at once; else one of its processes, after which it ends by itself.
                receiver.kill()
                n_whole += 1
            else:
                assert receiver.process is not None
                kill(chance.choice(receiver.members()).pid, signal.SIGKILL)
                assert receiver.process.wait(60) != 0
            receiver.kill()
            receiver.start()
            until = time.monotonic() + 60
            while sum(len(sender.answered) for sender in senders) <= before:
                assert time.monotonic() < until, receiver.told()[-3000:]
                time.sleep(0.02)
        for sender in senders:
            sender.is_ended = True
        for thread in threads:
            thread.join(60)
        assert receiver.stop() == 0
        receiver.start()
        n_more = check_answered(receiver, senders)
    n_answered = sum(len(sender.answered) for sender in senders)
    n_broken = sum(sender.n_broken for sender in senders)
    assert n_broken >= TRIALS
    assert all(sender.statuses <= {0x0000, 0xA700} for sender in senders)
    assert n_more <= 2 * SENDERS * TRIALS
    print(
        f"\n{TRIALS} kills of a receiver, {n_whole} of all its processes at once, "
        f"{SENDERS} associations: {n_answered} instances answered for, 0 missing, 0 not whole; "
        f"{n_broken} sendings broken off, {n_more} files that nobody was answered for"
    )
