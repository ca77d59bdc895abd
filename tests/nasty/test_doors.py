"""A receiver answers for all nasty files that it is sent: kept whole, set apart, or refused."""

from collections.abc import Iterator

import pytest
import requests

from tests.nasty.corpus import generated
from tests.nasty.senders import Parcel, lost, parcels, store, stow
from tests.support.receiver import Receiver
from tests.support.service import wait_until

pytestmark = pytest.mark.service

EVERY = 25
"""Every so manieth file is sent here; all of them in ``benchmarks.nasty``."""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Return a receiver of both kinds, which must not stumble once."""
    with Receiver(tmp_path_factory.mktemp("nasty"), http_port=0) as started:
        wait_until(lambda: _answers(started), 30, started.told)
        yield started
        assert "Traceback" not in started.told()
        assert started.echoes()


@pytest.fixture(scope="module")
def sent() -> list[Parcel]:
    """Return some files of every kind that is sent."""
    kinds: dict[str, list[Parcel]] = {}
    for parcel in parcels(generated()):
        kinds.setdefault(parcel.case.kind, []).append(parcel)
    return [parcel for found in kinds.values() for parcel in found[::EVERY]]


def test_what_is_sent_by_c_store_is_kept_or_refused(receiver: Receiver, sent: list[Parcel]) -> None:
    done = store(receiver.port, sent)
    assert sum(done.answers.values()) == len(sent)
    assert not done.silent
    assert done.stored
    assert done.refusing_s
    assert not lost(receiver.place, receiver.inbox, done)
    assert receiver.echoes()


def test_what_is_posted_by_stow_is_kept_or_refused(receiver: Receiver, sent: list[Parcel]) -> None:
    done = stow(receiver.http_port, sent)
    assert sum(done.answers.values()) == len(sent)
    assert not done.silent
    assert done.stored
    assert not lost(receiver.place, receiver.inbox, done)


def _answers(receiver: Receiver) -> bool:
    """Tell whether it answers by HTTP."""
    try:
        requests.get(f"http://127.0.0.1:{receiver.http_port}/", timeout=5)
    except requests.exceptions.ConnectionError:
        return False
    return True
