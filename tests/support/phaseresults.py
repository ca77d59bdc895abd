"""A made-up result of the phase analysis: every phase, every mark, both kinds of anticipation."""

import numpy as np

from pipeline.analyses.phases.anticipation import N_NEXT, Forecast
from pipeline.analyses.phases.ontology import load_procedure
from pipeline.analyses.phases.result import MARKS, NO_PHASE, Mark, PhasesResult
from pipeline.analyses.phases.segments import segments_of

SECONDS = 700


def phases_result() -> PhasesResult:
    """Return an operation of seven phases of 100 s each, with stretches that show none."""
    procedure = load_procedure("cholecystectomy")
    n = len(procedure.phases)
    rng = np.random.default_rng(4)
    column = (np.arange(SECONDS) // 100).astype(np.int16)
    mark = np.zeros(SECONDS, dtype=np.uint8)
    for kind, start, stop in (
        (Mark.OUT_OF_BODY, 40, 50),
        (Mark.BLACK, 220, 224),
        (Mark.SMOKE, 310, 318),
        (Mark.BLUR, 430, 436),
        (Mark.MISSING, 555, 560),
    ):
        mark[start:stop] = MARKS.index(kind)
    sure = rng.uniform(0.75, 0.99, SECONDS)
    sure[180:215] = 0.4
    filtered = np.repeat(((1 - sure) / (n - 1))[:, None], n, axis=1)
    filtered[np.arange(SECONDS), column] = sure
    uncertainty = (1 - sure).astype(np.float32)
    phase = np.where(mark == 0, column, NO_PHASE).astype(np.int16)
    raw = filtered.copy()
    raw[mark > 0] = np.nan
    return PhasesResult(
        procedure=procedure,
        rate_hz=1.0,
        t_seconds=np.arange(SECONDS, dtype=np.float64),
        mark=mark,
        raw=raw.astype(np.float32),
        filtered=filtered.astype(np.float32),
        uncertainty=uncertainty,
        phase=phase,
        segments=segments_of(
            procedure,
            phase,
            filtered.astype(np.float32),
            uncertainty,
            rate_hz=1.0,
            longest_gap_seconds=10.0,
        ),
        learned=_forecast(column, n, 90.0),
        prior=_forecast(column, n, 120.0),
        notes=("5 s of 700 s are missing: no phase there",),
        stage_seconds={"analyse": 1.0},
    )


def _forecast(column: np.ndarray, n: int, duration: float) -> Forecast:
    """Return a forecast that expects the phases in their order."""
    following = np.minimum(column[:, None] + 1 + np.arange(N_NEXT), n)
    probabilities = np.full((SECONDS, N_NEXT, n + 1), 0.3 / n, dtype=np.float32)
    np.put_along_axis(probabilities, following[:, :, None], 0.7, axis=2)
    left = 100.0 - np.arange(SECONDS) % 100
    return Forecast(
        next_probabilities=probabilities,
        next_durations_seconds=np.full((SECONDS, N_NEXT), duration, dtype=np.float32),
        rest_seconds=left.astype(np.float32),
        remaining_seconds=(SECONDS - np.arange(SECONDS)).astype(np.float32),
    )
