"""Whether a score warns of failures: the area under its curve, the risk of what it lets through.

The limits of the area are percentiles of bootstrap samples of patients, not of series: those of a
patient are alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

ROUNDS = 2000
"""Bootstrap samples."""

SEED = 0
"""Of the bootstrap: the same series give the same limits."""

PERCENTILES = (2.5, 97.5)
"""Limits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned:
    """How well a score warns of failures."""

    score: str
    """Its name."""

    n_cases: int
    """Cases."""

    n_failed: int
    """Failures among them."""

    auroc: float | None
    """Probability that a failure has a higher score than a success; None where one is missing."""

    auroc_limits: tuple[float, float] | None
    """95 % limits; None without an area."""

    coverage: tuple[float, ...]
    """Share of cases that are let through, growing with the threshold."""

    risk: tuple[float, ...]
    """Share of failures among them."""

    mean_risk: float
    """Mean of the risk over all coverages: 0 is perfect."""


def warned(
    score: str, values: Sequence[float], failed: Sequence[bool], patients: Sequence[str]
) -> Warned:
    """Return how well a score warns of failures.

    Parameters
    ----------
    score
        Its name.
    values
        Score of each case, growing with doubt; infinite is possible.
    failed
        Whether it has failed.
    patients
        Whose it is.
    """
    doubts, bad = np.asarray(values, dtype=np.float64), np.asarray(failed, dtype=np.bool_)
    coverage, risk = let_through(doubts, bad)
    return Warned(
        score=score,
        n_cases=len(bad),
        n_failed=int(bad.sum()),
        auroc=auroc(doubts, bad),
        auroc_limits=_limits(doubts, bad, np.asarray(patients)),
        coverage=tuple(float(c) for c in coverage),
        risk=tuple(float(r) for r in risk),
        mean_risk=float((risk * np.diff(coverage, prepend=0.0)).sum()),
    )


def let_through(
    values: NDArray[np.float64], failed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return which share of cases goes through at each threshold, and how many of them failed.

    Parameters
    ----------
    values
        Scores, growing with doubt. Shape ``(cases,)``.
    failed
        Whether a case has failed. Same shape.

    Returns
    -------
        Share of all cases, and share of failures among them; a value for each score that occurs,
        ascending: cases of one score go through together or not at all.
    """
    order = np.argsort(values, kind="stable")
    counts = np.arange(1, len(failed) + 1)
    risk = np.cumsum(failed[order]) / counts
    last = np.append(values[order][1:] > values[order][:-1], True)
    return counts[last] / len(failed), risk[last]


def auroc(values: NDArray[np.float64], failed: NDArray[np.bool_]) -> float | None:
    """Return the probability that a failure has a higher score than a success, ties a half.

    Parameters
    ----------
    values
        Scores. Shape ``(cases,)``.
    failed
        Whether a case has failed. Same shape.
    """
    n_failed = int(failed.sum())
    n_sound = len(failed) - n_failed
    if not n_failed or not n_sound:
        return None
    above = rankdata(values)[failed].sum() - n_failed * (n_failed + 1) / 2
    return float(above / (n_failed * n_sound))


def _limits(
    values: NDArray[np.float64], failed: NDArray[np.bool_], patients: NDArray[np.str_]
) -> tuple[float, float] | None:
    """Return limits of the area, by bootstrap samples of patients."""
    if not failed.any() or failed.all():
        return None
    rng = np.random.default_rng(SEED)
    places = [np.flatnonzero(patients == name) for name in np.unique(patients)]
    found = []
    for _ in range(ROUNDS):
        drawn = np.concatenate([places[i] for i in rng.integers(len(places), size=len(places))])
        area = auroc(values[drawn], failed[drawn])
        if area is not None:
            found.append(area)
    low, high = np.percentile(found, PERCENTILES)
    return float(low), float(high)
