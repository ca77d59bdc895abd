"""Confidence limits of a proportion.

References
----------
.. [CP] Clopper, Pearson: The use of confidence or fiducial limits illustrated in the case of the
   binomial. Biometrika 26 (1934), 404-413.
.. [H56] Hoeffding: On the distribution of the number of successes in independent trials. Ann. Math.
   Statist. 27 (1956), 713-721: cases that differ in their probability make the limits wider than
   needed, not narrower.
"""

import math

from scipy.special import betaincinv


def upper_limit(events: int, trials: int, confidence: float) -> float:
    """Return the one-sided upper limit of the probability of an event [CP]_; 1 without trials.

    Parameters
    ----------
    events
        How often it happened.
    trials
        How often it could have.
    confidence
        Probability with which the limit holds, 0 to 1.
    """
    if events >= trials:
        return 1.0
    return float(betaincinv(events + 1, trials - events, confidence))


def lower_limit(events: int, trials: int, confidence: float) -> float:
    """Return the one-sided lower limit; 0 without events."""
    return 1.0 - upper_limit(trials - events, trials, confidence)


def interval(events: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return both limits, with half of the error on either side."""
    one_sided = (1.0 + confidence) / 2
    return lower_limit(events, trials, one_sided), upper_limit(events, trials, one_sided)


def least_trials(probability: float, confidence: float) -> int:
    """Return how many trials without an event bound its probability so.

    Parameters
    ----------
    probability
        The bound, more than 0 and less than 1.
    confidence
        Probability with which it holds, 0 to 1.
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-probability))
