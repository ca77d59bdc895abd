"""What the page shows of how far a result of perfusion can be trusted: verdict, motion, flow."""

from dataclasses import dataclass
from math import isfinite

from pipeline.review.jsonfiles import Json, items, number, numbers, table, text, texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """How far the segmentation of a slice can be trusted."""

    verdict: str
    """``trusted``, ``review``, ``not trusted`` or ``not calibrated``."""

    failure_probability: float | None
    """Probability that the segmentation has failed; null without a calibration."""

    against: tuple[str, ...]
    """The signs that speak against it, the strongest first, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InsertionPoints:
    """Where the right ventricle meets the left one on a slice."""

    anterior: tuple[float, float, float]
    """In front [mm], LPS+."""

    inferior: tuple[float, float, float]
    """Below [mm], LPS+."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowOfAll:
    """Flow of the wall of all slices."""

    method: str
    """The way to deconvolve."""

    flow_ml_min_g: float
    """Flow [ml/min/g]."""

    low_ml_min_g: float | None
    """Lower end of its interval of 95 % [ml/min/g]."""

    high_ml_min_g: float | None
    """Upper end [ml/min/g]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """Myocardial blood flow, or why there is none."""

    basis: str | None
    """What the curves are; null where flow is refused."""

    refused: str | None
    """Why there is no flow; null where there is one."""

    estimates: tuple[FlowOfAll, ...]
    """Flow of the mean of all slices, by each way to deconvolve."""


def trust_of(outcome: Json) -> dict[int, Trust]:
    """Return how far each slice can be trusted; none where that was not judged.

    Parameters
    ----------
    outcome
        The outcome of a job: another version may have written it.
    """
    return {
        int(number(each, "slice_index") or 0): Trust(
            verdict=text(each, "verdict"),
            failure_probability=number(each, "failure_probability"),
            against=tuple(sign for sign in texts(each, "against") if sign),
        )
        for each in items(table(outcome, "trust"), "slices")
    }


def insertions_of(outcome: Json) -> dict[int, InsertionPoints]:
    """Return the insertions of each slice where they are known.

    Parameters
    ----------
    outcome
        The outcome of a job.
    """
    found = {}
    for each in items(outcome, "aha_slices"):
        anterior, inferior = (
            _point(each, f"{name}_insertion_lps_mm") for name in ("anterior", "inferior")
        )
        if anterior is not None and inferior is not None:
            index = int(number(each, "slice_index") or 0)
            found[index] = InsertionPoints(anterior=anterior, inferior=inferior)
    return found


def residual_motion_of(found: Json) -> float | None:
    """Return the motion that is left on a slice [mm]; None where it was not measured.

    Parameters
    ----------
    found
        What was found on the slice. Before it was measured what is left, the mean step between
        beats went by that name, and there was no ``motion_mm``.
    """
    value = number(found, "residual_motion_mm") if "motion_mm" in found else None
    return value if value is not None and isfinite(value) else None


def flow_of(outcome: Json) -> Flow | None:
    """Return flow; None where nobody asked for it.

    Parameters
    ----------
    outcome
        The outcome of a job.
    """
    flow = table(outcome, "flow")
    if not flow:
        return None
    return Flow(
        basis=text(flow, "basis") or None,
        refused=text(flow, "refused") or None,
        estimates=tuple(
            FlowOfAll(
                method=text(each, "method"),
                flow_ml_min_g=value,
                low_ml_min_g=number(each, "low_ml_min_g"),
                high_ml_min_g=number(each, "high_ml_min_g"),
            )
            for each in items(flow, "estimates")
            if each.get("slice_index") is None
            and each.get("segment") is None
            and (value := number(each, "flow_ml_min_g")) is not None
        ),
    )


def _point(of: Json, key: str) -> tuple[float, float, float] | None:
    """Return a point in the patient; None if there is none."""
    match numbers(of, key):
        case (float(x), float(y), float(z)) if isfinite(x + y + z):
            return x, y, z
    return None
