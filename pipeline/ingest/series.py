"""Put the frames of a series into slices and beats.

The stages downstream trust what leaves this module: one patient, one study, one regular grid, every
slice at every beat. A series that is not like that is refused with the instances that show it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.ingest.arterial import ArterialFrames, arterial_frames
from pipeline.ingest.beats import check_declared, order_beats
from pipeline.ingest.consistency import check_identity, check_space
from pipeline.ingest.contrast import split_off
from pipeline.ingest.frame import Frame, Instance
from pipeline.ingest.limits import Limits
from pipeline.ingest.slices import grid_affine, slices_of

NOT_USED = "images of the arterial input are not used"
"""Beginning of the note on images of a dual sequence that do not fit their series."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembly:
    """A series in order, its pixels still on disk."""

    slices: tuple[tuple[Frame, ...], ...]
    """Frames, indexed ``[slice][beat]``."""

    affine: NDArray[np.float64]
    """Maps ``(slice, row, column, 1)`` to ``(x, y, z, 1)`` [mm], LPS+. Shape ``(4, 4)``."""

    times_s: NDArray[np.float64]
    """Time since the first frame [s]. Shape ``(beats, slices)``."""

    times_are_estimated: bool
    """Whether beats are only counted, as one second each."""

    instances: tuple[Instance, ...]
    """All instances of the series, those that were split off too."""

    notes: tuple[str, ...]
    """What was noticed."""

    arterial: ArterialFrames | None = None
    """Images of a dual sequence that sample its arterial input; None where there are none."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Beats, slices, rows, columns."""
        first = self.slices[0][0]
        return len(self.slices[0]), len(self.slices), first.rows, first.columns

    @property
    def frames(self) -> list[Frame]:
        """All frames that were placed."""
        return [frame for members in self.slices for frame in members]


def assemble(instances: Sequence[Instance], frames: Sequence[Frame], limits: Limits) -> Assembly:
    """Place the frames of a series.

    Parameters
    ----------
    instances
        The instances of the series, each once.
    frames
        Their frames, in any order.
    limits
        What a series may hold.

    Raises
    ------
    InconsistentSeries
        If the frames do not make one regular image over time.
    UnreadableFile
        If they are more than the limits allow.
    """
    check_identity(instances)
    check_space(frames)
    check_declared(frames)
    split = split_off(frames)
    slices = slices_of(split.main)
    beats = order_beats(slices)
    assembly = Assembly(
        slices=beats.slices,
        affine=grid_affine(slices),
        times_s=beats.times_s,
        times_are_estimated=beats.times_are_estimated,
        instances=tuple(instances),
        notes=(*split.notes, *_count_note(instances, frames), *beats.notes),
    )
    if split.arterial:
        assembly = with_arterial(assembly, split.arterial)
    _check_size(assembly, limits)
    return assembly


def join_slices(assemblies: Sequence[Assembly], limits: Limits) -> list[Assembly]:
    """Join series of one slice each that are one acquisition; leave the others as they are.

    Some scanners write one series a slice. Such series share the study, the patient, the grid of a
    slice, the sequence and the number of beats, differ in position, and were acquired interleaved:
    their times overlap, which those of a stress and a rest study do not. If the slices joined are
    not evenly spaced, they stay apart.
    """
    joined: list[Assembly] = []
    waiting: list[Assembly] = []
    for assembly in assemblies:
        beats, n_slices = assembly.shape[:2]
        (waiting if n_slices == 1 and beats > 1 else joined).append(assembly)
    while waiting:
        first = waiting.pop(0)
        alike = [first]
        for other in list(waiting):
            if all(_one_acquisition(member, other) for member in alike):
                alike.append(other)
                waiting.remove(other)
        joined += _joined(alike, limits)
    order = {id(assembly): index for index, assembly in enumerate(assemblies)}
    return sorted(joined, key=lambda a: order.get(id(a), len(order)))


def _joined(alike: list[Assembly], limits: Limits) -> list[Assembly]:
    """Return one assembly of all slices, or all as they are where they make no regular grid."""
    if len(alike) == 1:
        return alike
    instances = [i for assembly in alike for i in assembly.instances]
    try:
        one = assemble(instances, [f for a in alike for f in a.frames], limits)
    except InconsistentSeries as error:
        note = f"slices of other series are alike but do not join: {error}"
        return [replace(a, notes=(*a.notes, note)) for a in alike]
    notes = dict.fromkeys(note for a in alike for note in a.notes)
    notes |= dict.fromkeys(one.notes)
    told = f"{len(alike)} series of one slice each joined"
    joined = replace(one, notes=(told, *notes))
    sampled = [a.arterial.frames for a in alike if a.arterial is not None]
    return [with_arterial(joined, sampled[0]) if sampled else joined]


def with_arterial(assembly: Assembly, frames: Sequence[Frame]) -> Assembly:
    """Return a series with the images that sample its arterial input, or with a note why not.

    Parameters
    ----------
    assembly
        The series.
    frames
        The images, in any order.
    """
    found = arterial_frames(frames, assembly.slices)
    if isinstance(found, str):
        return replace(assembly, notes=(*assembly.notes, f"{NOT_USED}: {found}"))
    return replace(assembly, arterial=found)


def _one_acquisition(one: Assembly, other: Assembly) -> bool:
    """Tell whether two single slices belong to one acquisition."""
    a, b = one.slices[0][0], other.slices[0][0]
    same_cosines = np.allclose(a.plane.row_cosines, b.plane.row_cosines, atol=1e-4) and np.allclose(
        a.plane.column_cosines, b.plane.column_cosines, atol=1e-4
    )
    return (
        one.shape == other.shape
        and same_cosines
        and _kind(a) == _kind(b)
        and abs(a.height_mm - b.height_mm) > 0.1
        and overlap(one, other)
    )


def _kind(frame: Frame) -> tuple[object, ...]:
    """Return what slices of one acquisition share."""
    spacing = tuple(round(v, 4) for v in frame.plane.pixel_spacing_mm)
    study, patient = frame.instance.study_instance_uid, frame.instance.patient
    return (study, patient, frame.plane.frame_of_reference_uid, spacing, *frame.contrast)


def overlap(one: Assembly, other: Assembly) -> bool:
    """Tell whether two slices were acquired interleaved: for most of their time together."""
    first, second = _span(one), _span(other)
    if first is None or second is None:
        return first is second
    shared = min(first[1], second[1]) - max(first[0], second[0])
    return shared >= 0.5 * min(first[1] - first[0], second[1] - second[0])


def _span(assembly: Assembly) -> tuple[float, float] | None:
    """Return when a series was acquired, from and to [s]; None where it is not stated."""
    for key in ("acquisition_s", "content_s"):
        found = [getattr(frame.times, key) for frame in assembly.frames]
        if None not in found:
            return min(found), max(found)
    return None


def _count_note(instances: Sequence[Instance], frames: Sequence[Frame]) -> tuple[str, ...]:
    """Return a note where the series states more images than it has."""
    stated = {i.images_in_acquisition for i in instances}
    if len(stated) != 1:
        return ()
    (n_stated,) = stated
    if n_stated is None or n_stated <= len(frames):
        return ()
    return (f"Images in Acquisition (0020,1002) is {n_stated}, {len(frames)} were found",)


def _check_size(assembly: Assembly, limits: Limits) -> None:
    """Refuse a series that is too large to hold."""
    shapes = [assembly.shape, *([assembly.arterial.shape] if assembly.arterial else [])]
    n_frames = sum(beats * slices for beats, slices, _, _ in shapes)
    n_bytes = sum(4 * math.prod(int(n) for n in shape) for shape in shapes)
    if n_frames > limits.max_frames or n_bytes > limits.max_pixel_bytes:
        raise UnreadableFile(
            f"{n_frames} frames of {n_bytes} bytes, limits {limits.max_frames} and "
            f"{limits.max_pixel_bytes}"
        )
