"""Random numbers of the phantom: one generator, one width of variation."""

from dataclasses import dataclass

import numpy as np

TYPICAL_SPREAD = 0.3
"""Share of each range that a typical study uses, around its middle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draws:
    """A generator that stays near the middle of each range, or uses all of it."""

    rng: np.random.Generator
    """Source of everything drawn."""

    spread: float
    """1 uses each range in full; below it, that share around the middle."""

    def between(self, low: float, high: float) -> float:
        """Draw uniformly from the range, narrowed around its middle by the spread."""
        offset = (self.rng.random() - 0.5) * self.spread
        return low + (0.5 + offset) * (high - low)

    def log_between(self, low: float, high: float) -> float:
        """Draw as ``between``, uniformly in the logarithm."""
        return float(np.exp(self.between(float(np.log(low)), float(np.log(high)))))

    def happens(self, probability: float) -> bool:
        """Tell whether a rarity occurs: never in a typical study."""
        return bool(self.rng.random() < probability) and self.spread >= 1.0
