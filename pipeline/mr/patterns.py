"""Undersampling patterns, seeded: which samples of a full grid are kept.

Three patterns keep whole lines along the readout (equispaced, random, magic) and three keep single
samples (Gaussian, Poisson disc, radial). All keep a centre, as wide as in the paper for the
acceleration [JAT2025]_. The nominal acceleration counts the centre in, except for ``magic``, whose
lines are spaced by it; what was really reached is in the result.

References
----------
.. [JAT2025] A. S. Jatyani et al., A Unified Model for Compressed Sensing MRI Across Undersampling
   Patterns, CVPR 2025.
.. [DEF2019] A. Defazio, Offset sampling improves deep learning based accelerated MRI
   reconstructions by exploiting symmetry, arXiv:1912.01101: the pattern ``magic``.
.. [BRI2007] R. Bridson, Fast Poisson disk sampling in arbitrary dimensions, SIGGRAPH 2007.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CENTRE_FRACTIONS = {1: 1.0, 2: 0.16, 4: 0.08, 6: 0.06, 8: 0.04, 16: 0.02, 32: 0.01}
"""Share of an axis that the centre takes, by acceleration [JAT2025]_."""

ACCELERATIONS = (2, 4, 6, 8)
"""Accelerations that methods are compared at."""

GAUSSIAN_WIDTH = 70 / 320
"""Standard deviation of the Gaussian density, as a share of an axis [JAT2025]_."""

POISSON_GROWTH = 2.0
"""How much larger the distance of Poisson-disc samples is at the edge than at the centre."""

POISSON_SPREAD = 0.25
"""Share by which the distance varies at random from sample to sample."""

_BISECTIONS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """A mask and how it came about."""

    name: str
    """A key of ``PATTERNS``."""

    acceleration: float
    """Nominal acceleration."""

    mask: NDArray[np.bool_]
    """What is kept. Shape ``(ky, kx)``; lines run along ``kx``."""

    @property
    def measured_acceleration(self) -> float:
        """Samples of the full grid over samples that are kept."""
        return self.mask.size / int(np.count_nonzero(self.mask))


def draw_pattern(
    name: str, shape: tuple[int, int], acceleration: float, seed: int | np.random.Generator
) -> Pattern:
    """Draw a pattern.

    Parameters
    ----------
    name
        A key of ``PATTERNS``.
    shape
        ``(ky, kx)``; the readout is ``kx``. Transpose shape and mask where it is not.
    acceleration
        Nominal acceleration, at least 1.
    seed
        The same seed gives the same mask.

    Raises
    ------
    ValueError
        If there is no pattern of the name, or the acceleration is less than 1.
    """
    if name not in PATTERNS:
        raise ValueError(f"no pattern {name!r}; known are {', '.join(PATTERNS)}")
    if acceleration < 1 or min(shape) < 1:
        raise ValueError(f"acceleration {acceleration} of a grid of {shape}")
    generator = np.random.default_rng(seed)
    if acceleration == 1:
        mask = np.ones(shape, dtype=np.bool_)
    else:
        mask = PATTERNS[name](shape, float(acceleration), generator)
    return Pattern(name=name, acceleration=float(acceleration), mask=mask)


def centre_fraction(acceleration: float) -> float:
    """Return the share of an axis that the centre takes; between the paper's values, between."""
    known = sorted(CENTRE_FRACTIONS)
    return float(np.interp(acceleration, known, [CENTRE_FRACTIONS[k] for k in known]))


def _equispaced(
    shape: tuple[int, int], acceleration: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Keep lines at equal distances, as far apart as gives the acceleration with the centre."""
    n = shape[0]
    lines = _centre_lines(n, acceleration)
    n_centre = int(np.count_nonzero(lines))
    others = n / acceleration - n_centre
    if others >= 1:
        spacing = (n - n_centre) / others
        places = np.arange(generator.uniform(0, spacing), n - 0.5, spacing)
        lines[np.rint(places).astype(np.int64)] = True
    return _as_lines(lines, shape)


def _random(
    shape: tuple[int, int], acceleration: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Keep lines drawn at random, all equally likely."""
    n = shape[0]
    lines = _centre_lines(n, acceleration)
    missing = max(0, round(n / acceleration) - int(np.count_nonzero(lines)))
    lines[generator.choice(np.flatnonzero(~lines), size=missing, replace=False)] = True
    return _as_lines(lines, shape)


def _magic(
    shape: tuple[int, int], acceleration: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Keep lines whose mirror images at the origin fall midway between them [DEF2019]_."""
    n = shape[0]
    lines = _centre_lines(n, acceleration)
    frequency = np.arange(n) - n // 2
    spacing = max(2, round(acceleration))
    offset = int(generator.integers(spacing))
    kept = (frequency >= 0) & (frequency % spacing == offset)
    kept |= (frequency < 0) & (-frequency % spacing == (offset + spacing // 2) % spacing)
    return _as_lines(lines | kept, shape)


def _gaussian(
    shape: tuple[int, int], acceleration: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Keep samples with a probability that falls off from the centre like a Gaussian."""
    mask = _centre_rectangle(shape, acceleration)
    missing = _missing(mask, acceleration)
    y, x = _coordinates(shape)
    log_density = -(y**2 + x**2) / (2 * (2 * GAUSSIAN_WIDTH) ** 2)
    # Largest of log density plus Gumbel noise: draws without replacement, by their density.
    keys = np.where(mask, -np.inf, log_density + generator.gumbel(size=shape))
    chosen = np.argpartition(-keys, max(0, missing - 1), axis=None)[:missing]
    mask.flat[chosen] = True
    return mask


def _poisson(
    shape: tuple[int, int], acceleration: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Keep samples that keep a distance to each other, larger towards the edge [BRI2007]_."""
    centre = _centre_rectangle(shape, acceleration)
    missing = _missing(centre, acceleration)
    y, x = _coordinates(shape)
    growth = 1.0 + (POISSON_GROWTH - 1.0) * np.minimum(1.0, np.hypot(y, x))
    # Distances on a grid are few: without a spread, the density would fall in visible steps.
    growth *= generator.uniform(1 - POISSON_SPREAD, 1 + POISSON_SPREAD, shape)
    order = generator.permutation(centre.size)
    low, high = 0.5, 4.0 * float(np.sqrt(acceleration))
    best = _spread(centre, order, growth * low)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        found = _spread(centre, order, growth * middle)
        if len(found) >= missing:
            low, best = middle, found
            if len(found) <= 1.01 * missing:
                break
        else:
            high = middle
    chosen = generator.permutation(np.array(best, dtype=np.int64))[:missing]
    centre.flat[chosen] = True
    return centre


def _radial(
    shape: tuple[int, int], acceleration: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Keep the samples nearest to spokes at equal angles: a Cartesian mask, gridded."""
    centre = _centre_rectangle(shape, acceleration)
    wanted = centre.size / acceleration
    turn = float(generator.uniform(0, np.pi))
    low, high = 1, 4 * max(shape)
    while high - low > 1:
        middle = (low + high) // 2
        mask = centre | _spokes(shape, middle, turn)
        low, high = (middle, high) if np.count_nonzero(mask) <= wanted else (low, middle)
    return centre | _spokes(shape, low, turn)


def _centre_lines(n: int, acceleration: float) -> NDArray[np.bool_]:
    """Return the lines of the centre."""
    lines = np.zeros(n, dtype=np.bool_)
    lines[_middle(n, centre_fraction(acceleration))] = True
    return lines


def _centre_rectangle(shape: tuple[int, int], acceleration: float) -> NDArray[np.bool_]:
    """Return the centre of a pattern of single samples: the same share of both axes."""
    mask = np.zeros(shape, dtype=np.bool_)
    fraction = centre_fraction(acceleration)
    mask[_middle(shape[0], fraction), _middle(shape[1], fraction)] = True
    return mask


def _middle(n: int, fraction: float) -> slice:
    """Return the middle of an axis around its origin."""
    size = min(n, max(1, round(n * fraction)))
    return slice(n // 2 - size // 2, n // 2 - size // 2 + size)


def _missing(centre: NDArray[np.bool_], acceleration: float) -> int:
    """Return how many samples to keep beside the centre."""
    return max(0, round(centre.size / acceleration) - int(np.count_nonzero(centre)))


def _as_lines(lines: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask of whole lines."""
    return np.repeat(lines[:, None], shape[1], axis=1)


def _coordinates(shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the place of each sample relative to the origin: 1 is the edge of its axis."""
    y, x = ((np.arange(n) - n // 2) / max(1.0, n / 2) for n in shape)
    return y[:, None], x[None, :]


def _spread(
    taken: NDArray[np.bool_], order: NDArray[np.int64], distance: NDArray[np.float64]
) -> list[int]:
    """Return samples in an order, leaving out those too near to one before.

    Parameters
    ----------
    taken
        Samples that are not drawn. Shape ``(ky, kx)``.
    order
        Flat indices of all samples.
    distance
        How far from a sample the next may be [samples]. Shape ``(ky, kx)``.
    """
    rows, columns = taken.shape
    reach = int(np.ceil(distance.max()))
    blocked = np.ones((rows + 2 * reach, columns + 2 * reach), dtype=np.bool_)
    blocked[reach : reach + rows, reach : reach + columns] = taken
    steps = np.arange(-reach, reach + 1)
    squared = steps[:, None] ** 2 + steps[None, :] ** 2
    levels = np.ceil(distance**2).astype(np.int64)
    discs = {int(v): squared < v for v in np.unique(levels)}
    found = []
    for index in order.tolist():
        row, column = divmod(index, columns)
        if not blocked[row + reach, column + reach]:
            found.append(index)
            window = blocked[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
            window |= discs[int(levels[row, column])]
    return found


def _spokes(shape: tuple[int, int], n_spokes: int, turn: float) -> NDArray[np.bool_]:
    """Return the samples nearest to spokes through the origin, out to the edge."""
    angles = turn + np.pi * np.arange(n_spokes) / n_spokes
    radii = np.linspace(-0.5, 0.5, 2 * max(shape) + 1)
    mask = np.zeros(shape, dtype=np.bool_)
    rows = np.rint(shape[0] // 2 + shape[0] * np.outer(np.sin(angles), radii)).astype(np.int64)
    columns = np.rint(shape[1] // 2 + shape[1] * np.outer(np.cos(angles), radii)).astype(np.int64)
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    mask[rows[inside], columns[inside]] = True
    return mask


PATTERNS: dict[str, Callable[[tuple[int, int], float, np.random.Generator], NDArray[np.bool_]]] = {
    "equispaced": _equispaced,
    "random": _random,
    "magic": _magic,
    "gaussian": _gaussian,
    "poisson": _poisson,
    "radial": _radial,
}
"""The patterns, by name."""
