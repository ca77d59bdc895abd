"""What comes next by counting: the baseline that a learned anticipation has to beat.

Given the present phase and how long it has lasted, the prior tells the phases that most often
followed in the counted operations, their median durations, and the median rest of those segments
that lasted at least as long.
"""

import numpy as np

from pipeline.analyses.phases.anticipation import Forecast
from pipeline.analyses.phases.counts import ProcedureCounts


def prior_forecast(counts: ProcedureCounts, column: int, elapsed_seconds: float) -> Forecast:
    """Return a forecast of one row.

    Parameters
    ----------
    counts
        The procedure's counts.
    column
        Column of the present phase.
    elapsed_seconds
        How long it has lasted [s].
    """
    following = counts.following[column]
    rest = rest_seconds(counts, column, elapsed_seconds)
    return Forecast(
        next_probabilities=(following / following.sum(axis=1, keepdims=True)).astype(np.float32)[
            None
        ],
        next_durations_seconds=counts.following_seconds[column].astype(np.float32)[None],
        rest_seconds=np.array([rest], dtype=np.float32),
        remaining_seconds=np.array([rest + counts.after_seconds[column]], dtype=np.float32),
    )


def rest_seconds(counts: ProcedureCounts, column: int, elapsed_seconds: float) -> float:
    """Return the median rest of the counted segments that lasted longer [s]; 0 if none did."""
    durations = counts.durations_seconds[column]
    longer = durations[durations > elapsed_seconds]
    return float(np.median(longer) - elapsed_seconds) if longer.size else 0.0
