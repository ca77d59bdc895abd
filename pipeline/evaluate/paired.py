"""Tests of two ways to do the same on the same patients.

References
----------
.. [W45] Wilcoxon: Individual comparisons by ranking methods. Biometrics Bulletin 1 (1945), 80-83.
.. [M47] McNemar: Note on the sampling error of the difference between correlated proportions or
   percentages. Psychometrika 12 (1947), 153-157; here exact, by the binomial distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, rankdata


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """The chosen member against another way."""

    against: str
    """The other way."""

    n_patients: int
    """Patients; the differences of a patient's series count by their mean."""

    n_differ: int
    """Patients whose difference is not zero: the test is on these."""

    mean_difference: float
    """Mean over patients of Dice, chosen less other."""

    p_dice: float | None
    """Two-sided p of the signed ranks, exact [W45]_; None where no patient differs."""

    only_chosen_failed: int
    """Series that failed with the chosen member alone."""

    only_other_failed: int
    """Series that failed with the other way alone."""

    p_failed: float | None
    """Two-sided p of the two counts, exact [M47]_; None where both are 0. Series count each for
    itself here, as if every one were of another patient."""


def paired(
    against: str,
    dice: tuple[Sequence[float], Sequence[float]],
    patients: Sequence[str],
    failed_below: float,
) -> Paired:
    """Compare two ways.

    Parameters
    ----------
    against
        Name of the other way.
    dice
        Dice of each series, chosen and other.
    patients
        Whose it is.
    failed_below
        Dice below which a segmentation has failed.
    """
    chosen, other = (np.asarray(each, dtype=np.float64) for each in dice)
    names = np.asarray(patients)
    means = np.array([(chosen - other)[names == name].mean() for name in sorted(set(patients))])
    worse, better = chosen < failed_below, other < failed_below
    only_chosen, only_other = int((worse & ~better).sum()), int((better & ~worse).sum())
    discordant = only_chosen + only_other
    return Paired(
        against=against,
        n_patients=len(means),
        n_differ=int((means != 0).sum()),
        mean_difference=float(means.mean()),
        p_dice=signed_rank_p(means),
        only_chosen_failed=only_chosen,
        only_other_failed=only_other,
        p_failed=float(binomtest(only_chosen, discordant).pvalue) if discordant else None,
    )


def signed_rank_p(differences: NDArray[np.float64]) -> float | None:
    """Return the exact two-sided p of the signed-rank test [W45]_; None if all are zero.

    Differences of zero are left out; equal ones share the mean of their ranks. Every choice of
    signs is counted, by a table of how many give which sum.

    Parameters
    ----------
    differences
        Shape ``(pairs,)``.
    """
    kept = differences[differences != 0]
    if not len(kept):
        return None
    # Mean ranks are multiples of a half.
    ranks = np.rint(2 * rankdata(np.abs(kept))).astype(int)
    ways = np.zeros(int(ranks.sum()) + 1)
    ways[0] = 1.0
    for rank in ranks:
        moved = np.zeros_like(ways)
        moved[rank:] = ways[: len(ways) - rank]
        ways = (ways + moved) / 2
    positive = int(ranks[kept > 0].sum())
    tail = min(positive, int(ranks.sum()) - positive)
    return float(min(1.0, 2 * ways[: tail + 1].sum()))
