"""Whether a study that is received is whole, from what is known of it.

What proves it: every instance that was announced is here; or the node that is asked has no more
instances in any series, and the grids of slices and beats have no gap. What is proven is taken at
once. Without a proof a study is taken after ``receive.quiet_s``, and one that something speaks
against after ``receive.longest_s``: it is then as whole as it will be, and its record says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.connections import ReceiveSettings
from pipeline.gateways.query import Counts
from pipeline.ledger.arrivals import Arriving

LONGEST_PAUSE_S = 30.0
"""Longest time between two looks at a study that may be whole any time [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What is known of a study."""

    received: Mapping[str, str]
    """Series of each instance that is here, by SOP Instance UID."""

    counts: Counts | None = None
    """What the node has that is asked; None if none is, or if it does not answer."""

    problem: str | None = None
    """Why the node could not be asked."""

    gaps: tuple[str, ...] = ()
    """What is missing in the grids of slices and beats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What becomes of a study now."""

    is_taken: bool
    """Whether it is taken for whole."""

    why: str
    """Why it is, or what it waits for."""

    after_s: float = 0.0
    """Time after which it is looked at again [s]."""

    expected: int | None = None
    """Instances that there are elsewhere."""


@dataclass(frozen=True, slots=True)
class _Sign:
    """What one kind of evidence says."""

    why: str
    wait_s: float
    """For how long a study must have been quiet to be taken all the same [s]."""


def judge(
    study: Arriving, evidence: Evidence, settings: ReceiveSettings, own_series: frozenset[str]
) -> Judgement:
    """Judge a study.

    Parameters
    ----------
    study
        The study as it stands.
    evidence
        What is known of it.
    settings
        How long is waited.
    own_series
        Series Instance UIDs of this installation's own results, which count for nothing.
    """
    sign = _announced(study, evidence, settings)
    if sign is None:
        sign = _counted(evidence, settings, own_series)
    if evidence.gaps:
        # Where nobody has more of it, the gap is the study's own, unless an archive sends on what
        # it receives itself.
        wait_s = settings.quiet_s if sign.wait_s == 0 else settings.longest_s
        sign = _worse(sign, _Sign(f"a gap: {evidence.gaps[0]}", wait_s))
    expected = _expected(study, evidence, own_series)
    if study.quiet_s >= sign.wait_s:
        late = sign.wait_s >= settings.longest_s
        why = f"{sign.why}; taken as it is after {study.quiet_s:.0f} s" if late else sign.why
        return Judgement(is_taken=True, why=why, expected=expected)
    pause_s = min(settings.ask_s * 2.0**study.looks, LONGEST_PAUSE_S)
    left_s = sign.wait_s - study.quiet_s
    can_be_asked = evidence.counts is not None or evidence.problem is not None
    after_s = min(pause_s, left_s) if can_be_asked else left_s
    return Judgement(is_taken=False, why=sign.why, after_s=after_s, expected=expected)


def _announced(study: Arriving, evidence: Evidence, settings: ReceiveSettings) -> _Sign | None:
    """Return what an announcement of the study's instances says; None if there was none."""
    if not study.expected_uids:
        return None
    missing = [uid for uid in study.expected_uids if uid not in evidence.received]
    n_all = len(study.expected_uids)
    if missing:
        return _Sign(f"{len(missing)} of {n_all} announced instances miss", settings.longest_s)
    return _Sign(f"all {n_all} announced instances are here", 0.0)


def _counted(evidence: Evidence, settings: ReceiveSettings, own_series: frozenset[str]) -> _Sign:
    """Return what the node's counts say; without them, how quiet it must be."""
    if evidence.counts is None or evidence.counts.study is None:
        why = evidence.problem or (
            "no new instance" if evidence.counts is None else "the node does not have it"
        )
        return _Sign(f"{why}, quiet for {settings.quiet_s:g} s", settings.quiet_s)
    there = _without(evidence.counts.series, own_series)
    here = _without(_by_series(evidence.received), own_series)
    fewer = {uid: n for uid, n in there.items() if 0 < here.get(uid, 0) < n}
    if fewer:
        uid, number = next(iter(sorted(fewer.items())))
        return _Sign(f"{here[uid]} of {number} instances of series {uid}", settings.longest_s)
    absent = sum(uid not in here for uid in there)
    if absent:
        return _Sign(f"{absent} series of the node were not sent", settings.quiet_s)
    if any(n > there.get(uid, 0) for uid, n in here.items()):
        return _Sign("the node has fewer instances", settings.quiet_s)
    return _Sign(f"the node has the same {sum(there.values())} instances", 0.0)


def _worse(one: _Sign, other: _Sign) -> _Sign:
    """Return the sign that has a study wait longer."""
    return one if one.wait_s >= other.wait_s else other


def _expected(study: Arriving, evidence: Evidence, own_series: frozenset[str]) -> int | None:
    """Return how many instances there are elsewhere; None if nobody says."""
    if study.expected_uids:
        return len(study.expected_uids)
    if evidence.counts is None or evidence.counts.study is None:
        return None
    return sum(_without(evidence.counts.series, own_series).values())


def _by_series(received: Mapping[str, str]) -> dict[str, int]:
    """Return how many instances of each series are here."""
    found: dict[str, int] = {}
    for series in received.values():
        found[series] = found.get(series, 0) + 1
    return found


def _without(counts: Mapping[str, int], own_series: frozenset[str]) -> dict[str, int]:
    """Return counts of the series that are not our own results."""
    return {uid: n for uid, n in counts.items() if uid not in own_series}
