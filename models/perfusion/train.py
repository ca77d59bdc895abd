"""Train one member of the pool, or the locator. Resumable; logs a curve; fits two CPU cores.

    python -m models.perfusion.train member --seed 1 --data ../shared/data/perfusion/internal
    python -m models.perfusion.train locator --data ../shared/data/perfusion/internal

Members differ in nothing but their seed, which decides initial weights and the order of patches. A
run writes ``models/perfusion/runs/<name>.pt`` (every 250 steps; a run that is started again goes on
from there) and ``models/perfusion/runs/<name>.csv``. ``python -m models.perfusion.export`` makes
the bundle.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.perfusion import locator_data
from models.perfusion.augment import draw_patch
from models.perfusion.network import (
    LOCATOR_CHANNELS,
    MEMBER_CHANNELS,
    N_BEATS,
    N_CLASSES,
    N_MAPS,
    UNet,
)
from models.perfusion.series import TrainingSlice, load_generated, load_real, series_paths
from models.runs import Run, rate_share

RUNS = Path(__file__).parent / "runs"
"""Where runs keep their checkpoints and curves."""

EVERY = 250
"""Steps between checkpoints."""

GENERATED_SHARE = 0.25
"""Share of patches from generated series."""

N_GENERATED = 400
"""Generated series that patches are drawn from."""

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How one network is trained."""

    name: str
    """Name of the run."""

    seed: int
    """Seed of weights and patches."""

    steps: int
    """Number of steps."""

    learning_rate: float
    """Highest learning rate; it rises for 100 steps, then falls as a cosine."""

    network: Callable[[], nn.Module]
    """Makes the network."""

    draw: Callable[[np.random.Generator], Batch]
    """Draws one batch."""

    loss: Callable[[Tensor, Tensor], Tensor]
    """Loss of logits against truth."""


def train(recipe: Recipe) -> None:
    """Run a recipe to its end, from its checkpoint where there is one."""
    torch.manual_seed(recipe.seed)
    network = recipe.network()
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=1e-4)
    run = Run(RUNS / f"{recipe.name}.pt", network, optimiser)
    losses: list[float] = []
    began = time.monotonic()
    for step in range(run.done, recipe.steps):
        run.set_rate(recipe.learning_rate * rate_share(step, recipe.steps))
        images, truth = recipe.draw(np.random.default_rng((recipe.seed, step)))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(images)
        loss = recipe.loss(logits.float(), truth)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        run.follow(step)
        losses.append(float(loss.detach()))
        if (step + 1) % EVERY == 0 or step + 1 == recipe.steps:
            seconds = (time.monotonic() - began) / len(losses)
            mean_loss = float(np.mean(losses[-EVERY:]))
            figures = {"loss": f"{mean_loss:.4f}", "seconds_per_step": f"{seconds:.3f}"}
            run.save(step + 1, figures)


def segmentation_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy against the classes' shares, plus soft Dice of myocardium and blood pool."""
    entropy = -(shares * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()
    found, there = logits.softmax(dim=1)[:, 1:], shares[:, 1:]
    overlap = 2 * (found * there).sum(dim=(0, 2, 3)) + 1.0
    dice = overlap / ((found + there).sum(dim=(0, 2, 3)) + 1.0)
    return entropy + 0.5 * (1 - dice.mean())


def member_recipe(seed: int, steps: int, data: Path, batch: int = 16) -> Recipe:
    """Return the recipe of one member of the pool."""
    real = [load_real(path) for path in series_paths(data, "train")]
    generated = [load_generated(seed) for seed in range(10_000, 10_000 + N_GENERATED)]
    print(f"{len(real)} real and {len(generated)} generated series", flush=True)

    def pick(rng: np.random.Generator) -> TrainingSlice:
        pool = generated if rng.uniform() < GENERATED_SHARE else real
        return pool[int(rng.integers(len(pool)))]

    def draw(rng: np.random.Generator) -> Batch:
        patches = [draw_patch(pick(rng), rng) for _ in range(batch)]
        return torch.stack([p for p, _ in patches]), torch.stack([t for _, t in patches])

    return Recipe(
        name=f"member_{seed}",
        seed=seed,
        steps=steps,
        learning_rate=2e-3,
        network=lambda: UNet(N_BEATS, N_CLASSES, MEMBER_CHANNELS),
        draw=draw,
        loss=segmentation_loss,
    )


def locator_recipe(seed: int, steps: int, data: Path) -> Recipe:
    """Return the recipe of the locator."""
    return Recipe(
        name="locator",
        seed=seed,
        steps=steps,
        learning_rate=2e-3,
        network=lambda: UNet(N_MAPS, 1, LOCATOR_CHANNELS),
        draw=locator_data.batches(series_paths(data, "train")),
        loss=locator_data.loss,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("member", "locator"))
    parser.add_argument("--data", type=Path, required=True, help="folder of the internal series")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.what == "locator":
        recipe = locator_recipe(options.seed, options.steps or 1200, options.data)
    else:
        recipe = member_recipe(options.seed, options.steps or 3000, options.data)
    train(recipe)


if __name__ == "__main__":
    main()
