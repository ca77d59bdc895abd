"""Split off the frames of a perfusion series that are not its first pass.

Scanners put proton-density frames before the bolus, and the low-resolution images of a dual
sequence that sample the arterial input function [GAT2004]_, into the series of the perfusion
images. They show the same slices with another matrix, flip angle, echo time, delay or sequence.
Those of the dual sequence are kept beside the series. A frame that differs and is not of that
pattern is an intruder, and the series is refused.

References
----------
.. [GAT2004] P. D. Gatehouse et al., Accurate assessment of the arterial input function during
   high-dose myocardial perfusion cardiovascular magnetic resonance, Journal of Magnetic Resonance
   Imaging 20:39 (2004), doi:10.1002/jmri.20054.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import InconsistentSeries
from pipeline.ingest.consistency import grouped
from pipeline.ingest.frame import Frame, TimeKeys, listed

HEIGHT_TOLERANCE_MM = 0.1
"""Frames whose heights along the normal differ by less show the same slice."""

ORDER_KEYS = ("acquisition_s", "content_s", "temporal_position", "instance_number")
"""Keys that may show that frames were acquired before or after all others."""

TIME_KEYS = ORDER_KEYS[:3]
"""Keys that may show that frames were acquired along with others: numbers may be given later."""

LEAST_BEATS = 3
"""A course has so many beats, at least."""

COARSER = 1.3
"""Pixels whose area is larger by this factor are of a lower resolution."""

SHORTER = 0.75
"""A delay below this share of another is a shorter one: slices of one saturation differ by less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """The frames of a series by what they are for."""

    main: list[Frame]
    """The first pass."""

    arterial: list[Frame]
    """The course of low resolution, or of a shorter delay, that runs along with it; none where
    there is none."""

    notes: tuple[str, ...]
    """What was split off."""


def split_off(frames: Sequence[Frame]) -> Split:
    """Return the first pass of a series, what samples its input, and a note on all else.

    Raises
    ------
    InconsistentSeries
        If the frames of another kind are not additional images of the same slices: another matrix
        or pixel spacing on one slice, or on one beat.
    """
    kinds = [part for kind in grouped(frames, _kind) for part in _by_delay(kind)]
    if len(kinds) == 1:
        return Split(main=list(frames), arterial=[], notes=())
    main = _first_pass(kinds)
    others = [kind for kind in kinds if kind is not main]
    for kind in others:
        _require_additional(kind, main, _difference(kind[0], main[0]))
    arterial = _arterial(others, main)
    notes = [
        f"{len(kind)} frames {_told(kind, main, arterial)}: {_difference(kind[0], main[0])}"
        for kind in others
    ]
    used = arterial if _is_in_place(arterial, main) else []
    return Split(main=main, arterial=used, notes=tuple(notes))


def is_arterial(odd: Frame, usual: Frame) -> bool:
    """Tell whether a frame can be one of a dual sequence's images of the arterial input.

    Parameters
    ----------
    odd
        A frame that was acquired along with others.
    usual
        One of the others.
    """
    fewer = odd.rows * odd.columns < usual.rows * usual.columns
    return fewer or _area(odd) >= COARSER * _area(usual) or has_shorter_delay(odd, usual)


def has_shorter_delay(odd: Frame, usual: Frame) -> bool:
    """Tell whether a frame states a delay after saturation that is shorter than another's."""
    if odd.delay_ms is None or usual.delay_ms is None:
        return False
    return 0 < odd.delay_ms < SHORTER * usual.delay_ms


def _kind(frame: Frame) -> tuple[object, ...]:
    """Return what all frames of one kind share."""
    spacing = tuple(round(v, 4) for v in frame.plane.pixel_spacing_mm)
    return (frame.rows, frame.columns, spacing, *frame.contrast)


def _by_delay(kind: list[Frame]) -> list[list[Frame]]:
    """Return a kind as it is, or as two courses of which one has a shorter delay.

    Slices of one saturation have delays of their own: these are told by their heights.
    """
    parts = grouped(kind, lambda f: f.delay_ms)
    if len(parts) != 2:
        return [kind]
    one, other = sorted(parts, key=lambda part: part[0].delay_ms or 0.0)
    fewer, more = sorted((_n_beats(one), _n_beats(other)))
    are_courses = fewer >= LEAST_BEATS and 2 * fewer >= more
    same_slice = not set(_counts(one)).isdisjoint(_counts(other))
    return parts if are_courses and same_slice and has_shorter_delay(one[0], other[0]) else [kind]


def _first_pass(kinds: list[list[Frame]]) -> list[Frame]:
    """Return the kind that is the first pass.

    Of those that have a beat for about each beat, that of most slices, and of these the one of the
    highest resolution: the images of low resolution may be as many, or one more.
    """
    most = max(_n_beats(kind) for kind in kinds)
    courses = [kind for kind in kinds if 2 * _n_beats(kind) >= most]
    return max(
        courses,
        key=lambda k: (len(_counts(k)), k[0].rows * k[0].columns, len(k), k[0].delay_ms or 0.0),
    )


def _arterial(others: list[list[Frame]], main: list[Frame]) -> list[Frame]:
    """Return the kind that samples the input of the main one; the first echo of several."""
    found = [
        kind
        for kind in others
        if 2 * _n_beats(kind) >= _n_beats(main) >= LEAST_BEATS
        and _runs_along(kind, main)
        and is_arterial(kind[0], main[0])
    ]
    return min(found, key=lambda kind: kind[0].echo_ms or 0.0, default=[])


def _told(kind: list[Frame], main: list[Frame], arterial: list[Frame]) -> str:
    """Return in words what became of a kind."""
    if kind is not arterial:
        return "split off"
    if not _is_in_place(kind, main):
        return "of the arterial input not used, they lie on none of its slices"
    return "kept as images of its arterial input"


def _difference(odd: Frame, usual: Frame) -> str:
    """Return in words what tells two kinds apart."""
    parts = []
    if (odd.rows, odd.columns) != (usual.rows, usual.columns):
        parts.append(f"matrix {odd.rows}x{odd.columns} against {usual.rows}x{usual.columns}")
    elif _kind(odd)[2] != _kind(usual)[2]:
        spacings = ["x".join(f"{v:g}" for v in f.plane.pixel_spacing_mm) for f in (odd, usual)]
        parts.append(f"PixelSpacing (0028,0030) {spacings[0]} mm against {spacings[1]} mm")
    parts += [
        f"{o} against {u}" for o, u in zip(odd.contrast, usual.contrast, strict=True) if o != u
    ]
    if has_shorter_delay(odd, usual):
        parts.append(f"delay {odd.delay_ms:g} ms against {usual.delay_ms:g} ms")
    return ", ".join(parts)


def _require_additional(kind: list[Frame], main: list[Frame], difference: str) -> None:
    """Refuse a kind that replaces frames of the main one instead of adding to them.

    A course of a shorter delay replaces none, wherever it lies.
    """
    even = all(len(set(_counts(each).values())) == 1 for each in (kind, main))
    added = _is_in_place(kind, main) or has_shorter_delay(kind[0], main[0])
    is_course = 2 * _n_beats(kind) >= _n_beats(main)
    if not (added and even and (is_course or _is_apart(kind, main))):
        raise InconsistentSeries(f"{difference}: {listed([f.named for f in kind])}")


def _is_in_place(kind: list[Frame], main: list[Frame]) -> bool:
    """Tell whether a kind shows slices of the main one only."""
    return set(_counts(kind)) <= set(_counts(main))


def _is_apart(kind: list[Frame], main: list[Frame]) -> bool:
    """Tell whether a kind was acquired before or after all of the main one."""
    return any(_overlaps(kind, main, key) is False for key in ORDER_KEYS)


def _runs_along(kind: list[Frame], main: list[Frame]) -> bool:
    """Tell whether a kind was acquired along with the main one, by the first key that tells."""
    found = (_overlaps(kind, main, key) for key in TIME_KEYS)
    return next((told for told in found if told is not None), False)


def _overlaps(kind: list[Frame], main: list[Frame], key: str) -> bool | None:
    """Tell whether two kinds overlap by a key; None where frames lack it."""
    odd, usual = _values(kind, key), _values(main, key)
    if not odd or not usual:
        return None
    return max(odd) >= min(usual) and min(odd) <= max(usual)


def _counts(frames: list[Frame]) -> Counter[int]:
    """Return how many frames lie at each height, in steps of the tolerance."""
    return Counter(round(f.height_mm / HEIGHT_TOLERANCE_MM) for f in frames)


def _n_beats(frames: list[Frame]) -> int:
    """Return how many frames the slice of most of them has."""
    return max(_counts(frames).values())


def _area(frame: Frame) -> float:
    """Return the area of a pixel [mm2]."""
    rows_mm, columns_mm = frame.plane.pixel_spacing_mm
    return rows_mm * columns_mm


def _values(frames: list[Frame], key: str) -> list[float]:
    """Return a time key of each frame; none where one lacks it."""
    values = [_key(frame.times, key) for frame in frames]
    return [v for v in values if v is not None] if None not in values else []


def _key(times: TimeKeys, key: str) -> float | None:
    """Return a time key by name."""
    value: float | None = getattr(times, key)
    return value
