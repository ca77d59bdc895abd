"""Split off the frames of a perfusion series that are not its first pass.

Scanners put proton-density frames before the bolus, and the low-resolution images of a dual
sequence that sample the arterial input function, into the series of the perfusion images. They
show the same slices with another matrix, flip angle, echo time or sequence. A frame that differs
and is not of that pattern is an intruder, and the series is refused.
"""

from collections import Counter
from collections.abc import Sequence

from pipeline.errors import InconsistentSeries
from pipeline.ingest.consistency import grouped
from pipeline.ingest.frame import Frame, TimeKeys, listed

HEIGHT_TOLERANCE_MM = 0.1
"""Frames whose heights along the normal differ by less show the same slice."""

ORDER_KEYS = ("acquisition_s", "content_s", "temporal_position", "instance_number")
"""Keys that may show that frames were acquired before or after all others."""


def split_off(frames: Sequence[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """Return the frames of the largest kind, and a note on each other kind.

    Raises
    ------
    InconsistentSeries
        If the frames of another kind are not additional images of the same slices: another matrix
        or pixel spacing on one slice, or on one beat.
    """
    kinds = grouped(frames, _kind)
    if len(kinds) == 1:
        return list(frames), ()
    main = max(kinds, key=lambda kind: (len(kind), kind[0].rows * kind[0].columns))
    notes = []
    for kind in kinds:
        if kind is not main:
            difference = _difference(kind[0], main[0])
            _require_additional(kind, main, difference)
            notes.append(f"{len(kind)} frames split off: {difference}")
    return main, tuple(notes)


def _kind(frame: Frame) -> tuple[object, ...]:
    """Return what all frames of one kind share."""
    spacing = tuple(round(v, 4) for v in frame.plane.pixel_spacing_mm)
    return (frame.rows, frame.columns, spacing, *frame.contrast)


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
    return ", ".join(parts)


def _require_additional(kind: list[Frame], main: list[Frame], difference: str) -> None:
    """Refuse a kind that replaces frames of the main one instead of adding to them."""
    main_counts = _counts(main)
    counts = _counts(kind)
    in_place = set(counts) <= set(main_counts)
    even = len(set(counts.values())) == 1 and len(set(main_counts.values())) == 1
    if not (in_place and even and _is_apart_or_a_course(kind, main, max(counts.values()))):
        raise InconsistentSeries(f"{difference}: {listed([f.named for f in kind])}")


def _is_apart_or_a_course(kind: list[Frame], main: list[Frame], n_beats: int) -> bool:
    """Tell whether a kind lies before or after the main one, or runs along with it."""
    main_beats = max(_counts(main).values())
    if 2 * n_beats >= main_beats:
        return True
    for key in ORDER_KEYS:
        odd, usual = _values(kind, key), _values(main, key)
        if odd and usual and (max(odd) < min(usual) or min(odd) > max(usual)):
            return True
    return False


def _counts(frames: list[Frame]) -> Counter[int]:
    """Return how many frames lie at each height, in steps of the tolerance."""
    return Counter(round(f.height_mm / HEIGHT_TOLERANCE_MM) for f in frames)


def _values(frames: list[Frame], key: str) -> list[float]:
    """Return a time key of each frame; none where one lacks it."""
    values = [_key(frame.times, key) for frame in frames]
    return [v for v in values if v is not None] if None not in values else []


def _key(times: TimeKeys, key: str) -> float | None:
    """Return a time key by name."""
    value: float | None = getattr(times, key)
    return value
