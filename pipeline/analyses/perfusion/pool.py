"""DAUGS: data-adaptive uncertainty-guided selection from a pool of networks.

Each member segments overlapping space-time patches. Where patches overlap, their probabilities are
averaged into a segmentation, and their standard deviation is the uncertainty map U. The member with
the least uncertainty energy per myocardial pixel, ``U_pp = ||U||_F^2 / A``, is chosen for the
slice.

Three traps of the rule are closed here. A pixel that no patch covers has no deviation: it counts as
zero and not as NaN, which would spread into every U_pp. An empty myocardium has infinite U_pp. And
since a large A lowers U_pp, a member whose myocardium is implausible is not chosen, however certain
it is.

References
----------
Yalcinkaya DM et al., "Improved robustness for deep learning-based segmentation of multi-center
myocardial perfusion cardiac MRI datasets using data-adaptive uncertainty-guided space-time
analysis", JCMR 2024;26(2), arXiv 2408.04805.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from pipeline.analyses.perfusion.result import MYOCARDIUM, MemberScore
from pipeline.analyses.perfusion.settings import ModelGrid, PerfusionSettings

FEWEST_MEMBERS = 2
"""Members that run on every slice: one alone has nobody to disagree with."""

MINIMUM_COMPONENT_SHARE = 0.8
"""A myocardium of which less lies in one piece is implausible."""


class Network(Protocol):
    """Contract: float32 ``(batch, beats, side, side)`` in, ``(batch, classes, side, side)`` out.

    The classes' probabilities sum to one at each point.
    """

    def __call__(self, patches: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Return the probabilities of each class at each point."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberMaps:
    """What one member says of one slice, on the model's grid."""

    probabilities: NDArray[np.float32]
    """Mean over the segmentation's patches. Shape ``(classes, size, size)``."""

    uncertainty: NDArray[np.float32]
    """Standard deviation of the myocardium's probability. Shape ``(size, size)``."""


def sweep(
    beats: NDArray[np.float32], network: Network, grid: ModelGrid, uncertainty_stride: int
) -> MemberMaps:
    """Run a member over all patches of a slice, once for both strides.

    Every position of the segmentation's stride lies on the uncertainty's, which is a divisor of it,
    so one pass serves both. Sums are kept instead of maps: the memory does not grow with the number
    of patches.

    Parameters
    ----------
    beats
        Normalised beats of the first pass. Shape ``(beats, size, size)``.
    network
        The member.
    grid
        The member's grid.
    uncertainty_stride
        Points between neighbouring patches.
    """
    size, patch = grid.grid_size, grid.patch_size
    inner = slice(grid.edge_before, patch - grid.edge_after)
    moments = Moments(size)
    total: NDArray[np.float64] | None = None
    counts = np.zeros((size, size))
    for row, columns, patches in _rows_of_patches(beats, patch, uncertainty_stride):
        probabilities = network(patches)
        if total is None:
            total = np.zeros((probabilities.shape[1], size, size))
        for column, found in zip(columns, probabilities, strict=True):
            moments.add(found[MYOCARDIUM, inner, inner], row + inner.start, column + inner.start)
            if row % grid.segmentation_stride == 0 and column % grid.segmentation_stride == 0:
                total[:, row : row + patch, column : column + patch] += found
                counts[row : row + patch, column : column + patch] += 1
    if total is None:
        raise ValueError(f"a grid of {size} holds no patch of {patch}")
    return MemberMaps(
        probabilities=(total / counts).astype(np.float32),
        uncertainty=moments.deviation().astype(np.float32),
    )


class Moments:
    """Count, mean and sum of squared deviations of each point, kept up to date patch by patch.

    Welford's recurrence: no difference of large sums is ever taken.

    Parameters
    ----------
    size
        Points along the side of the map.
    """

    def __init__(self, size: int) -> None:
        self._count = np.zeros((size, size))
        self._mean = np.zeros((size, size))
        self._squares = np.zeros((size, size))

    def add(self, values: NDArray[np.float32], row: int, column: int) -> None:
        """Take in a patch whose first point lies at ``(row, column)``."""
        at = (slice(row, row + values.shape[0]), slice(column, column + values.shape[1]))
        self._count[at] += 1
        difference = values - self._mean[at]
        self._mean[at] += difference / self._count[at]
        self._squares[at] += difference * (values - self._mean[at])

    def deviation(self) -> NDArray[np.float64]:
        """Return the sample standard deviation; zero where fewer than two patches lie."""
        degrees = np.maximum(self._count - 1, 1)
        return np.sqrt(np.maximum(self._squares, 0) / degrees)


def score(
    member: str, maps: MemberMaps, grid: ModelGrid, settings: PerfusionSettings
) -> MemberScore:
    """Return a member's U_pp and whether it may be chosen.

    Parameters
    ----------
    member
        Name of the member.
    maps
        Its maps of one slice.
    grid
        The model's grid.
    settings
        Limits of a plausible area.
    """
    myocardium = maps.probabilities.argmax(axis=0) == MYOCARDIUM
    n_points = int(myocardium.sum())
    energy = float((maps.uncertainty.astype(np.float64) ** 2).sum())
    area = n_points * grid.grid_spacing_mm**2
    return MemberScore(
        member=member,
        u_pp=energy / n_points if n_points else float("inf"),
        myocardium_area_mm2=area,
        implausible=_why_implausible(myocardium, area, settings),
    )


def choose(scores: Sequence[MemberScore]) -> int | None:
    """Return which plausible member has the lowest U_pp; None if none is plausible."""
    plausible = [i for i, s in enumerate(scores) if s.implausible is None]
    return min(plausible, key=lambda i: scores[i].u_pp) if plausible else None


def members_needed(scores: Sequence[MemberScore], stop_below_u_pp: float) -> int | None:
    """Return how many members, in their order, are enough; None where these are not.

    The answer depends on scores alone, so that a run that is ahead of it, on many cores, ends as
    one on a single core does.

    Parameters
    ----------
    scores
        Scores of the first members.
    stop_below_u_pp
        U_pp of a plausible member below which no further one runs; 0 needs all.
    """
    for count in range(FEWEST_MEMBERS, len(scores) + 1):
        sure = (s.implausible is None and s.u_pp < stop_below_u_pp for s in scores[:count])
        if any(sure):
            return count
    return None


def combined(
    maps: Sequence[MemberMaps], scores: Sequence[MemberScore], segmentation: str
) -> MemberMaps | None:
    """Return the maps that a slice is segmented by; None if no member is plausible.

    Parameters
    ----------
    maps, scores
        What each member found, and its score.
    segmentation
        ``chosen``: the plausible member with the lowest U_pp. ``blend``: the mean of the two with
        the lowest. ``per-pixel``: at each point the plausible member with the least uncertainty
        there; among equals the one with the lowest U_pp.
    """
    plausible = [i for i, s in enumerate(scores) if s.implausible is None]
    best_first = [maps[i] for i in sorted(plausible, key=lambda i: scores[i].u_pp)]
    if not best_first:
        return None
    if segmentation == "blend":
        two = best_first[:2]
        return MemberMaps(
            probabilities=np.mean([m.probabilities for m in two], axis=0, dtype=np.float32),
            uncertainty=np.mean([m.uncertainty for m in two], axis=0, dtype=np.float32),
        )
    if segmentation == "per-pixel":
        uncertainty = np.stack([m.uncertainty for m in best_first])
        surest = uncertainty.argmin(axis=0)
        probabilities = np.stack([m.probabilities for m in best_first])
        return MemberMaps(
            probabilities=np.take_along_axis(probabilities, surest[None, None], axis=0)[0],
            uncertainty=uncertainty.min(axis=0),
        )
    return best_first[0]


def _why_implausible(
    myocardium: NDArray[np.bool_], area_mm2: float, settings: PerfusionSettings
) -> str | None:
    """Return why a myocardium cannot be one, or None."""
    if not myocardium.any():
        return "no myocardium"
    if area_mm2 < settings.minimum_myocardium_area_mm2:
        return f"area {area_mm2:.0f} mm2 below {settings.minimum_myocardium_area_mm2:.0f}"
    if area_mm2 > settings.maximum_myocardium_area_mm2:
        return f"area {area_mm2:.0f} mm2 above {settings.maximum_myocardium_area_mm2:.0f}"
    pieces, _ = label(myocardium)
    share = np.bincount(pieces[myocardium]).max() / myocardium.sum()
    if share < MINIMUM_COMPONENT_SHARE:
        return f"only {share:.0%} in one piece"
    return None


def _rows_of_patches(
    beats: NDArray[np.float32], patch: int, stride: int
) -> Iterator[tuple[int, range, NDArray[np.float32]]]:
    """Yield a row of patches at a time: its position, the patches' columns, and the patches."""
    size = beats.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(beats, patch, axis=2)
    columns = range(0, size - patch + 1, stride)
    for row in columns:
        stack = windows[:, row : row + patch, ::stride]
        yield row, columns, np.ascontiguousarray(stack.transpose(2, 0, 1, 3))


Progress = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""
