"""The ways that recognition is compared with: each second alone, a plain filter, and no pictures.

All of them anticipate by counting, given the phase that they recognise and for how long they have
done so.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.filter import PhaseFilter
from pipeline.analyses.phases.networks import PhaseNetworks
from pipeline.analyses.phases.prior import prior_forecast
from pipeline.analyses.phases.recognise import Recognised
from pipeline.analyses.phases.result import NO_PHASE
from pipeline.analyses.phases.runs import Columns, runs_of
from pipeline.analyses.phases.scores import Prediction

Evidence = Sequence[NDArray[np.float64] | None]
"""Log probabilities of each second alone; None of one that shows nothing."""


def recognised_prediction(
    recognised: Sequence[Recognised], phase: Columns, *, by_counting: bool
) -> Prediction:
    """Return what the analysis says.

    Parameters
    ----------
    recognised
        Its seconds.
    phase
        The phase of each, ``NO_PHASE`` where it shows none. Shape ``(seconds,)``.
    by_counting
        Whether the anticipation is the prior's, and not the network's where there is one.
    """
    forecasts = [r.prior if by_counting or r.learned is None else r.learned for r in recognised]
    return Prediction(
        phase=phase,
        following=np.stack([f.next_probabilities[0].argmax(axis=1) for f in forecasts]),
        remaining_seconds=np.array([float(f.remaining_seconds[0]) for f in forecasts]),
    )


def argmax_prediction(evidence: Evidence, networks: PhaseNetworks) -> Prediction:
    """Return the likeliest phase of each second alone."""
    phase = [NO_PHASE if e is None else int(e.argmax()) for e in evidence]
    return counted_prediction(np.array(phase, dtype=np.int64), networks)


def hmm_prediction(evidence: Evidence, networks: PhaseNetworks) -> Prediction:
    """Return the likeliest phase by a plain hidden Markov model, run forwards."""
    return counted_prediction(_filtered(evidence, networks.plain_filter), networks)


def blind_phase(seconds: int, networks: PhaseNetworks) -> Columns:
    """Return the likeliest phase by the time that has passed, without looking at any picture."""
    plain = networks.plain_filter
    n = len(networks.procedure.phases)
    return _filtered([np.zeros(n)] * seconds, plain)


def counted_prediction(phase: Columns, networks: PhaseNetworks) -> Prediction:
    """Return phases with what counting expects after them.

    Parameters
    ----------
    phase
        Shape ``(seconds,)``. A second without one expects what a first phase does.
    networks
        Whose counts are meant.
    """
    following, remaining = [], []
    for run in runs_of(phase):
        for elapsed in range(1, run.end - run.start + 1):
            forecast = prior_forecast(
                networks.counts, max(0, run.value), elapsed / networks.model.rate_hz
            )
            following.append(forecast.next_probabilities[0].argmax(axis=1))
            remaining.append(float(forecast.remaining_seconds[0]))
    return Prediction(
        phase=phase, following=np.stack(following), remaining_seconds=np.array(remaining)
    )


def _filtered(evidence: Evidence, plain: PhaseFilter) -> Columns:
    """Return the likeliest phase by a filter at each second."""
    state = plain.initial()
    found = []
    for second in evidence:
        state = plain.wait(state) if second is None else plain.step(state, second)
        found.append(int(state.belief.argmax()))
    return np.array(found, dtype=np.int64)
