"""Studies fetched from an archive into the inbox: what is there already is not fetched again."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable, StudyRejected, UnusableCall
from pipeline.gateways import dicomweb
from pipeline.gateways.found import Found, Query
from pipeline.gateways.multipart import Encoded
from pipeline.gateways.query import listing, query
from pipeline.gateways.retrieve import Wanted, get, move

WAYS = ("wado", "get", "move")
"""How studies are retrieved: WADO-RS, C-GET, C-MOVE to the receiver."""


class Keeper(Protocol):
    """Takes what is fetched."""

    def has(self, sop_instance_uids: Collection[str]) -> set[str]:
        """Return those of some instances that are here."""
        ...

    def keep(self, encoded: Encoded, sender: str) -> None:
        """Take one instance, encoded as it came.

        Raises
        ------
        StudyRejected
            If it cannot be kept as an instance; others can.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An archive that studies are fetched from."""

    name: str
    """Its name in the settings."""

    node: Node

    settings: Configuration

    by: str | None = None
    """How: one of ``WAYS``; None takes WADO-RS where the node has a URL, else C-GET, and C-MOVE
    where the archive refuses that."""

    def __post_init__(self) -> None:
        """Check that the node can be asked so.

        Raises
        ------
        UnusableCall
            If it cannot.
        """
        if self.by not in (None, *WAYS):
            raise UnusableCall(f"by is {self.by!r}, possible is {', '.join(WAYS)}")
        if self.by == "wado" and self.node.url is None:
            raise UnusableCall(f"node {self.name} has no url: wado needs one")
        if self.by in ("get", "move") and self.node.ae_title is None:
            raise UnusableCall(f"node {self.name} has no ae_title: {self.by} needs one")

    @property
    def sender(self) -> str:
        """Who sent the instances, for the inbox."""
        return f"fetch {self.name}"

    @property
    def ways(self) -> tuple[str, ...]:
        """How it is tried, the best way first."""
        if self.by is not None:
            return (self.by,)
        return ("wado",) if self.node.url is not None else ("get", "move")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What fetching a study came to."""

    study_instance_uid: str

    instances: int
    """Instances that the archive has."""

    there: int = 0
    """Of these, that were here before."""

    fetched: int = 0
    """That came."""

    failure: str | None = None
    """Why not all are here; None if they are."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "study_instance_uid": self.study_instance_uid,
            "instances": self.instances,
            "there": self.there,
            "fetched": self.fetched,
            "failure": self.failure,
        }


def fetch(source: Source, selection: Query, inbox: Keeper) -> list[Fetched]:
    """Fetch each study that matches; one that fails is told, and the next goes on.

    Parameters
    ----------
    source
        The archive.
    selection
        Which studies.
    inbox
        Takes the instances.

    Raises
    ------
    PeerUnavailable
        If the archive does not answer the query.
    PeerRefused
        If it refuses the query.
    UnusableCall
        If the selection asks for everything that the archive has.
    """
    return [fetch_study(source, uid, inbox) for uid in selected(source, selection)]


def selected(source: Source, selection: Query) -> list[str]:
    """Return the UIDs of the studies that match.

    Raises
    ------
    PeerUnavailable
        If the archive does not answer.
    PeerRefused
        If it refuses the query.
    UnusableCall
        If the selection asks for everything that the archive has.
    """
    if not selection.is_selective:
        raise UnusableCall(
            "too much is asked for: name a study, accession number, patient, date or description"
        )
    found = query(source.node, selection, source.settings)
    return [study.study_instance_uid for study in found]


def look(source: Source, study_instance_uid: str, inbox: Keeper) -> Fetched:
    """Return what of a study would be fetched; a failure is told, not raised."""
    try:
        listed = listing(source.node, study_instance_uid, source.settings)
    except (PeerRefused, PeerUnavailable) as problem:
        told = str(problem)
        return Fetched(study_instance_uid=study_instance_uid, instances=0, failure=told)
    return _seen(study_instance_uid, listed, inbox)


def fetch_study(source: Source, study_instance_uid: str, inbox: Keeper) -> Fetched:
    """Fetch the instances of a study that are not here yet; a failure is told, not raised.

    Parameters
    ----------
    source
        The archive.
    study_instance_uid
        The study.
    inbox
        Takes the instances.
    """
    seen = Fetched(study_instance_uid=study_instance_uid, instances=0)
    listed: list[Found] = []
    try:
        listed = listing(source.node, study_instance_uid, source.settings)
        seen = _seen(study_instance_uid, listed, inbox)
        if not listed:
            return replace(seen, failure="the archive does not have it")
        failure = _retrieve(source, listed, inbox)
    except (PeerRefused, PeerUnavailable) as problem:
        failure = str(problem)
    missing = len(_missing(listed, inbox))
    if missing and not failure:
        failure = f"{missing} of {seen.instances} instances did not come"
    came = seen.instances - missing - seen.there
    return replace(seen, fetched=came, failure=failure)


def _seen(study_instance_uid: str, listed: list[Found], inbox: Keeper) -> Fetched:
    """Return what is known of a study before it is fetched."""
    there = len(listed) - len(_missing(listed, inbox))
    return Fetched(study_instance_uid=study_instance_uid, instances=len(listed), there=there)


def _retrieve(source: Source, listed: list[Found], inbox: Keeper) -> str | None:
    """Retrieve what is missing of a study by the first way that the archive takes.

    Returns
    -------
        What went wrong with single instances; None if nothing did.
    """
    keeping = _Keeping(inbox, source.sender)
    ways = list(source.ways)
    while True:
        way = ways.pop(0)
        missing = _missing(listed, inbox)
        try:
            failed = sum(
                _ask(source, way, wanted, missing, keeping) for wanted in _requests(listed, missing)
            )
        except PeerRefused:
            if not ways:
                raise
            continue
        return keeping.told(failed)


def _ask(
    source: Source, way: str, wanted: Wanted, missing: list[Found], keeping: "_Keeping"
) -> int:
    """Retrieve by one way, and return how many instances the archive failed with."""
    if way == "move":
        return move(source.node, wanted, source.settings).failed
    if way == "get":
        classes = {one.sop_class_uid for one in missing if one.sop_class_uid}
        transfer = get(source.node, wanted, sorted(classes), keeping.strictly, source.settings)
        return transfer.failed
    for place in _places(wanted):
        dicomweb.retrieve(source.node, place, keeping.leniently, source.settings)
    return 0


class _Keeping:
    """Hands instances to the inbox, and counts those that it does not take."""

    def __init__(self, inbox: Keeper, sender: str) -> None:
        self._inbox, self._sender = inbox, sender
        self._rejected = 0

    def strictly(self, encoded: Encoded) -> None:
        """Hand over an instance.

        Raises
        ------
        StudyRejected
            If the inbox does not take it.
        """
        try:
            self._inbox.keep(encoded, self._sender)
        except StudyRejected:
            self._rejected += 1
            raise

    def leniently(self, encoded: Encoded) -> None:
        """Hand over an instance; the next one follows in any case."""
        try:
            self.strictly(encoded)
        except StudyRejected:
            return

    def told(self, failed: int) -> str | None:
        """Return what went wrong with single instances."""
        if self._rejected:
            return f"{self._rejected} instances cannot be kept"
        return f"the archive failed with {failed} instances" if failed else None


def _missing(listed: list[Found], inbox: Keeper) -> list[Found]:
    """Return those that are not here."""
    here = inbox.has([str(one.sop_instance_uid) for one in listed])
    return [one for one in listed if one.sop_instance_uid not in here]


def _requests(listed: list[Found], missing: list[Found]) -> Iterator[Wanted]:
    """Return what is asked for: whole studies and series where all of one is missing."""
    if not missing:
        return
    study = listed[0].study_instance_uid
    if len(missing) == len(listed):
        yield Wanted(study=study)
        return
    whole, lacking = _by_series(listed), _by_series(missing)
    complete = tuple(uid for uid, uids in lacking.items() if len(uids) == len(whole[uid]))
    if complete:
        yield Wanted(study=study, series=complete)
    for uid, uids in lacking.items():
        if uid not in complete:
            yield Wanted(study=study, series=(uid,), instances=tuple(uids))


def _by_series(listed: list[Found]) -> dict[str, list[str]]:
    """Return SOP Instance UIDs by their series."""
    series = defaultdict(list)
    for one in listed:
        series[str(one.series_instance_uid)].append(str(one.sop_instance_uid))
    return dict(series)


def _places(wanted: Wanted) -> Iterator[dicomweb.Place]:
    """Return what is asked for as resources of WADO-RS."""
    if not wanted.series:
        yield dicomweb.Place(study=wanted.study)
    for series in wanted.series:
        if not wanted.instances:
            yield dicomweb.Place(study=wanted.study, series=series)
        for uid in wanted.instances:
            yield dicomweb.Place(study=wanted.study, series=series, instance=uid)
