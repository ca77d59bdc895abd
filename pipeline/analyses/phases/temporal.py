"""The temporal network: what one second brings, the state between seconds, and what it tells.

The state has a fixed size, whatever the length of the video: the last seconds as they came in, the
running maximum of compressed keys, the time that each phase has been seen for, and a counter, by
which the seconds before the first are told from real ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.anticipation import N_NEXT, Forecast
from pipeline.analyses.phases.settings import ModelSettings
from pipeline.infer.stategraph import Arrays, StateContract, StateGraph

LEAST_LOG_PROBABILITY = -8.0
"""Log probabilities are cut off here: an encoder that is sure is not that sure."""

NO_KEY = -1e9
"""Running maximum before the first second: below every key, unlike 0."""

LOG_PROBABILITY_SCALE = 4.0
"""What log probabilities are divided by at the network's door."""

DURATION_SCALE_SECONDS = 30.0
"""Durations leave the network as ``log(1 + seconds / scale)``."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Observation:
    """What one second brings; a second that shows nothing has neither."""

    log_probabilities: NDArray[np.float64] | None = None
    """Logarithm of the phases' probabilities by the picture alone. Shape ``(phases,)``."""

    tools: NDArray[np.float64] | None = None
    """Presence of each instrument, 0 to 1. Shape ``(tools,)``."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TemporalOutput:
    """What the network tells at one second."""

    log_probabilities: NDArray[np.float64]
    """Logarithm of the present phase's probabilities. Shape ``(phases,)``."""

    forecast: Forecast
    """What comes next. One row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Temporal:
    """The network, opened."""

    graph: StateGraph
    """The step graph."""

    n_phases: int
    """Phases of its procedure."""

    n_tools: int
    """Instruments whose presence it may be told."""

    def initial(self) -> Arrays:
        """Return the state before the first second."""
        shapes = dict(self.graph.contract.state)
        return (
            np.zeros(shapes["recent"], dtype=np.float32),
            np.full(shapes["peak"], NO_KEY, dtype=np.float32),
            np.zeros(shapes["seen"], dtype=np.float32),
            np.zeros(shapes["count"], dtype=np.float32),
        )

    def step(self, observation: Observation, state: Arrays) -> tuple[TemporalOutput, Arrays]:
        """Take one second.

        Raises
        ------
        ModelContractBroken
            If the network gives something else than it should.
        """
        row = observation_row(observation, self.n_phases, self.n_tools)
        (now, following, durations, rests), coming = self.graph((row[None],), state)
        seconds = DURATION_SCALE_SECONDS * np.expm1(np.clip(durations, 0, None))
        rest, remaining = DURATION_SCALE_SECONDS * np.expm1(np.clip(rests[0], 0, None))
        forecast = Forecast(
            next_probabilities=np.exp(log_softmax(following)).astype(np.float32),
            next_durations_seconds=seconds.astype(np.float32),
            rest_seconds=np.array([rest], dtype=np.float32),
            remaining_seconds=np.array([remaining], dtype=np.float32),
        )
        told = TemporalOutput(
            log_probabilities=log_softmax(now[0].astype(np.float64)), forecast=forecast
        )
        return told, coming


def temporal_contract(model: ModelSettings, n_phases: int) -> StateContract:
    """Return what the step graph takes and gives."""
    width = observation_width(n_phases, len(model.tools))
    return StateContract(
        inputs=(("observation", (1, width)),),
        state=(
            ("recent", (1, model.window - 1, width)),
            ("peak", (1, model.n_keys)),
            ("seen", (1, n_phases)),
            ("count", (1, 1)),
        ),
        outputs=(
            ("now", (1, n_phases)),
            ("following", (1, N_NEXT, n_phases + 1)),
            ("durations", (1, N_NEXT)),
            ("rests", (1, 2)),
        ),
    )


def observation_width(n_phases: int, n_tools: int) -> int:
    """Return the length of an observation's row: values, and a flag for each kind of them."""
    return n_phases + 1 + n_tools + 1


def observation_row(observation: Observation, n_phases: int, n_tools: int) -> NDArray[np.float32]:
    """Return an observation as the network takes it. Shape ``(width,)``.

    What is missing is 0, and its flag is 0: log probabilities, their flag, tools, their flag.
    """
    row = np.zeros(observation_width(n_phases, n_tools), dtype=np.float32)
    if observation.log_probabilities is not None:
        cut = np.maximum(observation.log_probabilities, LEAST_LOG_PROBABILITY)
        row[:n_phases] = cut / LOG_PROBABILITY_SCALE
        row[n_phases] = 1
    if observation.tools is not None:
        row[n_phases + 1 : -1] = observation.tools
        row[-1] = 1
    return row


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logarithm of the probabilities that logits stand for, along the last axis."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
