"""Order the frames of each slice into beats, and prove that none is missing.

A frame that one slice lacks and others have, or that a counter skips, is missing, and the series is
refused. A beat that the scanner missed, or a last beat that it did not finish, is a note.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import IncompleteSeries, InconsistentSeries
from pipeline.ingest.attributes import tag_text
from pipeline.ingest.frame import Frame, listed
from pipeline.ingest.timekeys import (
    INSTANCE_NUMBER,
    KEYS,
    TEMPORAL_POSITION,
    Key,
    order_key,
    refuse_doubled,
    seconds_key,
    tells_beats,
    values,
)

RAGGED_END = "not every slice has it"
"""What a note says of a last beat that some slices lack."""

MISSED_BEAT = 1.8
"""A step longer than this many typical ones is a gap."""

MISALIGNED = 0.6
"""Share of a step by which a slice may drift against another before their beats differ."""

UNEVEN_COUNTER = 0.25
"""A counter that skips after more than this share of frames does not count frames."""

PLAUSIBLE_STEP_S = (0.3, 3.0)
"""Typical step of a first-pass series [s]; another one is a note."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Beats:
    """The frames of each slice in order of time."""

    slices: tuple[tuple[Frame, ...], ...]
    """Frames, indexed ``[slice][beat]``."""

    times_s: NDArray[np.float64]
    """Time since the first frame [s]. Shape ``(beats, slices)``."""

    times_are_estimated: bool
    """Whether beats are only counted, as one second each."""

    notes: tuple[str, ...]
    """What was noticed."""


def order_beats(slices: Sequence[Sequence[Frame]]) -> Beats:
    """Order the frames of each slice.

    Raises
    ------
    InconsistentSeries
        If a frame is missing or doubled, or nothing tells the beats apart.
    """
    if max(len(members) for members in slices) == 1:
        return Beats(
            slices=tuple(tuple(members) for members in slices),
            times_s=np.zeros((1, len(slices))),
            times_are_estimated=True,
            notes=(),
        )
    whole, notes = _complete(slices)
    key = order_key(whole)
    ordered = [_sorted(members, key) for members in whole]
    seconds = seconds_key(ordered)
    _check_positions(ordered, key)
    n_beats = len(ordered[0])
    if seconds is None:
        times = np.repeat(np.arange(n_beats, dtype=np.float64)[:, None], len(ordered), axis=1)
        notes.append(f"times are estimated: beats are ordered by {tag_text(key.keyword)} only")
    else:
        absolute = np.array([values(members, seconds) for members in ordered]).T
        times = absolute - absolute.min()
        _check_alignment(ordered, times, key)
    _check_counters(ordered, times, estimated=seconds is None)
    notes += _order_note(ordered, key)
    notes += [] if seconds is None else _step_notes(times)
    return Beats(
        slices=tuple(tuple(members) for members in ordered),
        times_s=times,
        times_are_estimated=seconds is None,
        notes=tuple(notes),
    )


def check_declared(frames: Sequence[Frame]) -> None:
    """Refuse a series that has fewer temporal positions than it states.

    Raises
    ------
    InconsistentSeries
        With the positions that are missing, and the instances around the first of them.
    """
    positions = {f.times.temporal_position for f in frames}
    stated = {f.times.n_temporal_positions for f in frames}
    if None in positions or None in stated or len(stated) > 1 or len(positions) < 2:
        return
    found = sorted(p for p in positions if p is not None)
    n_stated = next(n for n in stated if n is not None)
    missing = sorted(set(range(1, n_stated + 1)) - set(found))
    if missing and found[0] >= 1 and found[-1] <= n_stated:
        raise IncompleteSeries(
            f"{len(missing)} of {n_stated} temporal positions missing, such as {missing[0]}: "
            f"{_around(frames, missing[0])}"
        )


def _around(frames: Sequence[Frame], position: int) -> str:
    """Return in words which frames lie around a missing temporal position."""
    ordered = sorted(frames, key=lambda f: f.times.temporal_position or 0)
    before = [f.named for f in ordered if (f.times.temporal_position or 0) < position]
    after = [f.named for f in ordered if (f.times.temporal_position or 0) > position]
    return " ".join(
        [*(f"after {name}" for name in before[-1:]), *(f"before {name}" for name in after[:1])]
    )


def _sorted(members: Sequence[Frame], key: Key) -> list[Frame]:
    """Return the frames of a slice in the order of a key."""
    found = values(members, key) or []
    return [members[i] for i in np.argsort(found, kind="stable")]


def _complete(slices: Sequence[Sequence[Frame]]) -> tuple[list[list[Frame]], list[str]]:
    """Return slices of one count; a last beat that was not finished is left out with a note.

    Raises
    ------
    InconsistentSeries
        If a slice has too many frames or lacks one before the end.
    """
    counts = [len(members) for members in slices]
    full, least = max(counts), min(counts)
    if full == least:
        return [list(members) for members in slices], []
    for members in slices:
        if len(members) > least:
            _refuse_doubled_position(members, least)
    key = next((k for k in KEYS if all(tells_beats(m, k) for m in slices)), None)
    reference = next(members for members in slices if len(members) == full)
    for members in slices:
        if len(members) < full:
            _refuse_missing(members, reference, key)
    if key is None or full - least > 1:
        short = next(members for members in slices if len(members) == least)
        raise IncompleteSeries(
            f"unequal counts: the slice of {short[0].named} has {least} beats, that of "
            f"{reference[0].named} {full}"
        )
    ends = [_sorted(m, key)[-1].named for m in slices if len(m) == full]
    note = f"beat {full} left out, {RAGGED_END}: {listed(ends)}"
    return [_sorted(members, key)[:least] for members in slices], [note]


def _refuse_doubled_position(members: Sequence[Frame], least: int) -> None:
    """Refuse a slice with more frames than another because one is there twice."""
    if least == 1:
        raise InconsistentSeries(f"doubled position: {listed([f.named for f in members])}")
    refuse_doubled(members)


def _refuse_missing(members: Sequence[Frame], reference: Sequence[Frame], key: Key | None) -> None:
    """Refuse a slice that lacks a frame which another slice has before the last beat.

    Each frame of the reference looks for its like among the slice's: the same temporal position,
    or one within half a step once the delay between the slices is taken out.
    """
    if key is None:
        return
    mine = _sorted(members, key)
    at, other = (np.array(sorted(values(m, key) or [])) for m in (members, reference))
    step = float(np.median(np.diff(other)))
    if key.name != TEMPORAL_POSITION:
        at = at + np.median([other[np.abs(other - a).argmin()] - a for a in at])
    nearest = np.abs(other[:, None] - at[None, :]).min(axis=1)
    lacking = np.flatnonzero(nearest > 0.5 * step)
    if members[0].times.n_temporal_positions != len(other):
        lacking = lacking[lacking < len(at)]
    if not lacking.size:
        return
    beat = int(lacking[0])
    around = [f.named for f in mine[max(beat - 1, 0) : beat + 1]]
    raise IncompleteSeries(
        f"missing beat {beat + 1} of {len(other)} on one slice, at {listed(around)}; "
        f"another slice has {_sorted(reference, key)[beat].named}"
    )


def _check_positions(ordered: Sequence[Sequence[Frame]], key: Key) -> None:
    """Refuse slices with other temporal positions than the first slice, or a skipped position."""
    if key.name != TEMPORAL_POSITION:
        return
    first = values(ordered[0], key) or []
    for members in ordered[1:]:
        for frame, here, there in zip(members, values(members, key) or [], first, strict=True):
            if here != there:
                raise InconsistentSeries(
                    f"slices have other beats: temporal position {here:g} in {frame.named}, "
                    f"{there:g} on the first slice"
                )


def _check_alignment(
    ordered: Sequence[Sequence[Frame]], times: NDArray[np.float64], key: Key
) -> None:
    """Refuse slices that each have a gap somewhere else: their beats do not belong together."""
    if len(times) < 3 or key.name == TEMPORAL_POSITION:
        return
    step = float(np.median(np.diff(times, axis=0)))
    delay = times - times[:, :1]
    drift = np.abs(delay - np.median(delay, axis=0))
    beat, index = (int(i) for i in np.unravel_index(int(drift.argmax()), drift.shape))
    if drift[beat, index] > MISALIGNED * step:
        raise InconsistentSeries(
            f"slices do not share their beats: at beat {beat + 1}, {ordered[index][beat].named} is "
            f"{drift[beat, index]:.2f} s off against {ordered[0][beat].named}"
        )


def _check_counters(
    ordered: Sequence[Sequence[Frame]], times: NDArray[np.float64], *, estimated: bool
) -> None:
    """Refuse a series whose counters skip a beat where its times have a gap.

    A gap in time alone may be a beat that the scanner missed. With the instance number or the
    temporal position skipping just there, and nowhere else, it is an instance that did not arrive.
    """
    for key in (KEYS[0], KEYS[-1]):
        for index, members in enumerate(ordered):
            gaps = np.diff(times[:, index])
            for after in _skips(members, key):
                if estimated or gaps[after] > MISSED_BEAT * np.median(gaps):
                    raise IncompleteSeries(
                        f"missing beat between {members[after].named} and "
                        f"{members[after + 1].named}: {tag_text(key.keyword)} skips there"
                    )


def _skips(members: Sequence[Frame], key: Key) -> list[int]:
    """Return after which frames an otherwise even counter skips."""
    found = values(members, key)
    if found is None or len(found) < 4:
        return []
    steps = np.diff(found)
    usual = float(np.median(steps))
    odd = np.flatnonzero(steps != usual)
    if usual <= 0 or odd.size > UNEVEN_COUNTER * len(steps) or (steps[odd] < usual).any():
        return []
    return [int(i) for i in odd]


def _order_note(ordered: Sequence[Sequence[Frame]], key: Key) -> list[str]:
    """Return a note where the instance numbers say another order.

    Frames of a multi-frame instance stand in any order: their numbers say nothing.
    """
    if key.name == INSTANCE_NUMBER or any(f.number > 1 for members in ordered for f in members):
        return []
    for members in ordered:
        found = values(members, KEYS[-1])
        if found is not None and len(set(found)) > 1 and (np.diff(found) <= 0).any():
            return [f"{tag_text('InstanceNumber')} does not follow {tag_text(key.keyword)}"]
    return []


def _step_notes(times: NDArray[np.float64]) -> list[str]:
    """Return notes on missed beats and on an unusual step."""
    steps = np.diff(times, axis=0)
    typical = float(np.median(steps))
    notes = []
    missed = np.flatnonzero((steps > MISSED_BEAT * typical).any(axis=1)) + 1
    if missed.size and len(steps) > 2:
        beats = listed([str(b) for b in missed])
        notes.append(
            f"missed beats: the step after beat {beats} exceeds {MISSED_BEAT:g} typical ones"
        )
    if not PLAUSIBLE_STEP_S[0] <= typical <= PLAUSIBLE_STEP_S[1]:
        notes.append(f"a step of {typical:.3g} s is unusual for one image a heart beat")
    return notes
