"""One second of recognition: temporal network, filter, and both anticipations.

This is the step that every way in shares: video, stream, and the outputs of another encoder.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.anticipation import Forecast
from pipeline.analyses.phases.filter import FilterState
from pipeline.analyses.phases.networks import PhaseNetworks
from pipeline.analyses.phases.prior import prior_forecast
from pipeline.analyses.phases.temporal import Observation
from pipeline.infer.stategraph import Arrays


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RecogniserState:
    """All that the next second depends on."""

    index: int
    """Seconds that are done."""

    temporal: Arrays
    """State of the temporal network; empty without one."""

    filter: FilterState
    """State of the filter."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Recognised:
    """What one second gave."""

    raw: NDArray[np.float32]
    """Probabilities from this second alone; NaN where it brought none. Shape ``(phases,)``."""

    filtered: NDArray[np.float32]
    """Probabilities from all seconds until now. Shape ``(phases,)``."""

    uncertainty: float
    """Entropy of ``filtered`` over that of no idea: 0 is certain, 1 is no idea."""

    column: int
    """Column of the present phase, also of a second that shows nothing."""

    learned: Forecast | None
    """What the network expects; None without one."""

    prior: Forecast
    """What counting expects."""


def initial_state(networks: PhaseNetworks) -> RecogniserState:
    """Return the state before the first second."""
    temporal = networks.temporal.initial() if networks.temporal is not None else ()
    return RecogniserState(index=0, temporal=temporal, filter=networks.filter.initial())


def recognise(
    observation: Observation, state: RecogniserState, networks: PhaseNetworks
) -> tuple[Recognised, RecogniserState]:
    """Take one second.

    Parameters
    ----------
    observation
        What it brings.
    state
        The state before it; not changed.
    networks
        What knows the procedure.

    Returns
    -------
        What the second gave, and the state after it.
    """
    learned, temporal, evidence = None, state.temporal, observation.log_probabilities
    if networks.temporal is not None:
        told, temporal = networks.temporal.step(observation, state.temporal)
        learned, evidence = told.forecast, told.log_probabilities
    shows = observation.log_probabilities is not None or observation.tools is not None
    if shows and evidence is not None:
        filtered = networks.filter.step(state.filter, evidence)
    else:
        filtered = networks.filter.wait(state.filter)
    coming = RecogniserState(index=state.index + 1, temporal=temporal, filter=filtered)
    return _recognised(observation, filtered, learned, networks), coming


def _recognised(
    observation: Observation,
    state: FilterState,
    learned: Forecast | None,
    networks: PhaseNetworks,
) -> Recognised:
    """Return a second's result from the state after it."""
    n = len(networks.procedure.phases)
    raw = np.full(n, np.nan, dtype=np.float32)
    if observation.log_probabilities is not None:
        raw = np.exp(observation.log_probabilities).astype(np.float32)
    column = max(0, state.column)
    elapsed = state.elapsed / networks.model.rate_hz
    return Recognised(
        raw=raw,
        filtered=state.belief.astype(np.float32),
        uncertainty=_uncertainty(state.belief),
        column=column,
        learned=learned,
        prior=prior_forecast(networks.counts, column, elapsed),
    )


def _uncertainty(belief: NDArray[np.float64]) -> float:
    """Return the entropy of probabilities over that of as many equal ones."""
    positive = belief[belief > 0]
    return float(-np.sum(positive * np.log(positive)) / np.log(belief.size))
