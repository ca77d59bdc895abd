"""Check that the instances of a series belong together: who, when, where, and in which grid."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np

from pipeline.errors import InconsistentSeries
from pipeline.ingest.frame import Frame, Instance, listed

ORIENTATION_TOLERANCE = 1e-4
"""Largest difference between direction cosines of two frames of one series."""

T = TypeVar("T")


def one_of_each(instances: Sequence[Instance]) -> tuple[tuple[Instance, ...], int]:
    """Return each instance once, and how many identical copies were left out.

    Raises
    ------
    InconsistentSeries
        If one SOP Instance UID comes with two contents.
    """
    kept: dict[str, Instance] = {}
    for instance in instances:
        first = kept.setdefault(instance.sop_instance_uid, instance)
        if first.sha256 != instance.sha256:
            raise InconsistentSeries(
                f"one SOP Instance UID with two contents: {first.named} and {instance.name}"
            )
    return tuple(kept.values()), len(instances) - len(kept)


def check_identity(instances: Sequence[Instance]) -> None:
    """Refuse a series of two studies or two patients. The patients' attributes are not named.

    Raises
    ------
    InconsistentSeries
        With the instances that differ from most.
    """
    odd = odd_ones(instances, lambda i: i.study_instance_uid)
    if odd:
        raise InconsistentSeries(f"two studies in one series: {_named(odd)}")
    for what, key in (
        ("Patient ID (0010,0020)", _patient_id),
        ("Patient's Name (0010,0010)", _patient_name),
        ("Patient's Birth Date (0010,0030)", _birth_date),
    ):
        odd = odd_ones(instances, key)
        if odd:
            raise InconsistentSeries(f"another patient, {what} differs: {_named(odd)}")
    odd = odd_ones([i for i in instances if i.laterality], lambda i: i.laterality)
    if odd:
        raise InconsistentSeries(f"another side, Laterality (0020,0060) differs: {_named(odd)}")


def check_space(frames: Sequence[Frame]) -> None:
    """Refuse a series in two frames of reference or two orientations.

    Raises
    ------
    InconsistentSeries
        With the instances that differ from most.
    """
    odd = odd_ones(frames, lambda f: f.plane.frame_of_reference_uid)
    if odd:
        raise InconsistentSeries(f"another frame of reference: {_named(odd)}")
    cosines = np.array([(f.plane.row_cosines, f.plane.column_cosines) for f in frames])
    # The orientation of most frames: every frame is measured against the median of all.
    typical = np.median(cosines, axis=0)
    away = np.abs(cosines - typical).max(axis=(1, 2))
    if np.abs(cosines - cosines[0]).max() > ORIENTATION_TOLERANCE:
        turned = [f for f, a in zip(frames, away, strict=True) if a > ORIENTATION_TOLERANCE]
        raise InconsistentSeries(
            f"mixed orientations, direction cosines differ by {np.ptp(cosines, axis=0).max():.2g}: "
            f"{_named(turned or frames)}"
        )


def odd_ones(members: Sequence[T], key: Callable[[T], Hashable]) -> list[T]:
    """Return the members whose key is not that of most; none where all agree."""
    counts = Counter(key(member) for member in members)
    if len(counts) < 2:
        return []
    usual = counts.most_common(1)[0][0]
    return [member for member in members if key(member) != usual]


def grouped(members: Sequence[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Return the members with one key together, in the order in which the keys first occur."""
    groups: dict[Hashable, list[T]] = defaultdict(list)
    for member in members:
        groups[key(member)].append(member)
    return list(groups.values())


def _named(odd: Sequence[Instance] | Sequence[Frame]) -> str:
    """Return the names of what differs."""
    return listed([member.named for member in odd])


def _patient_id(instance: Instance) -> str:
    return instance.patient.patient_id


def _patient_name(instance: Instance) -> str:
    return instance.patient.name


def _birth_date(instance: Instance) -> str:
    return instance.patient.birth_date
