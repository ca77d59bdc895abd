"""Counts over labelled operations: what the filter and the prior of a procedure are made of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.anticipation import N_NEXT
from pipeline.analyses.phases.counts import ProcedureCounts
from pipeline.analyses.phases.runs import Columns, Run, runs_of


def count_operations(phases: Sequence[Columns], n_phases: int) -> ProcedureCounts:
    """Count transitions, durations and what follows what.

    Parameters
    ----------
    phases
        Column of each second's phase, one array an operation at one second each.
    n_phases
        Phases of the procedure. Each must occur.
    """
    starts = np.zeros(n_phases)
    transitions = np.zeros((n_phases, n_phases + 1))
    following = np.zeros((n_phases, N_NEXT, n_phases + 1))
    durations: list[list[float]] = [[] for _ in range(n_phases)]
    coming: list[list[list[float]]] = [[[] for _ in range(N_NEXT)] for _ in range(n_phases)]
    after: list[list[float]] = [[] for _ in range(n_phases)]
    for columns in phases:
        runs = runs_of(columns)
        starts[runs[0].value] += 1
        for place, run in enumerate(runs):
            durations[run.value].append(run.end - run.start)
            after[run.value].append(columns.size - run.end)
            rest = _padded(runs[place + 1 : place + 1 + N_NEXT])
            for k, other in enumerate(rest):
                following[run.value, k, n_phases if other is None else other.value] += 1
                if other is not None:
                    coming[run.value][k].append(other.end - other.start)
            transitions[run.value, n_phases if rest[0] is None else rest[0].value] += 1
    return ProcedureCounts(
        n_operations=len(phases),
        starts=starts,
        transitions=transitions,
        durations_seconds=tuple(np.array(sorted(d), dtype=np.float64) for d in durations),
        following=following,
        following_seconds=np.array([[_median(d) for d in places] for places in coming]),
        after_seconds=np.array([_median(d) for d in after]),
    )


def tool_table(
    phases: Sequence[Columns], tools: Sequence[NDArray[np.float32]], n_phases: int
) -> NDArray[np.float64]:
    """Return how often each phase was seen with each set of tools, as probabilities.

    Parameters
    ----------
    phases, tools
        Column of each second's phase, and presence of tools; one pair an operation.
    n_phases
        Phases of the procedure.

    Returns
    -------
        Shape ``(2 ** tools, phases)``; the row of a set is its presence as a binary number, the
        first tool the lowest bit.
    """
    table = np.full((2 ** tools[0].shape[1], n_phases), 0.5)
    for columns, present in zip(phases, tools, strict=True):
        np.add.at(table, (tool_sets(present), columns), 1)
    return table / table.sum(axis=1, keepdims=True)


def tool_sets(tools: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the row of ``tool_table`` for each second. Shape ``(seconds,)``."""
    bits = 1 << np.arange(tools.shape[1])
    return np.asarray((tools > 0.5) @ bits, dtype=np.int64)


def _padded(runs: Sequence[Run]) -> list[Run | None]:
    """Return the next segments; None stands for the end of the operation."""
    return [*runs, *([None] * (N_NEXT - len(runs)))]


def _median(values: Sequence[float]) -> float:
    """Return the median, 0 of nothing."""
    return float(np.median(values)) if values else 0.0
