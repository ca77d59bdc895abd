"""Train the temporal network. Resumable; fits one CPU core.

    python -m models.phases.train temporal
    python -m models.phases.train temporal --fold tools --steps 1500

The fold ``shipped`` learns from all labelled operations of Cholec80 but the five that have real
frame-wise outputs (65, 66, 68, 70, 74): those are the test. The fold ``tools`` learns from videos 1
to 40 alone and serves to test tools as input on the others; it is not shipped. A run writes
``models/phases/runs/<name>.pt`` every 100 steps, and goes on from there; beside it, the curve.
``python -m models.phases.export`` makes the bundle.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.phases.counting import tool_table
from models.phases.labels import Operation, read_cholec80
from models.phases.network import TemporalNetwork, n_parameters
from models.phases.simulate import bursts, simulated_log_probabilities, simulated_tools, warp
from models.runs import Run, rate_share
from pipeline.analyses.phases.anticipation import N_NEXT
from pipeline.analyses.phases.metrics import edit_score, next_columns
from pipeline.analyses.phases.ontology import load_procedure
from pipeline.analyses.phases.runs import Columns, runs_of
from pipeline.analyses.phases.temporal import (
    DURATION_SCALE_SECONDS,
    LEAST_LOG_PROBABILITY,
    LOG_PROBABILITY_SCALE,
)

RUNS = Path(__file__).parent / "runs"
"""Where runs keep their checkpoints and curves."""

DATA = Path(os.environ.get("VESALIUS_DATA", "../shared/data")) / "surgical"
"""Where the labels are."""

TEST = ("video65", "video66", "video68", "video70", "video74")
"""Operations that no shipped weight and no shipped count has seen."""

EVERY = 100
"""Steps between checkpoints."""

N_VALIDATION = 12
"""Operations, with outputs drawn by seeds of their own, that figures of the curve come from."""

SMOOTHING = 0.02
"""Label smoothing of the present phase: labels are unsure around transitions."""

N_PHASES = len(load_procedure("cholecystectomy").phases)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How the temporal network is trained."""

    fold: str
    """``shipped`` or ``tools``: which operations it learns from."""

    seed: int
    """Seed of weights and draws."""

    steps: int
    """Number of steps, one operation each."""

    learning_rate: float
    """Highest learning rate; it rises for 100 steps, then falls as a cosine."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample:
    """One operation as the network sees it, with what it should say."""

    observations: NDArray[np.float32]
    """Shape ``(seconds, width)``."""

    phase: Columns
    """Present phase. Shape ``(seconds,)``."""

    following: NDArray[np.int64]
    """Next phases, the end included. Shape ``(seconds, N_NEXT)``."""

    durations: NDArray[np.float32]
    """Durations of the next phases, 0 for the end [s]. Same shape."""

    rests: NDArray[np.float32]
    """Rest of the segment and of the operation [s]. Shape ``(seconds, 2)``."""


class Samples:
    """Draws samples from labelled operations.

    Parameters
    ----------
    operations
        What is learnt from.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        phases = [o.phase for o in operations]
        self._table = tool_table(phases, [o.tools for o in operations], N_PHASES)
        counted = np.bincount(np.concatenate(phases), minlength=N_PHASES)
        self.frequencies = counted / counted.sum()

    def training(self, rng: np.random.Generator) -> Sample:
        """Draw a sample: warped or not, from pictures, tools or both, with gaps or not."""
        operation = self._operations[rng.integers(len(self._operations))]
        if rng.random() < 0.7:
            operation = warp(operation, rng)
        source = rng.random()
        tools = operation.tools if rng.random() < 0.5 else simulated_tools(operation.tools, rng)
        observations = self._observed(operation, rng, source < 0.7)
        observations[:, N_PHASES + 1 : -1] = tools
        observations[:, -1] = 1
        if source < 0.6:
            observations[:, N_PHASES + 1 :] = 0
        if rng.random() < 0.3:
            for gap in bursts(len(observations), 0.003, 10, rng):
                observations[gap] = 0
        return _sample(observations, operation.phase)

    def from_pictures(self, index: int, rng: np.random.Generator) -> Sample:
        """Draw frame-wise outputs for an operation, and nothing else."""
        operation = self._operations[index % len(self._operations)]
        return _sample(self._observed(operation, rng, True), operation.phase)

    def _observed(
        self, operation: Operation, rng: np.random.Generator, with_pictures: bool
    ) -> NDArray[np.float32]:
        """Return observations without tools."""
        width = N_PHASES + operation.tools.shape[1] + 2
        observations = np.zeros((operation.phase.size, width), dtype=np.float32)
        if with_pictures:
            found = simulated_log_probabilities(operation, self._table, self.frequencies, rng)
            cut = np.maximum(found, LEAST_LOG_PROBABILITY)
            observations[:, :N_PHASES] = cut / LOG_PROBABILITY_SCALE
            observations[:, N_PHASES] = 1
        return observations


def train(recipe: Recipe, operations: Sequence[Operation], runs: Path = RUNS) -> Path:
    """Run a recipe to its end, from its checkpoint where there is one; return the checkpoint."""
    torch.manual_seed(recipe.seed)
    network = TemporalNetwork(N_PHASES, operations[0].tools.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=1e-3)
    checkpoint = runs / f"temporal_{recipe.fold}.pt"
    run = Run(checkpoint, network, optimiser)
    print(f"temporal: {n_parameters(network)} parameters, from step {run.done}", flush=True)
    samples = Samples(operations)
    losses: list[float] = []
    for step in range(run.done, recipe.steps):
        run.set_rate(recipe.learning_rate * rate_share(step, recipe.steps))
        sample = samples.training(np.random.default_rng((recipe.seed, step)))
        loss = joint_loss(network, sample)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        run.follow(step)
        losses.append(float(loss.detach()))
        if (step + 1) % EVERY == 0 or step + 1 == recipe.steps:
            figures = {"loss": f"{np.mean(losses[-EVERY:]):.4f}", **validate(run.mean, samples)}
            run.save(step + 1, figures)
    return checkpoint


def joint_loss(network: TemporalNetwork, sample: Sample) -> Tensor:
    """Return cross-entropy now and next, and the error of durations, on a logarithmic scale.

    Rare phases weigh more. The window's own head, by which the network counts how long each phase
    was seen, learns the present phase too.
    """
    (now, following, durations, rests), glimpse = network(torch.from_numpy(sample.observations))
    phase = torch.from_numpy(sample.phase)
    weight = _phase_weights()
    coming = torch.from_numpy(sample.following)
    is_phase = coming < N_PHASES
    error = functional.smooth_l1_loss(durations, _scaled(sample.durations), reduction="none")
    return (
        functional.cross_entropy(now, phase, weight, label_smoothing=SMOOTHING)
        + 0.3 * functional.cross_entropy(glimpse, phase, weight)
        + 0.3 * functional.cross_entropy(following.flatten(0, 1), coming.flatten())
        + 0.2 * (error * is_phase).sum() / is_phase.sum().clamp(min=1)
        + 0.2 * functional.smooth_l1_loss(rests, _scaled(sample.rests))
    )


def validate(network: nn.Module, samples: Samples) -> dict[str, str]:
    """Return figures of the curve, on outputs that no step sees: in percent."""
    figures = []
    for index in range(N_VALIDATION):
        sample = samples.from_pictures(5 * index, np.random.default_rng((index, _VALIDATION)))
        with torch.no_grad():
            (now, following, _, _), _ = network(torch.from_numpy(sample.observations))
        given = sample.observations[:, :N_PHASES].argmax(axis=1)
        found = now.argmax(dim=1).numpy()
        figures.append(
            (
                100 * np.mean(given == sample.phase),
                100 * np.mean(found == sample.phase),
                edit_score(found, sample.phase),
                100 * np.mean(following.argmax(dim=2).numpy()[:, 0] == sample.following[:, 0]),
            )
        )
    names = ("input_accuracy", "accuracy", "edit", "next_accuracy")
    means = np.mean(figures, axis=0)
    return {name: f"{value:.2f}" for name, value in zip(names, means, strict=True)}


_VALIDATION = 10**6


def operations_of(fold: str, operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Return the operations that a fold learns from."""
    if fold == "tools":
        return tuple(o for o in operations if int(o.name.removeprefix("video")) <= 40)
    return tuple(o for o in operations if o.name not in TEST)


def _sample(observations: NDArray[np.float32], phase: Columns) -> Sample:
    """Return a sample with what the network should say."""
    durations = np.zeros((phase.size, N_NEXT), dtype=np.float32)
    rest = np.zeros(phase.size, dtype=np.float32)
    runs = runs_of(phase)
    for place, run in enumerate(runs):
        coming = [r.end - r.start for r in runs[place + 1 : place + 1 + N_NEXT]]
        durations[run.start : run.end, : len(coming)] = coming
        rest[run.start : run.end] = np.arange(run.end - run.start, 0, -1)
    remaining = np.arange(phase.size, 0, -1, dtype=np.float32)
    return Sample(
        observations=observations,
        phase=phase,
        following=next_columns(phase, N_NEXT, N_PHASES),
        durations=durations,
        rests=np.stack([rest, remaining], axis=1),
    )


def _scaled(seconds: NDArray[np.float32]) -> Tensor:
    """Return durations as the network gives them."""
    return torch.log1p(torch.from_numpy(seconds) / DURATION_SCALE_SECONDS)


def _phase_weights() -> Tensor:
    """Return what a second of each phase weighs: rare phases more, but not in proportion."""
    return torch.tensor([1.3, 0.7, 1.2, 0.8, 1.5, 1.2, 1.7])


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=("temporal",))
    parser.add_argument("--fold", choices=("shipped", "tools"), default="shipped")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    operations, _ = read_cholec80(options.data / "cholec80_labels_1fps.npz")
    recipe = Recipe(
        fold=options.fold,
        seed=options.seed,
        steps=options.steps,
        learning_rate=options.learning_rate,
    )
    train(recipe, operations_of(options.fold, operations))


if __name__ == "__main__":
    main()
