"""From the phase of each second to segments."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.ontology import Procedure
from pipeline.analyses.phases.result import NO_PHASE, Segment
from pipeline.analyses.phases.runs import Run, runs_of


def segments_of(
    procedure: Procedure,
    phase: NDArray[np.int16],
    filtered: NDArray[np.float32],
    uncertainty: NDArray[np.float32],
    *,
    rate_hz: float,
    longest_gap_seconds: float,
) -> tuple[Segment, ...]:
    """Return the segments in order of time.

    Seconds without a phase belong to no segment, but for a short gap between two stretches of the
    same phase: a wiped lens does not end a phase.

    Parameters
    ----------
    procedure
        Whose phases the columns are.
    phase
        Column of each row. Shape ``(rows,)``.
    filtered, uncertainty
        Probabilities, shape ``(rows, phases)``, and uncertainty, shape ``(rows,)``.
    rate_hz
        Rows for each second of video; row 0 is at 0 s.
    longest_gap_seconds
        Longest gap that a segment spans [s].
    """
    segments = []
    for stretch in _joined(runs_of(phase.astype(np.int64)), longest_gap_seconds * rate_hz):
        rows = np.arange(stretch.start, stretch.end)
        shown = rows[phase[rows] != NO_PHASE]
        segments.append(
            Segment(
                phase=procedure.names[stretch.value],
                start_seconds=stretch.start / rate_hz,
                end_seconds=stretch.end / rate_hz,
                confidence=float(filtered[shown, stretch.value].mean()),
                uncertainty=float(uncertainty[shown].mean()),
                unusable_seconds=(rows.size - shown.size) / rate_hz,
            )
        )
    return tuple(segments)


def _joined(runs: Sequence[Run], longest_gap: float) -> list[Run]:
    """Return the runs that show a phase, those of one phase with a short gap between as one."""
    joined: list[Run] = []
    for run in runs:
        if run.value == NO_PHASE:
            continue
        last = joined[-1] if joined else None
        if last and last.value == run.value and run.start - last.end <= longest_gap:
            joined[-1] = Run(value=run.value, start=last.start, end=run.end)
        else:
            joined.append(run)
    return joined
