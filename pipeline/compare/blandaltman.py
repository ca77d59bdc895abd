"""Agreement of two versions on a measurement, after Bland and Altman.

References
----------
.. [BA1999] Bland JM, Altman DG. Measuring agreement in method comparison studies. Stat Methods Med
   Res 1999;8:135-160, doi:10.1177/096228029900800204.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

LIMITS = 1.96
"""Standard deviations that the limits of agreement lie apart from the bias: 95 % between them."""

CONFIDENCE = 0.95
"""Of the intervals of bias and limits."""

Interval = tuple[float, float]
"""Lower and upper end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How two versions agree on a measurement, one value a series."""

    studies: int
    """Series with a value of both."""

    mean: float
    """Mean of the first version's values."""

    bias: float
    """Mean of second minus first."""

    bias_interval: Interval
    """Confidence interval of the bias."""

    limits: Interval
    """Limits of agreement: between them lie 95 % of the differences, if they are normal."""

    lower_interval: Interval
    """Confidence interval of the lower limit."""

    upper_interval: Interval
    """Confidence interval of the upper limit."""

    @property
    def relative_bias(self) -> float:
        """Bias over the mean's magnitude; infinite where the mean is 0 and the bias is not."""
        if self.bias == 0.0:
            return 0.0
        return abs(self.bias / self.mean) if self.mean else math.inf


def agreement(first: Sequence[float], second: Sequence[float]) -> Agreement | None:
    """Return how values agree; None of fewer than two pairs [BA1999]_.

    Parameters
    ----------
    first, second
        Values of the two versions, in the same order of series.

    Raises
    ------
    ValueError
        If they are not of the same number.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} values of the first, {len(b)} of the second")
    n = len(a)
    if n < 2:
        return None
    differences = b - a
    bias, deviation = float(differences.mean()), float(differences.std(ddof=1))
    reach = float(student.ppf(0.5 + CONFIDENCE / 2, n - 1))
    of_bias = reach * deviation / math.sqrt(n)
    of_limit = reach * deviation * math.sqrt(1 / n + LIMITS**2 / (2 * (n - 1)))
    lower, upper = bias - LIMITS * deviation, bias + LIMITS * deviation
    return Agreement(
        studies=n,
        mean=float(a.mean()),
        bias=bias,
        bias_interval=(bias - of_bias, bias + of_bias),
        limits=(lower, upper),
        lower_interval=(lower - of_limit, lower + of_limit),
        upper_interval=(upper - of_limit, upper + of_limit),
    )
