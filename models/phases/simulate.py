"""What a frame-wise network would say of an operation: drawn, because real outputs are few.

Trained on the labels alone, a temporal network would learn that the present phase stands in its
input. Real frame-wise outputs are wrong in bursts: for a blink, for a stretch of smoke, or for
minutes of a scene that looks like another phase. What a stretch is taken for follows two things
that training labels tell: phases in which the same instruments are seen are taken for one another,
and a network in doubt says what is frequent. How often, how long, how sure and how well calibrated
differs from operation to operation and is drawn widely. Nothing here is fitted on outputs of a real
network.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from models.phases.counting import tool_sets
from models.phases.labels import Operation
from pipeline.analyses.phases.runs import Columns, runs_of
from pipeline.analyses.phases.temporal import log_softmax

BURSTS = ((0.03, 2.5), (0.01, 12.0), (0.003, 40.0), (0.001, 200.0))
"""Bursts of confusion: how many begin each second, and their mean length [s]."""

LONGEST_SECONDS = 5000
"""Operations are cut off here after warping, to bound a training step [s]."""

Random = np.random.Generator


def warp(operation: Operation, rng: Random) -> Operation:
    """Return an operation that went faster or slower, as a whole and phase by phase."""
    pace = rng.uniform(0.8, 1.25)
    taken = []
    for run in runs_of(operation.phase):
        length = run.end - run.start
        new = max(4, int(length * pace * np.exp(rng.normal(0, 0.2))))
        taken.append(run.start + np.arange(new) * length // new)
    seconds = np.concatenate(taken)[:LONGEST_SECONDS]
    return Operation(
        name=operation.name, phase=operation.phase[seconds], tools=operation.tools[seconds]
    )


def simulated_log_probabilities(
    operation: Operation,
    table: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    rng: Random,
) -> NDArray[np.float64]:
    """Draw what a frame-wise network would say of each second.

    Parameters
    ----------
    operation
        Its phases and tools.
    table
        Probabilities of phases given the set of tools, from ``counting.tool_table``.
    frequencies
        Share of all seconds that each phase has. Shape ``(phases,)``.
    rng
        Source of randomness.

    Returns
    -------
        Log probabilities. Shape ``(seconds, phases)``.
    """
    n = frequencies.size
    likely = table[tool_sets(operation.tools)]
    confusions = _confusions(frequencies, rng)
    difficulty = rng.beta(1, 3, size=n)
    seen = _with_bursts(operation.phase, likely, confusions, difficulty, rng)
    blinks = rng.random(seen.size) < 0.3 * difficulty[operation.phase]
    mistaken = 0.5 * confusions[operation.phase] + 0.5 * likely
    seen = np.where(blinks, _drawn(mistaken, rng), seen)
    sure = rng.uniform(2, 9) * rng.uniform(0.5, 1.3, (seen.size, 1))
    logits = sure * np.eye(n)[seen]
    logits += rng.uniform(0, 0.5) * np.log(likely + 0.02)
    logits += rng.uniform(0.5, 2.2) * _slow_noise((seen.size, n), rng.uniform(0.3, 0.9), rng)
    logits += rng.normal(0, 0.7, n)
    return log_softmax(logits)


def simulated_tools(tools: NDArray[np.float32], rng: Random) -> NDArray[np.float32]:
    """Draw what a tool detector would say: missed for a while, and wrong for a blink."""
    found = tools.copy()
    for tool in range(tools.shape[1]):
        if rng.random() < 0.5:
            for stretch in bursts(len(tools), rng.uniform(0.002, 0.03), rng.uniform(2, 15), rng):
                found[stretch, tool] = 0
        wrong = rng.random(len(tools)) < rng.uniform(0, 0.03)
        found[wrong, tool] = 1 - found[wrong, tool]
    return found


def bursts(seconds: int, rate: float, mean_seconds: float, rng: Random) -> Iterator[slice]:
    """Yield stretches that begin at a rate, do not touch, and last exponentially long.

    Parameters
    ----------
    seconds
        Length of the operation [s].
    rate
        How many begin each second.
    mean_seconds
        Their mean length [s].
    rng
        Source of randomness.
    """
    at = 0
    while True:
        at += int(rng.exponential(1 / rate)) + 1
        if at >= seconds:
            return
        end = at + int(rng.exponential(mean_seconds)) + 1
        yield slice(at, min(end, seconds))
        at = end


def _confusions(frequencies: NDArray[np.float64], rng: Random) -> NDArray[np.float64]:
    """Draw what each phase is taken for: at random, or for its neighbours; the frequent more."""
    n = frequencies.size
    weight = np.sqrt(frequencies / frequencies.mean())
    apart = np.abs(np.arange(n)[:, None] - np.arange(n))
    near = np.where(apart > 0, np.exp(-apart / 1.5), 0) * weight
    near /= near.sum(axis=1, keepdims=True)
    anything = rng.dirichlet(0.4 * weight, size=n)
    share = rng.random()
    return np.asarray(share * anything + (1 - share) * near)


def _with_bursts(
    phase: Columns,
    likely: NDArray[np.float64],
    confusions: NDArray[np.float64],
    difficulty: NDArray[np.float64],
    rng: Random,
) -> Columns:
    """Return what phases are taken for in stretches."""
    seen = phase.copy()
    for rate, mean_seconds in BURSTS:
        stretches = bursts(
            phase.size, rate * rng.gamma(1.5, 0.8) + 1e-6, mean_seconds * rng.uniform(0.5, 1.5), rng
        )
        for stretch in stretches:
            true = phase[stretch.start]
            if rng.random() >= 0.2 + 1.5 * difficulty[true]:
                continue
            by_tools = rng.random() < 0.65
            mistaken = likely[stretch].mean(axis=0) if by_tools else confusions[true]
            length = stretch.stop - stretch.start
            taken = rng.random(length) < rng.uniform(0.3, 1)
            drawn = _drawn(np.broadcast_to(mistaken, (length, mistaken.size)), rng)
            seen[stretch] = np.where(taken, drawn, seen[stretch])
    return seen


def _drawn(probabilities: NDArray[np.float64], rng: Random) -> Columns:
    """Draw one column a row. Shape ``(rows, columns)``; rows sum to 1."""
    below = np.cumsum(probabilities, axis=1) < rng.random((len(probabilities), 1))
    return np.minimum(below.sum(axis=1), probabilities.shape[1] - 1)


def _slow_noise(shape: Sequence[int], memory: float, rng: Random) -> NDArray[np.float64]:
    """Draw noise of unit variance whose neighbours in time are alike."""
    white = rng.normal(0, 1, tuple(shape))
    return np.asarray(lfilter([np.sqrt(1 - memory**2)], [1, -memory], white, axis=0))
