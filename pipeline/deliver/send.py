"""One attempt of a delivery, from its claim to its end in the ledger.

What the destination has answered for is recorded object by object, before the next is sent. A
failure that may pass has the delivery tried again; one that stays ends it, after the rest was sent.
"""

import logging
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Configuration
from pipeline.deliver.choose import goes_there
from pipeline.deliver.confirm import confirm
from pipeline.deliver.parcel import Parcel, ready
from pipeline.deliver.statuses import Verdict, judge
from pipeline.deliver.ways import Way, way_to
from pipeline.errors import ObjectBlocked, PeerRefused, PeerUnavailable, UnusableCall
from pipeline.ledger.deliveries import Deliveries, DeliveryClaim, SentObject
from pipeline.ledger.deliverytables import DeliveryState

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Courier:
    """What an attempt is made with."""

    ledger: Deliveries
    """The deliveries."""

    settings: Configuration
    """The site's settings."""

    is_to_end: Callable[[], bool]
    """Tells whether the attempt shall end after the object in flight."""


class _Ended(Exception):
    """The attempt has ended in the ledger, or is not the delivery's any more."""

    def __init__(self, state: DeliveryState | None) -> None:
        super().__init__(state)
        self.state = state


def attempt(claim: DeliveryClaim, courier: Courier) -> DeliveryState | None:
    """Send what is left of a delivery, and prove it.

    Parameters
    ----------
    claim
        The delivery, claimed.
    courier
        What it is sent with.

    Returns
    -------
        Where the delivery stands; None if the attempt was not its last any more.

    Raises
    ------
    LedgerUnavailable
        If the ledger is away: the delivery is handed out when its lease has run out.
    """
    destination = courier.settings.destinations[claim.destination]
    ledger = courier.ledger
    try:
        return _attempted(claim, courier)
    except _Ended as end:
        return end.state
    except (PeerUnavailable, PeerRefused) as problem:
        failure = (type(problem).__name__, str(problem))
        held = ledger.repeat(claim, failure, destination, ours=False)
    except ObjectBlocked as problem:
        held = ledger.blocked(claim, ("ObjectBlocked", str(problem)))
        return DeliveryState.BLOCKED if held else None
    except (OSError, UnusableCall) as problem:
        told = problem.strerror if isinstance(problem, OSError) else str(problem)
        failure = (type(problem).__name__, told or "input or output failed")
        held = ledger.repeat(claim, failure, destination, ours=True)
    return DeliveryState.WAITING if held else None


def _attempted(claim: DeliveryClaim, courier: Courier) -> DeliveryState | None:
    """Make the attempt; what goes wrong is raised."""
    destination = courier.settings.destinations[claim.destination]
    wanted = goes_there(claim.artifacts, destination)
    way = way_to(destination, courier.settings)
    if claim.is_trial:
        _see_whether_it_answers(claim, courier, way)
    before = {each.relative_path: each for each in claim.sent}
    left = [each for each in wanted if each.relative_path not in before]
    sent = [before[e.relative_path] for e in wanted if e.relative_path in before]
    with tempfile.TemporaryDirectory(prefix="vesalius-") as scratch:
        parcels = ready(left, claim.folder, destination, courier.settings, Path(scratch))
        sent += _sent(claim, courier, way, parcels)
    if courier.is_to_end():
        return _handed_back(claim, courier)
    return confirm(claim, sent, courier.ledger, way, courier.settings, anew=bool(left))


def _see_whether_it_answers(claim: DeliveryClaim, courier: Courier, way: Way) -> None:
    """Ask a destination that has failed whether it is there, before anything is sent.

    One that does not answer says nothing about the delivery: it keeps its place.
    """
    try:
        way.reach()
    except (PeerUnavailable, PeerRefused):
        destination = courier.settings.destinations[claim.destination]
        held = courier.ledger.hand_back(claim, destination)
        raise _Ended(DeliveryState.WAITING if held else None) from None


def _sent(
    claim: DeliveryClaim, courier: Courier, way: Way, parcels: Sequence[Parcel]
) -> list[SentObject]:
    """Send parcels and record each answer; return what is there.

    Raises
    ------
    PeerUnavailable
        If the destination does not answer, or says that it cannot now.
    """
    there: list[SentObject] = []
    refused: list[str] = []
    if not parcels:
        return there
    if courier.is_to_end():
        raise _Ended(_handed_back(claim, courier))
    with closing(_generator(way, parcels)) as answers:
        for parcel, status in zip(parcels, answers, strict=True):
            heard = _heard(claim, courier, parcel, status)
            if isinstance(heard, SentObject):
                there.append(heard)
            else:
                refused.append(heard)
            if courier.is_to_end() and parcel is not parcels[-1]:
                raise _Ended(_handed_back(claim, courier))
    if refused:
        failure = ("PeerRefused", f"{len(refused)} of {len(parcels)} refused: {refused[0]}")
        raise _Ended(DeliveryState.REFUSED if courier.ledger.refused(claim, failure) else None)
    return there


def _heard(claim: DeliveryClaim, courier: Courier, parcel: Parcel, status: str) -> SentObject | str:
    """Record an answer, and return the object that is there, or how it was refused."""
    meaning = judge(status)
    told = f"{status} ({meaning.name})"
    if meaning.verdict is Verdict.LATER:
        raise PeerUnavailable(f"answered {told}")
    if meaning.verdict is Verdict.BARRED:
        held = courier.ledger.barred(claim, f"answered {told}")
        raise _Ended(DeliveryState.WAITING if held else None)
    if meaning.verdict is Verdict.NEVER:
        return f"{parcel.artifact.relative_path} with {told}"
    sent = parcel.sent(status)
    if not courier.ledger.sent(claim, [sent]):
        raise _Ended(None)
    return sent


def _generator(way: Way, parcels: Sequence[Parcel]) -> Generator[str, None, None]:
    """Return the answers as what can be closed."""
    yield from way.send(parcels)


def _handed_back(claim: DeliveryClaim, courier: Courier) -> DeliveryState | None:
    """Give the delivery back, since this process stops."""
    return DeliveryState.WAITING if courier.ledger.hand_back(claim) else None
