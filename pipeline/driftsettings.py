"""What a site sets of the statistics that are kept of its studies, and of the watch on them."""

from dataclasses import dataclass

from pipeline.errors import UnusableCall

NAMING = ("plain", "hashed", "none")
"""How names are kept: as they are, as a code that tells them apart, or not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftSettings:
    """Statistics of studies, and when a change of theirs is told."""

    equipment: str = "plain"
    """How manufacturer, model, station and software of a scanner are kept: one of ``NAMING``."""

    descriptions: str = "hashed"
    """How protocol and series description are kept: whoever types one may type a name into it. The
    code tells texts apart, and does not withstand somebody who tries likely ones."""

    window: int = 20
    """Studies of a window that is compared with the reference."""

    false_alarms: float = 0.01
    """Probability that a window alarms although nothing has changed, over all its statistics."""

    least_effect: float = 0.25
    """Smaller changes do not alarm, however certain: 0 is no difference, 1 is no overlap."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        for name in ("equipment", "descriptions"):
            if getattr(self, name) not in NAMING:
                raise UnusableCall(
                    f"{name} is {getattr(self, name)!r}, possible is {', '.join(NAMING)}"
                )
        if self.window < LEAST_STUDIES:
            raise UnusableCall(f"window is {self.window}, needed is {LEAST_STUDIES} or more")
        if not 0.0 < self.false_alarms < 1.0:
            raise UnusableCall(f"false_alarms is {self.false_alarms}, possible is 0 to 1")
        if not 0.0 <= self.least_effect <= 1.0:
            raise UnusableCall(f"least_effect is {self.least_effect}, possible is 0 to 1")


LEAST_STUDIES = 8
"""Fewer studies show no distribution."""
