"""Two-sample tests: whether a statistic of recent studies is like that of a reference.

Numbers by the two-sample Kolmogorov-Smirnov test, whose p-value is exact for windows of this size
and too large rather than too small where values repeat. Names by the chi-square statistic, whose
p-value is that of random assignments of the same studies to the two sets: exact for two names
[FIS1935]_, simulated otherwise. All statistics of a window are corrected together by Holm's method
[HOL1979]_, which needs no independence: intensities are anything but independent.

A p-value says how certain a change is, the effect how large it is: the largest difference between
the shares of studies below any value, or with any set of names. 0 is no difference, 1 no overlap.

References
----------
.. [HOL1979] S. Holm, A simple sequentially rejective multiple test procedure, Scand J Stat 6:65
   (1979).
.. [FIS1935] R. A. Fisher, The logic of inductive inference, J R Stat Soc 98:39 (1935): the exact
   test of a table with fixed margins.
.. [PHI2010] B. Phipson, G. K. Smyth, Permutation p-values should never be zero, Stat Appl Genet Mol
   Biol 9:39 (2010), doi:10.2202/1544-6115.1585.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact, ks_2samp

ROUNDS = 20_000
"""Random assignments that a p-value of more than two names is simulated with."""

SEED = 20_260_302
"""The same window gives the same p-value."""

LEAST_VALUES = 5
"""With fewer values on one side, nothing is tested."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """How a statistic of a window differs from the reference."""

    p: float
    """Probability of a difference at least as large if nothing has changed."""

    effect: float
    """Size of the difference, 0 to 1."""


def change_of_numbers(reference: Sequence[float], window: Sequence[float]) -> Change | None:
    """Compare two samples of a number; None where there is nothing to compare.

    Parameters
    ----------
    reference, window
        The samples.
    """
    if min(len(reference), len(window)) < LEAST_VALUES:
        return None
    if len({*reference, *window}) < 2:
        return None
    with warnings.catch_warnings():
        # An exact p-value of 1 may be rounded to more; it is then taken from the limit, near 1.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = ks_2samp(reference, window, method=_method(len(reference), len(window)))
    return Change(p=float(found.pvalue), effect=float(found.statistic))


def change_of_names(reference: Sequence[str], window: Sequence[str]) -> Change | None:
    """Compare two samples of a name; None where there is nothing to compare.

    Parameters
    ----------
    reference, window
        The samples.
    """
    if min(len(reference), len(window)) < LEAST_VALUES:
        return None
    counts = [Counter(reference), Counter(window)]
    names = sorted({*counts[0], *counts[1]})
    if len(names) < 2:
        return None
    table = np.array([[count[name] for name in names] for count in counts], dtype=np.int64)
    shares = table / table.sum(axis=1, keepdims=True)
    effect = 0.5 * float(np.abs(shares[0] - shares[1]).sum())
    p = float(fisher_exact(table)[1]) if len(names) == 2 else _simulated(table)
    return Change(p=p, effect=effect)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that hold for all of them together [HOL1979]_."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(order))
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = worst
    return [float(p) for p in adjusted]


def _method(n_reference: int, n_window: int) -> str:
    """Return how the p-value is computed: exactly where that takes milliseconds."""
    return "exact" if n_reference * n_window <= EXACT_CELLS else "asymp"


EXACT_CELLS = 100_000
"""Product of two sample sizes up to which p-values are exact."""


def _simulated(table: NDArray[np.int64]) -> float:
    """Return the share of random tables with the same margins that are as unlikely [PHI2010]_."""
    rng = np.random.default_rng(SEED)
    columns, size = table.sum(axis=0), int(table[1].sum())
    drawn = rng.multivariate_hypergeometric(columns, size, size=ROUNDS)
    expected = columns * (size / columns.sum())
    # With fixed margins chi-square only depends on the distance from what is expected.
    weights = 1.0 / columns
    found = float(((table[1] - expected) ** 2 * weights).sum())
    as_far = ((drawn - expected) ** 2 * weights).sum(axis=1) >= found * (1.0 - 1e-9)
    return (1 + int(as_far.sum())) / (1 + ROUNDS)
