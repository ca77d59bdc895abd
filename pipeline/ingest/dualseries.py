"""Find the series of a dual sequence that samples the arterial input of another series.

Some scanners write the images of low resolution as a series of their own. It is told by what it
is, and not by its name: of the same study, patient and frame of reference, acquired in the same
time, on a slice of the other series, in the same orientation, of a lower resolution, with a shorter
delay after saturation. It then belongs to that series; one that lacks one of these stays a series
as any other, with a note on the series that it lies beside where it lacks one of the last.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.ingest.arterial import ArterialFrames
from pipeline.ingest.contrast import HEIGHT_TOLERANCE_MM, LEAST_BEATS, has_shorter_delay
from pipeline.ingest.frame import Frame
from pipeline.ingest.series import NOT_USED, Assembly, overlap, with_arterial

SAME_DIRECTION = 1e-3
"""Largest difference between direction cosines of one orientation."""


def join_arterial(assemblies: Sequence[Assembly]) -> list[Assembly]:
    """Return series with those that sample their arterial input joined to them.

    A series that was corrected for motion lies beside the same images as the one that it was made
    of: both have them. Of several that fit, a series has the first echo.

    Parameters
    ----------
    assemblies
        The series of the inputs, each placed.
    """
    joined: list[Assembly] = []
    taken: set[int] = set()
    for main in assemblies:
        beside = [other for other in assemblies if _lies_beside(other, main)]
        fitting = [other for other in beside if _why_not(other, main) is None]
        fitting.sort(key=lambda other: other.slices[0][0].echo_ms or 0.0)
        found = main
        if fitting and main.arterial is None:
            found = _with_series(main, fitting[0])
            if isinstance(found.arterial, ArterialFrames):
                taken.add(id(fitting[0]))
        notes = [
            f"{NOT_USED}, {_named(other)}: {why}"
            for other in beside
            if (why := _why_not(other, main))
        ]
        joined.append(replace(found, notes=(*found.notes, *notes)))
    return [one for one, was in zip(joined, assemblies, strict=True) if id(was) not in taken]


def _lies_beside(other: Assembly, main: Assembly) -> bool:
    """Tell whether a series of a lower resolution was acquired along with another one."""
    low, usual = other.slices[0][0], main.slices[0][0]
    beats = other.shape[0], main.shape[0]
    return (
        other is not main
        and usual.instance.modality == low.instance.modality == "MR"
        and LEAST_BEATS <= beats[1] <= 2 * beats[0]
        and _whose(low) == _whose(usual)
        and low.rows * low.columns < usual.rows * usual.columns
        and overlap(other, main)
    )


def _why_not(other: Assembly, main: Assembly) -> str | None:
    """Return why a series beside another does not sample its arterial input; None if it does."""
    low, usual = other.slices[0][0], main.slices[0][0]
    turned = max(
        float(np.abs(low.plane.row_cosines - usual.plane.row_cosines).max()),
        float(np.abs(low.plane.column_cosines - usual.plane.column_cosines).max()),
    )
    if turned > SAME_DIRECTION:
        return "it lies in another orientation"
    normal = usual.plane.normal
    heights = [float(members[0].plane.position_mm @ normal) for members in main.slices]
    for members in other.slices:
        height = float(members[0].plane.position_mm @ normal)
        if min(abs(height - own) for own in heights) > HEIGHT_TOLERANCE_MM:
            return "it lies on none of the slices"
    if not has_shorter_delay(low, usual):
        return "it states no shorter delay as Inversion Time (0018,0082)"
    return None


def _with_series(main: Assembly, other: Assembly) -> Assembly:
    """Return a series with another one's frames as images of its arterial input."""
    found = with_arterial(main, other.frames)
    if found.arterial is None:
        return found
    told = f"{_named(other)} kept as images of its arterial input"
    return replace(found, instances=(*main.instances, *other.instances), notes=(*found.notes, told))


def _whose(frame: Frame) -> tuple[object, ...]:
    """Return study, patient and space of a frame."""
    instance = frame.instance
    return instance.study_instance_uid, instance.patient, frame.plane.frame_of_reference_uid


def _named(assembly: Assembly) -> str:
    """Return how notes name a series."""
    return f"series {assembly.slices[0][0].instance.series_instance_uid}"
