"""Choose what tells the beats of a slice apart, and what gives their time in seconds.

No one attribute serves every scanner: GE counts Trigger Time up over the run and repeats
Acquisition Time; Siemens keeps Trigger Time constant and has Acquisition Time; Philips numbers
temporal positions. The first key that is unique within every slice is taken. Repetition Time is
never one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InconsistentSeries
from pipeline.ingest.attributes import tag_text
from pipeline.ingest.clock import across_midnight
from pipeline.ingest.frame import Frame, listed

LONGEST_BEAT_S = 2.0
"""A span of trigger times beyond one heart beat [s] means that they count over the run; within one
they are the delay after the R wave, the same for every beat."""

RESOLUTION_S = 1e-3
"""Times closer than this are the same."""

SPAN_TOLERANCE_S = 2.0
"""How far two keys may differ in the time that they span [s]: whole seconds at both ends."""

NEARLY_UNIQUE = 0.8
"""Share of distinct values from which a key that repeats itself means a doubled frame."""

TEMPORAL_POSITION, INSTANCE_NUMBER = "temporal_position", "instance_number"


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A time key: how it is called, and whether its values are seconds."""

    name: str
    """Field of ``TimeKeys``."""

    keyword: str
    """DICOM keyword, for messages."""

    is_seconds: bool
    """Whether it is a time, or an order only."""


KEYS = (
    Key(name=TEMPORAL_POSITION, keyword="TemporalPositionIdentifier", is_seconds=False),
    Key(name="acquisition_s", keyword="AcquisitionTime", is_seconds=True),
    Key(name="trigger_s", keyword="TriggerTime", is_seconds=True),
    Key(name="content_s", keyword="ContentTime", is_seconds=True),
    Key(name=INSTANCE_NUMBER, keyword="InstanceNumber", is_seconds=False),
)
"""Keys in the order in which they are tried."""


def values(frames: Sequence[Frame], key: Key) -> list[float] | None:
    """Return a key's value for each frame; None where a frame lacks it or it cannot tell beats."""
    found = [getattr(frame.times, key.name) for frame in frames]
    if any(value is None for value in found):
        return None
    numbers = [float(value) for value in found]
    if not key.is_seconds:
        return numbers
    if key.name == "trigger_s" and max(numbers) - min(numbers) <= LONGEST_BEAT_S:
        return None
    return across_midnight(numbers)


def tells_beats(frames: Sequence[Frame], key: Key) -> bool:
    """Tell whether a key is unique within a slice."""
    found = values(frames, key)
    return found is not None and len(set(_ticks(found, key))) == len(found)


def order_key(slices: Sequence[Sequence[Frame]]) -> Key:
    """Return the first key that is unique within each slice.

    Raises
    ------
    InconsistentSeries
        If no key is, or if only the instance number is although a time repeats itself for single
        frames: those are there twice.
    """
    for key in KEYS:
        if all(tells_beats(members, key) for members in slices):
            if key.name == INSTANCE_NUMBER:
                for members in slices:
                    refuse_doubled(members)
            return key
    for members in slices:
        refuse_doubled(members)
    raise InconsistentSeries(
        "no attribute tells the beats apart: none of "
        f"{', '.join(tag_text(key.keyword) for key in KEYS)} is unique within each slice, as in "
        f"{listed([f.named for f in slices[0]])}"
    )


def refuse_doubled(members: Sequence[Frame]) -> None:
    """Refuse a slice in which single frames repeat another's position and time.

    Raises
    ------
    InconsistentSeries
        With the instances, where a time key is distinct for most frames and the same for some.
    """
    for key in KEYS[:-1]:
        found = values(members, key)
        if found is None or _is_coarse([members], key):
            continue
        counts = Counter(_ticks(found, key))
        if len(counts) < len(found) and len(counts) >= max(2.0, NEARLY_UNIQUE * len(found)):
            again = [
                f.named for f, t in zip(members, _ticks(found, key), strict=True) if counts[t] > 1
            ]
            raise InconsistentSeries(
                f"doubled position and time, the same {tag_text(key.keyword)}: {listed(again)}"
            )


def seconds_key(slices: Sequence[Sequence[Frame]]) -> Key | None:
    """Return the key that gives times for frames in order; None if none keeps growing.

    Whole seconds cannot tell a missed beat: a finer key that spans the same time goes before.
    """
    growing = [
        key
        for key in KEYS
        if key.is_seconds and all(_is_growing(members, key) for members in slices)
    ]
    if not growing or not _is_coarse(slices, growing[0]):
        return next(iter(growing), None)
    span = _span_s(slices, growing[0])
    finer = [
        key
        for key in growing
        if not _is_coarse(slices, key) and abs(_span_s(slices, key) - span) <= SPAN_TOLERANCE_S
    ]
    return finer[0] if finer else growing[0]


def _span_s(slices: Sequence[Sequence[Frame]], key: Key) -> float:
    """Return how long the first slice took by a key [s]."""
    found = values(slices[0], key) or [0.0]
    return max(found) - min(found)


def _is_growing(members: Sequence[Frame], key: Key) -> bool:
    """Tell whether a key grows from each frame to the next."""
    found = values(members, key)
    return found is not None and bool((np.diff(found) > RESOLUTION_S).all())


def _is_coarse(slices: Sequence[Sequence[Frame]], key: Key) -> bool:
    """Tell whether times are all whole seconds, so that neighbours may share one."""
    return key.is_seconds and all(v == round(v) for m in slices for v in values(m, key) or [])


def _ticks(found: list[float], key: Key) -> list[int]:
    """Return values in steps of what counts as different."""
    return [round(v / RESOLUTION_S) if key.is_seconds else int(v) for v in found]
