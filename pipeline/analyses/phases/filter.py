"""The causal filter: probabilities from all seconds until now, and when the phase changes.

A hidden Markov model whose transitions and mean durations are counted on operations of the
procedure, run forwards only, and a decision that holds on to its phase until another is likely
enough. Evidence of neighbouring seconds is far from independent, so its logarithm is divided by a
temperature before it is added up. Without the two, the same probabilities give many times as many
segments as an operation has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.counts import ProcedureCounts
from pipeline.errors import BundleRejected

UNSEEN = 0.05
"""Counted for every transition that was never seen: operations go new ways."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterSettings:
    """How much the filter believes; chosen on training operations, kept in the bundle."""

    temperature: float
    """What the logarithm of the evidence is divided by."""

    switch_probability: float
    """Filtered probability from which on another phase becomes the present one."""

    @classmethod
    def from_json(cls, values: object) -> "FilterSettings":
        """Read the settings from a bundle.

        Raises
        ------
        BundleRejected
            If one is missing or not possible.
        """
        found: dict[str, float] = {}
        for name in (f.name for f in fields(cls)):
            value = values.get(name) if isinstance(values, Mapping) else None
            if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
                raise BundleRejected(f"metadata.json: filter {name} is {value!r}, not above 0")
            found[name] = float(value)
        if found["switch_probability"] >= 1:
            raise BundleRejected("metadata.json: filter switch_probability is not below 1")
        return cls(**found)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FilterState:
    """All that the next second depends on."""

    belief: NDArray[np.float64]
    """Probabilities of the phases now. Shape ``(phases,)``."""

    column: int
    """Column of the present phase; ``-1`` before the first evidence."""

    elapsed: int
    """Seconds of evidence since it began."""


class PhaseFilter:
    """The tables of a procedure's filter; the state is the caller's.

    Parameters
    ----------
    counts
        What was counted.
    settings
        How much it believes.
    """

    def __init__(self, counts: ProcedureCounts, settings: FilterSettings) -> None:
        n = len(counts.starts)
        leaving = counts.transitions[:, :n] + UNSEEN * (1 - np.eye(n))
        leaving /= leaving.sum(axis=1, keepdims=True)
        stay = 1 - np.array([1 / max(2.0, d.mean()) for d in counts.durations_seconds])
        self._transitions = np.diag(stay) + (1 - stay)[:, None] * leaving
        self._settings = settings
        start = counts.starts + 0.5
        self._start = start / start.sum()

    def initial(self) -> FilterState:
        """Return the state before the first second."""
        return FilterState(belief=self._start, column=-1, elapsed=0)

    def step(self, state: FilterState, log_probabilities: NDArray[np.float64]) -> FilterState:
        """Take the evidence of one second.

        Parameters
        ----------
        state
            The state before it.
        log_probabilities
            Logarithm of the phases' probabilities. Shape ``(phases,)``.
        """
        known = state.column >= 0
        predicted = state.belief @ self._transitions if known else state.belief
        evidence = log_probabilities / self._settings.temperature
        belief = predicted * np.exp(evidence - evidence.max())
        belief /= belief.sum()
        best = int(np.argmax(belief))
        changed = best != state.column and belief[best] >= self._settings.switch_probability
        if not known or changed:
            return FilterState(belief=belief, column=best, elapsed=1)
        return FilterState(belief=belief, column=state.column, elapsed=state.elapsed + 1)

    def wait(self, state: FilterState) -> FilterState:
        """Let a second pass that shows nothing: time goes on, the phase stays."""
        if state.column < 0:
            return state
        return FilterState(
            belief=state.belief @ self._transitions, column=state.column, elapsed=state.elapsed
        )
