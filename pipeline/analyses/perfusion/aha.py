"""How contrast arrives in each segment of the myocardium."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.features import baseline_of, features_of, mean_curve
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.measure import relative, told
from pipeline.analyses.perfusion.result import (
    BLOOD_POOL,
    AhaResult,
    AhaSlice,
    SegmentMeasurement,
)
from pipeline.analyses.perfusion.rightventricle import (
    Contact,
    contact_of,
    right_ventricle,
)
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES, Layer
from pipeline.analyses.perfusion.segments import (
    ANTERIOR_LPS,
    Level,
    is_short_axis,
    layer_masks,
    levels_of,
    segment_numbers,
)
from pipeline.analyses.perfusion.sequence import ReadOut
from pipeline.imaging.volume import TimeSeries

FEWEST_POINTS = 4
"""A segment or a layer of fewer points of the model's grid is not measured."""

ANTERIOR_SHARE = 0.3
"""The anterior insertion lies in front of and above the inferior one by this share of their
distance, at least; it is 0.85 in a heart that lies as usual."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Insertions:
    """Where the right ventricle meets the left one on a slice, as a person sees it."""

    anterior_lps_mm: tuple[float, float, float]
    """In front [mm], LPS+: the segments are counted from here."""

    inferior_lps_mm: tuple[float, float, float]
    """Below [mm], LPS+: on which side of the ventricle the septum lies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentedSlice:
    """A slice on which the left ventricle was found, on the model's grid."""

    slice_index: int
    """From 0, along the series' slice axis."""

    square: NDArray[np.float32]
    """All beats, corrected for motion. Shape ``(beats, size, size)``."""

    classes: NDArray[np.uint8]
    """Segmentation. Shape ``(size, size)``."""

    grid: SliceGrid
    """Where the square lies on the slice."""

    insertions: Insertions | None = None
    """What a person has said of its insertions; None has them found."""

    shifts_mm: NDArray[np.float64] | None = None
    """Where the heart lies on each beat, relative to its place in the segmentation, along rows and
    columns [mm]; None where it stands still. Shape ``(beats, 2)``."""


def measure_segments(
    found: Sequence[SegmentedSlice], image: TimeSeries, read_out: ReadOut | None = None
) -> AhaResult:
    """Return how contrast arrives in each segment.

    Parameters
    ----------
    found
        Slices on which the left ventricle was found, ascending.
    image
        The series.
    read_out
        Its sequence; None where it is not known.
    """
    normal = image.affine[:3, 0] / np.linalg.norm(image.affine[:3, 0])
    if not found:
        return AhaResult()
    if not is_short_axis(normal):
        told = "no segments: by their place in the patient the slices are no short-axis slices"
        return AhaResult(notes=(told,))
    levels = levels_of([s.slice_index for s in found], normal)
    slices: list[AhaSlice] = []
    measurements: list[SegmentMeasurement] = []
    curves: dict[tuple[int, int], NDArray[np.float64]] = {}
    layer_curves: dict[tuple[int, int, str], NDArray[np.float64]] = {}
    notes = list(_notes_of(levels))
    for one in found:
        lying = _lying(one, image, levels[one.slice_index])
        if isinstance(lying, str):
            notes.append(f"slice {one.slice_index}: no segments: {lying}")
            continue
        place, numbers = lying
        slices.append(place)
        for number in (int(n) for n in np.unique(numbers) if n):
            curves[one.slice_index, number] = mean_curve(one.square, numbers == number)
        of_layers = {
            (one.slice_index, number, layer.value): curve
            for (number, layer), curve in _layer_curves(one, numbers)
        }
        layer_curves |= of_layers
        measurements += _measured(one, of_layers, image, read_out)
    return AhaResult(
        slices=tuple(slices),
        measurements=tuple(measurements),
        curves=curves,
        layer_curves=layer_curves,
        notes=tuple(notes),
    )


def _notes_of(levels: Mapping[int, Level]) -> Iterator[str]:
    """Yield how heights of few slices were told: nothing but their number and order is known."""
    if len(levels) < 3:
        told = ", ".join(f"slice {index} for {level}" for index, level in sorted(levels.items()))
        yield f"segments: heights are told by the order of the slices; taken are {told}"


def _lying(
    found: SegmentedSlice, image: TimeSeries, level: Level
) -> tuple[AhaSlice, NDArray[np.uint8]] | str:
    """Return how a slice lies and the segment of each point, or why that is not known."""
    contact = _contact(found, image)
    if contact is None:
        return "the first pass does not show the right ventricle beside the left one"
    start, end = (
        _insertion_lps(found, contact, angle, image)
        for angle in (contact.start_rad, contact.end_rad)
    )
    forward = float((start - end) @ ANTERIOR_LPS / np.linalg.norm(start - end))
    if abs(forward) < ANTERIOR_SHARE and found.insertions is None:
        return "neither insertion of the right ventricle lies in front of and above the other"
    starts_anterior = forward > 0
    if found.insertions is not None:
        starts_anterior = contact.start_rad == _angle(
            found, found.insertions.anterior_lps_mm, image
        )
    anterior, inferior = (start, end) if starts_anterior else (end, start)
    place = AhaSlice(
        slice_index=found.slice_index,
        level=level.value,
        anterior_insertion_lps_mm=_point(anterior),
        inferior_insertion_lps_mm=_point(inferior),
    )
    numbers = segment_numbers(found.classes, contact, level, starts_anterior=starts_anterior)
    return place, numbers


def _contact(found: SegmentedSlice, image: TimeSeries) -> Contact | None:
    """Return the septum's side of the wall: as the first pass shows it, or as a person says it."""
    spacing = found.grid.spacing_mm
    if found.insertions is None:
        right = right_ventricle(found.square, found.classes, spacing)
        return None if right is None else contact_of(right, found.classes, spacing)
    if not (found.classes == BLOOD_POOL).any():
        return None
    anterior, inferior = (
        _angle(found, point, image)
        for point in (found.insertions.anterior_lps_mm, found.insertions.inferior_lps_mm)
    )
    onwards = (inferior - anterior) % (2 * np.pi)
    # The septum is the shorter way round.
    if onwards <= np.pi:
        return Contact(centre=_centre(found), start_rad=anterior, extent_rad=onwards)
    return Contact(centre=_centre(found), start_rad=inferior, extent_rad=2 * np.pi - onwards)


def _centre(found: SegmentedSlice) -> tuple[float, float]:
    """Return the middle of a slice's blood pool ``(row, column)`` [points]."""
    row, column = (float(v) for v in np.argwhere(found.classes == BLOOD_POOL).mean(axis=0))
    return row, column


def _angle(
    found: SegmentedSlice, point_lps_mm: tuple[float, float, float], image: TimeSeries
) -> float:
    """Return the direction in which a point lies from the middle of the blood pool [rad]."""
    _, row, column, _ = np.linalg.inv(image.affine) @ (*point_lps_mm, 1.0)
    at = found.grid.of_slice(float(row), float(column))
    middle = _centre(found)
    return float(np.arctan2(at[0] - middle[0], at[1] - middle[1]))


def _insertion_lps(
    found: SegmentedSlice, contact: Contact, angle: float, image: TimeSeries
) -> NDArray[np.float64]:
    """Return where a direction leaves the left ventricle [mm], LPS+."""
    steps = np.arange(0.0, found.classes.shape[0], 0.25)
    rows = contact.centre[0] + np.sin(angle) * steps
    columns = contact.centre[1] + np.cos(angle) * steps
    size = found.classes.shape[0]
    inside = (rows >= 0) & (rows <= size - 1) & (columns >= 0) & (columns <= size - 1)
    rows, columns = rows[inside], columns[inside]
    wall = found.classes[np.rint(rows).astype(int), np.rint(columns).astype(int)] != 0
    last = int(np.flatnonzero(wall)[-1])
    row, column = found.grid.on_slice(float(rows[last]), float(columns[last]))
    point: NDArray[np.float64] = image.affine @ np.array([found.slice_index, row, column, 1.0])
    return point[:3]


def _layer_curves(
    found: SegmentedSlice, numbers: NDArray[np.uint8]
) -> Iterator[tuple[tuple[int, Layer], NDArray[np.float64]]]:
    """Yield the curve of each layer of each segment of a slice that is large enough."""
    layers = layer_masks(found.classes)
    for number in (int(n) for n in np.unique(numbers) if n):
        for layer, mask in layers.items():
            points = (numbers == number) & mask
            if points.sum() >= FEWEST_POINTS:
                yield (number, layer), mean_curve(found.square, points)


def _measured(
    found: SegmentedSlice,
    curves: Mapping[tuple[int, int, str], NDArray[np.float64]],
    image: TimeSeries,
    read_out: ReadOut | None,
) -> Iterator[SegmentMeasurement]:
    """Yield the numbers of each layer of each segment of a slice."""
    times = image.times_s[:, found.slice_index]
    blood = mean_curve(found.square, found.classes == BLOOD_POOL)
    before = baseline_of(blood, times)
    step = "{beat}" if image.times_are_estimated else "s"
    for (_, number, layer), curve in curves.items():
        values = list(told(features_of(curve, times, before), step))
        ratios = relative(curve, blood, times, (before, read_out))
        values += [(name, value, "1") for name, value in ratios]
        for name, value, unit in values:
            if np.isfinite(value):
                yield _measurement(found.slice_index, (number, layer), name, (value, unit))


def _measurement(
    index: int, where: tuple[int, str], name: str, measured: tuple[float, str]
) -> SegmentMeasurement:
    """Return a number of a segment."""
    number, layer = where
    return SegmentMeasurement(
        segment=number,
        segment_name=SEGMENT_NAMES[number],
        slice_index=index,
        layer=layer,
        name=name,
        value=measured[0],
        unit=measured[1],
    )


def _point(point: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return a point as plain numbers."""
    x, y, z = (float(v) for v in point)
    return x, y, z
