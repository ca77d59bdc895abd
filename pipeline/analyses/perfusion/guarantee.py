"""Up to which score a segmentation is trusted: the largest threshold that keeps a guarantee.

Ten thresholds lie at the tenths of the scores; whether a case has failed decides none of them. Each
has an upper limit of its share of failures, with the error divided among all ten (Bonferroni), so
that they hold together and the largest that keeps below what is asked may be taken after a look at
all [GE17]_ [LTT]_. It holds for cases that are drawn as those were, each for itself.

References
----------
.. [GE17] Geifman, El-Yaniv: Selective classification for deep neural networks. NeurIPS 2017.
.. [LTT] Angelopoulos, Bates, Candès, Jordan, Lei: Learn then test: calibrating predictive
   algorithms to achieve risk control. arXiv:2110.01052.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.verdict import Guarantee
from pipeline.binomial import least_trials, upper_limit

THRESHOLDS = 10
"""Thresholds that are looked at: each costs the others certainty."""


def guaranteed_threshold(
    scores: NDArray[np.float64],
    failed: NDArray[np.bool_],
    most_failures: float,
    confidence: float,
) -> tuple[float, Guarantee] | None:
    """Return the largest threshold that keeps the guarantee, and what it stands for.

    Parameters
    ----------
    scores
        Score of each case, growing with doubt. Shape ``(cases,)``.
    failed
        Whether it has failed. Same shape.
    most_failures
        Share of failures that is kept below among cases up to the threshold, 0 to 1.
    confidence
        Probability with which it is, 0 to 1.

    Returns
    -------
        None where no threshold keeps it: too many cases have failed, or there are too few.
    """
    if not len(scores):
        return None
    each = 1 - (1 - confidence) / THRESHOLDS
    places = np.quantile(scores, np.arange(1, THRESHOLDS + 1) / THRESHOLDS, method="inverted_cdf")
    for threshold in sorted({float(place) for place in places}, reverse=True):
        within = scores <= threshold
        n_trusted, n_failed = int(within.sum()), int(failed[within].sum())
        limit = upper_limit(n_failed, n_trusted, each)
        if limit <= most_failures:
            return threshold, Guarantee(
                most_failures=most_failures,
                confidence=confidence,
                n_cases=len(scores),
                n_trusted=n_trusted,
                n_failed=n_failed,
                upper_limit=limit,
            )
    return None


def fewest_cases(most_failures: float, confidence: float) -> int:
    """Return how many cases, none of them failed, a threshold must have up to it.

    Parameters
    ----------
    most_failures
        Share of failures that is asked for, 0 to 1.
    confidence
        Probability with which it is kept, 0 to 1.
    """
    return least_trials(most_failures, 1 - (1 - confidence) / THRESHOLDS)
