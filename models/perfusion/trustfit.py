"""From a table of cases to a calibration: doubts, their weights, and the threshold of trust."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.perfusion.trustrows import Row
from pipeline.analyses.perfusion.guarantee import guaranteed_threshold
from pipeline.analyses.perfusion.trust import Doubt, TrustModel, scaled
from pipeline.analyses.perfusion.verdict import Signs
from pipeline.evaluate.cohort import FAILED_BELOW

BAD_WHEN_HIGH = (
    *("u_pp", "thickness_spread", "rise_ratio", "off_centre_mm", "motion_mm"),
    *("neighbour_distance_mm", "neighbour_area_ratio"),
)
"""Signs that speak against a segmentation when they are high."""

BAD_WHEN_LOW = (
    *("margin", "agreement", "chosen_agreement", "enclosed", "one_piece", "blood_rise"),
    *("wall_rise", "confidence"),
)
"""Signs that do when they are low."""

BAD_WHEN_AWAY = ("myocardium_area_mm2", "area_ratio", "lag_beats")
"""Signs that do on both sides of what is typical."""

GOOD_QUANTILE, BAD_QUANTILE = 0.75, 0.9
"""A doubt begins where a quarter of what went well looks worse, and is whole where only a tenth of
what failed does."""

RIDGE = 0.2
"""Weight of the squared weights beside the sum of the cases' losses."""

WEIGHED_FROM = 0.05
"""Signs of a smaller weight are left out, and the others fitted again."""

MOST_FAILURES, CONFIDENCE = 0.1, 0.9
"""What the threshold of the shipped calibration is meant to keep."""

GROUPS_FITTED = ("patient10", "patient26")
"""Patients whose cases the weights come from; those of the third give the threshold."""


def fitted(rows: Sequence[Row], pool: str, stride: int) -> TrustModel:
    """Return the calibration of a pool.

    Parameters
    ----------
    rows
        The cases.
    pool
        Digest of the pool.
    stride
        Stride of the uncertainty map that they were made with.
    """
    kept = [row for row in rows if row.signs is not None]
    first = [row for row in kept if _is_fitted(row)]
    second = [row for row in kept if not _is_fitted(row)]
    signs, failed = _split(first)
    doubts = [
        d
        for name in (*BAD_WHEN_HIGH, *BAD_WHEN_LOW, *BAD_WHEN_AWAY)
        if (d := _doubt(name, signs, failed)) is not None
    ]
    doubts, intercept = _weighed(doubts, signs, failed)
    doubts, intercept = _weighed([d for d in doubts if d.weight >= WEIGHED_FROM], signs, failed)
    model = TrustModel(
        pool=pool,
        uncertainty_stride=stride,
        failed_below=FAILED_BELOW,
        doubts=tuple(doubts),
        intercept=intercept,
        trusted_up_to=None,
        guarantee=None,
        made_from=(
            f"{len(first)} slices for the weights and {len(second)} for the threshold, generated "
            "or real, most of them spoilt on purpose"
        ),
    )
    signs, failed = _split(second)
    scores = np.array([model.failure_probability(s) for s in signs])
    threshold = guaranteed_threshold(scores, failed, MOST_FAILURES, CONFIDENCE)
    if threshold is None:
        return model
    return replace(model, trusted_up_to=threshold[0], guarantee=threshold[1])


def _is_fitted(row: Row) -> bool:
    """Tell whether a case gives weights; else it gives the threshold."""
    if row.group.startswith("generated"):
        return int(row.group.split()[1]) % 2 == 0
    return row.group in GROUPS_FITTED


def _split(rows: Sequence[Row]) -> tuple[list[Signs], NDArray[np.bool_]]:
    """Return signs and failures of cases."""
    signs = [row.signs for row in rows if row.signs is not None]
    return signs, np.array([row.dice < FAILED_BELOW for row in rows])


def _doubt(name: str, signs: Sequence[Signs], failed: NDArray[np.bool_]) -> Doubt | None:
    """Return a sign's doubt without its weight; None where failures differ from nothing."""
    values = [scaled(name, s) for s in signs]
    there = np.array([v is not None for v in values])
    found = np.array([v for v in values if v is not None])
    good, bad = found[~failed[there]], found[failed[there]]
    if not len(good) or not len(bad):
        return None
    typical = float(np.median(good)) if name in BAD_WHEN_AWAY else None
    if typical is not None:
        good, bad = np.abs(good - typical), np.abs(bad - typical)
    none, full = GOOD_QUANTILE, BAD_QUANTILE
    if name in BAD_WHEN_LOW:
        none, full = 1 - GOOD_QUANTILE, 1 - BAD_QUANTILE
    none_at, full_at = float(np.quantile(good, none)), float(np.quantile(bad, full))
    if (full_at - none_at) * (-1 if name in BAD_WHEN_LOW else 1) <= 0:
        return None
    return Doubt(name=name, typical=typical, none_at=none_at, full_at=full_at, weight=0.0)


def _weighed(
    doubts: Sequence[Doubt], signs: Sequence[Signs], failed: NDArray[np.bool_]
) -> tuple[list[Doubt], float]:
    """Return doubts with the weights of a logistic regression, none below 0, and the intercept."""
    table = np.array([[d.of(s) for d in doubts] for s in signs])

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, intercept = parameters[:-1], parameters[-1]
        odds = table @ weights + intercept
        away = 1 / (1 + np.exp(-odds)) - failed
        value = np.logaddexp(0, odds).sum() - odds[failed].sum() + RIDGE * (weights**2).sum()
        slope = np.append(table.T @ away + 2 * RIDGE * weights, away.sum())
        return float(value), slope

    start = np.append(np.full(len(doubts), 0.5), -2.0)
    bounds = [(0.0, None)] * len(doubts) + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weighed = [replace(d, weight=float(w)) for d, w in zip(doubts, found[:-1], strict=True)]
    return weighed, float(found[-1])
