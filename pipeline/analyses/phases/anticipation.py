"""What comes next, as of one moment: by the network and by counting, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.ontology import END, Procedure

N_NEXT = 4
"""Segments that are anticipated."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Forecast:
    """What one source expects at every second. The last column of phases is the operation's end."""

    next_probabilities: NDArray[np.float32]
    """Phase of the next segments. Shape ``(seconds, N_NEXT, phases + 1)``."""

    next_durations_seconds: NDArray[np.float32]
    """Their durations [s]. Shape ``(seconds, N_NEXT)``."""

    rest_seconds: NDArray[np.float32]
    """Rest of the present segment [s]. Shape ``(seconds,)``."""

    remaining_seconds: NDArray[np.float32]
    """Time to the end of the operation [s]. Shape ``(seconds,)``."""

    def row(self, row: int) -> "Forecast":
        """Return one row, as a forecast of one row."""
        return Forecast(
            **{f.name: getattr(self, f.name)[row : row + 1] for f in fields(self)},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AnticipatedSegment:
    """A segment that is expected: the most probable phase at its place in the order."""

    phase: str
    """Name of the phase, or ``ontology.END``."""

    start_in_seconds: float
    """From when it was anticipated until it begins [s]: the expected rest of the present segment,
    and the expected durations between."""

    duration_seconds: float | None
    """Expected duration [s]; None for the end of the operation."""

    probability: float
    """Probability of the phase at this place, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Anticipation:
    """What is expected at one moment: by the network, and by counting, side by side."""

    issued_at_seconds: float
    """The moment: nothing later was looked at [s]."""

    learned: tuple[AnticipatedSegment, ...]
    """By the network, up to and with the end of the operation; empty where a procedure has none."""

    prior: tuple[AnticipatedSegment, ...]
    """By counts of training operations, given the present phase."""

    remaining_learned_seconds: float | None
    """Expected time to the end of the operation, by the network [s]."""

    remaining_prior_seconds: float
    """The same by counting [s]."""


def stacked(forecasts: Sequence[Forecast]) -> Forecast:
    """Return the rows of forecasts as one forecast."""
    return Forecast(
        **{
            f.name: np.concatenate([getattr(one, f.name) for one in forecasts])
            for f in fields(Forecast)
        }
    )


def anticipated(
    procedure: Procedure, t_seconds: float, learned: Forecast | None, prior: Forecast
) -> Anticipation:
    """Return what forecasts of one row say, in words.

    Parameters
    ----------
    procedure
        Whose phases the columns are.
    t_seconds
        When the forecasts were made [s].
    learned, prior
        By the network, if there is one, and by counting. One row each.
    """
    return Anticipation(
        issued_at_seconds=t_seconds,
        learned=() if learned is None else _segments(procedure, learned),
        prior=_segments(procedure, prior),
        remaining_learned_seconds=None if learned is None else float(learned.remaining_seconds[0]),
        remaining_prior_seconds=float(prior.remaining_seconds[0]),
    )


def _segments(procedure: Procedure, forecast: Forecast) -> tuple[AnticipatedSegment, ...]:
    """Return the expected segments, up to and with the end of the operation."""
    found: list[AnticipatedSegment] = []
    start = float(forecast.rest_seconds[0])
    durations = forecast.next_durations_seconds[0]
    for probabilities, duration in zip(forecast.next_probabilities[0], durations, strict=True):
        column = int(np.argmax(probabilities))
        is_end = column == len(procedure.phases)
        found.append(
            AnticipatedSegment(
                phase=END if is_end else procedure.names[column],
                start_in_seconds=start,
                duration_seconds=None if is_end else float(duration),
                probability=float(probabilities[column]),
            )
        )
        if is_end:
            break
        start += float(duration)
    return tuple(found)
