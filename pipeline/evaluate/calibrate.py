"""A site's own calibration of trust, on its labelled series.

The weights of the signs stay those of the bundle: a site has few failures to learn from. What is
found anew is the threshold up to which a segmentation is trusted, with its guarantee for series
that are drawn as these were. A patient counts once, with all of his series together: the score is
the worst of them, and he has failed if any of them has.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.analyses.perfusion.guarantee import fewest_cases, guaranteed_threshold
from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.perfusion.trust import TrustModel
from pipeline.errors import UnusableCall
from pipeline.evaluate.cohort import FAILED_BELOW, Evaluation, SeriesRow
from pipeline.evaluate.perfusion import evaluate_perfusion


def calibrate_on(
    folders: tuple[Path, Path],
    model: tuple[Pool, PerfusionSettings],
    goal: tuple[float, float],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> tuple[TrustModel, Evaluation]:
    """Return a bundle's calibration with the threshold of a site's own series.

    Parameters
    ----------
    folders
        Images and labels, as for an evaluation.
    model
        The networks and what the site has set.
    goal
        Share of failures that is kept below among trusted patients, and the probability with which
        it is, 0 to 1 each.
    progress
        Called with the number of series that are done, and of all.

    Raises
    ------
    UnusableCall
        If the bundle has no calibration to start from, a goal is not possible, or no series can be
        judged.
    """
    pool, settings = model
    if pool.trust is None:
        raise UnusableCall("the bundle has no calibration of trust: its weights are needed")
    if not all(0 < value < 1 for value in goal):
        raise UnusableCall("the share of failures and the confidence lie between 0 and 1")
    found = evaluate_perfusion(*folders, pool, settings, progress)
    return with_threshold(pool.trust, found, settings.uncertainty_stride, goal), found


def with_threshold(
    model: TrustModel, found: Evaluation, stride: int, goal: tuple[float, float]
) -> TrustModel:
    """Return a calibration whose threshold is that of an evaluation.

    Parameters
    ----------
    model
        The calibration that the evaluation was made with.
    found
        The evaluation.
    stride
        Stride of its uncertainty map [points].
    goal
        Share of failures that is kept below, and the probability with which it is.
    """
    patients: dict[str, list[SeriesRow]] = {}
    for row in found.rows:
        patients.setdefault(row.patient, []).append(row)
    scores = [max(r.failure_probability or 0.0 for r in rows) for rows in patients.values()]
    failed = [any(r.myocardium_dice < FAILED_BELOW for r in rows) for rows in patients.values()]
    threshold = guaranteed_threshold(np.array(scores), np.array(failed), *goal)
    return replace(
        model,
        uncertainty_stride=stride,
        failed_below=FAILED_BELOW,
        trusted_up_to=None if threshold is None else threshold[0],
        guarantee=None if threshold is None else threshold[1],
        made_from=f"{len(found.rows)} labelled series of {len(patients)} patients of the site",
    )


def told(model: TrustModel, goal: tuple[float, float]) -> str:
    """Return what a calibration amounts to, in a sentence."""
    guarantee = model.guarantee
    if guarantee is None:
        return (
            f"no threshold keeps failures below {goal[0]:.1%} with a confidence of {goal[1]:.0%}: "
            f"it takes {fewest_cases(*goal)} trusted patients without a failure, or more with one"
        )
    return (
        f"trusted up to a probability of {model.trusted_up_to:.4f}: {guarantee.n_trusted} of "
        f"{guarantee.n_cases} patients, {guarantee.n_failed} failed, at most "
        f"{guarantee.upper_limit:.1%} with a confidence of {guarantee.confidence:.0%}"
    )
