"""What the phase analysis takes and hands to the encoders: records, one row a second.

Columns of arrays are the phases of ``procedure``, in its order.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.anticipation import Anticipation, Forecast, anticipated
from pipeline.analyses.phases.ontology import Procedure

NO_PHASE = -1
"""Column of a second that shows no phase."""


class Mark(StrEnum):
    """What a second of video shows."""

    USABLE = "usable"
    """The inside of the patient, well enough seen."""

    OUT_OF_BODY = "out_of_body"
    """Outside the patient: faces may be seen, so whoever passes the video on must know."""

    BLACK = "black"
    """No light."""

    SMOKE = "smoke"
    """Smoke hides the field."""

    BLUR = "blur"
    """Nothing is sharp: a fouled lens, or no focus."""

    MISSING = "missing"
    """No picture: damaged, or absent between two pictures."""


MARKS = tuple(Mark)
"""All marks; ``PhasesResult.mark`` holds places in this tuple."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A stretch of one phase."""

    phase: str
    """Name of the phase."""

    start_seconds: float
    """Where it begins, from the start of the video [s]."""

    end_seconds: float
    """Where it ends [s]: the start of what comes next."""

    confidence: float
    """Mean filtered probability of the phase, 0 to 1."""

    uncertainty: float
    """Mean uncertainty of its seconds, 0 to 1: what review is ordered by."""

    unusable_seconds: float
    """Seconds within it that show no phase; they count for no duration [s]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepResult:
    """What one second gave: a row of ``PhasesResult``."""

    index: int
    """Steps before this one."""

    t_seconds: float
    """Time of the picture, or of the second that has none [s]."""

    mark: Mark
    """What the second shows."""

    raw: NDArray[np.float32]
    """Probabilities from this picture alone; NaN where it shows no phase. Shape ``(phases,)``."""

    filtered: NDArray[np.float32]
    """Probabilities from all pictures until now. Shape ``(phases,)``."""

    uncertainty: float
    """0 is certain, 1 is no idea."""

    phase: str | None
    """Name of the present phase; None where the second shows none."""

    anticipation: Anticipation
    """What is expected from here."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PhasesResult:
    """An operation, second by second and as segments."""

    procedure: Procedure
    """Whose phases the columns are."""

    rate_hz: float
    """Rows for each second of video."""

    t_seconds: NDArray[np.float64]
    """Time of each row, from the start of the video [s]. Shape ``(seconds,)``."""

    mark: NDArray[np.uint8]
    """What each row shows: a place in ``MARKS``. Shape ``(seconds,)``."""

    raw: NDArray[np.float32]
    """Probabilities from each picture alone; NaN where it shows no phase. Shape ``(seconds,
    phases)``."""

    filtered: NDArray[np.float32]
    """Probabilities from all pictures until then. Same shape."""

    uncertainty: NDArray[np.float32]
    """0 is certain, 1 is no idea. Shape ``(seconds,)``."""

    phase: NDArray[np.int16]
    """Column of the phase; ``NO_PHASE`` where a row shows none. Shape ``(seconds,)``."""

    segments: tuple[Segment, ...]
    """The phases in order of time."""

    learned: Forecast | None
    """What the network expected at every row; None where the procedure has none."""

    prior: Forecast
    """What counting expected at every row."""

    notes: tuple[str, ...]
    """What a reader should know."""

    stage_seconds: dict[str, float]
    """Wall time of each stage of the analysis [s]."""

    def anticipation_at(self, t_seconds: float) -> Anticipation:
        """Return what was expected at a moment: that of the last row that is not after it.

        Parameters
        ----------
        t_seconds
            The moment; before the first row, that row's.
        """
        row = max(0, int(np.searchsorted(self.t_seconds, t_seconds, side="right")) - 1)
        learned = None if self.learned is None else self.learned.row(row)
        t_row = float(self.t_seconds[row])
        return anticipated(self.procedure, t_row, learned, self.prior.row(row))
