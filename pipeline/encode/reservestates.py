"""What the results of rest and stress say, for the page of their reserve: from their outcomes.

An outcome of an earlier version lacks what that version did not know: it is told as not known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.analyses.perfusion.flow.result import FERMI
from pipeline.analyses.perfusion.segmentnames import Layer

Interval = tuple[float, float, float]
"""A flow and the ends of its interval of 95 % [ml/min/g]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceSummary:
    """What is known of a slice of one state. None where its result does not tell it."""

    slice_index: int
    """From 0."""

    verdict: str | None
    """How far its segmentation can be trusted."""

    failure_probability: float | None
    """Probability that it failed, 0 to 1."""

    motion_mm: float | None
    """Mean displacement between neighbouring beats [mm]."""

    residual_motion_mm: float | None
    """Mean displacement that is left after correction [mm]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowSummary:
    """What is known of the flow of one state."""

    basis: str | None
    """What it is made of; None where there is none."""

    refused: str | None
    """Why there is none."""

    walls: Mapping[tuple[int | None, str], Interval] = field(default_factory=dict)
    """Of the wall, by slice from 0 (None for the mean of all) and method."""

    segments: Mapping[int, float] = field(default_factory=dict)
    """By segment, over its wall and its slices, by a Fermi function [ml/min/g]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StateSummary:
    """What the result of one state says."""

    job_id: str
    """Its job."""

    bundle: str
    """Name and version of its model."""

    bundle_digest: str
    """SHA-256 of its model, hexadecimal."""

    upslopes: Mapping[int, float]
    """Relative upslope of each segment over its wall and its slices [1]."""

    slices: tuple[SliceSummary, ...]
    """Its slices, ascending."""

    flow: FlowSummary | None
    """Its flow; None of a version that knew none."""

    notes: tuple[str, ...]
    """What a reader should know of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BothStates:
    """What both results say."""

    rest: StateSummary
    """At rest."""

    stress: StateSummary
    """Under stress."""

    measure: str
    """Which relative upslope is compared: one of ``MEASURES``."""

    notes: tuple[str, ...]
    """What a reader should know of the reserve."""


def slices_of(outcome: Mapping[str, object]) -> tuple[SliceSummary, ...]:
    """Return what an outcome tells of its slices.

    Parameters
    ----------
    outcome
        Outcome of a perfusion job, as JSON values.
    """
    judged = {
        each.get("slice_index"): each for each in _items(_map(outcome.get("trust")), "slices")
    }
    found = []
    for each in _items(outcome, "uncertainty"):
        index = each.get("slice_index")
        if isinstance(index, int):
            trust = judged.get(index, {})
            verdict = trust.get("verdict")
            found.append(
                SliceSummary(
                    slice_index=index,
                    verdict=None if verdict is None else str(verdict),
                    failure_probability=_number(trust, "failure_probability"),
                    motion_mm=_number(each, "motion_mm"),
                    residual_motion_mm=_number(each, "residual_motion_mm"),
                )
            )
    return tuple(sorted(found, key=lambda one: one.slice_index))


def flow_of(outcome: Mapping[str, object]) -> FlowSummary | None:
    """Return what an outcome tells of flow; None of one that knows of none.

    Parameters
    ----------
    outcome
        Outcome of a perfusion job, as JSON values.
    """
    flow = outcome.get("flow")
    if not isinstance(flow, Mapping):
        return None
    basis, refused = flow.get("basis"), flow.get("refused")
    walls: dict[tuple[int | None, str], Interval] = {}
    segments: dict[int, list[float]] = {}
    for place, method, interval in _estimates(flow):
        index, segment = place
        if segment is None:
            walls[index, method] = interval
        elif method == FERMI:
            segments.setdefault(segment, []).append(interval[0])
    return FlowSummary(
        basis=None if basis is None else str(basis),
        refused=None if refused is None else str(refused),
        walls=walls,
        segments={segment: float(np.mean(values)) for segment, values in segments.items()},
    )


def notes_of(outcome: Mapping[str, object]) -> tuple[str, ...]:
    """Return the notes of an outcome."""
    found = outcome.get("notes")
    return tuple(str(note) for note in found) if isinstance(found, Sequence) else ()


def _estimates(
    flow: Mapping[str, object],
) -> Iterator[tuple[tuple[int | None, int | None], str, Interval]]:
    """Yield place, method and numbers of each estimate over all of a wall."""
    for each in _items(flow, "estimates"):
        index, segment = each.get("slice_index"), each.get("segment")
        numbers = [_number(each, f"{end}_ml_min_g") for end in ("flow", "low", "high")]
        known = [number for number in numbers if number is not None]
        if each.get("layer") == Layer.WALL and len(known) == len(numbers):
            flow_, low, high = known
            place = _whole(index), _whole(segment)
            yield place, str(each.get("method")), (flow_, low, high)


def _whole(value: object) -> int | None:
    """Return a number of a slice or of a segment; None where there is none."""
    return value if isinstance(value, int) else None


def _map(value: object) -> Mapping[str, object]:
    """Return what has parts; nothing where it is none."""
    return value if isinstance(value, Mapping) else {}


def _items(of: Mapping[str, object], key: str) -> Iterator[Mapping[str, object]]:
    """Yield the items of a list that have parts."""
    found = of.get(key)
    for each in found if isinstance(found, Sequence) else ():
        if isinstance(each, Mapping):
            yield each


def _number(of: Mapping[str, object], key: str) -> float | None:
    """Return a number; None where there is none."""
    value = of.get(key)
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None
