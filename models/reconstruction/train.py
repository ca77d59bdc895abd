"""Train the operator, or the network that it is compared with. Resumable; fits one CPU core.

    python -m models.reconstruction.train operator
    python -m models.reconstruction.train varnet
    python -m models.reconstruction.train operator --size large --steps 400000

Both kinds see the same samples in the same order, from the volumes of Debian's mricron-data. A
run writes ``models/reconstruction/runs/<kind>.pt`` (every 100 steps; a run that is started again
goes on from there) and ``models/reconstruction/runs/<kind>.csv``: loss, and PSNR and SSIM on data
that no step sees. ``python -m models.reconstruction.export`` makes the bundle.

The small size is what ships. The large one is that of the paper: 12 cascades of five levels.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.reconstruction.anatomy import (
    TEMPLATES,
    TRAINING_VOLUMES,
    AnatomyVolume,
    load_volumes,
)
from models.reconstruction.data import Simulated, draw_simulated, undersample
from models.reconstruction.disco import KINDS
from models.reconstruction.loss import reconstruction_loss
from models.reconstruction.network import Size, Unrolled, n_parameters
from models.runs import Run, rate_share
from pipeline.mr.quality import psnr, ssim

RUNS = Path(__file__).parent / "runs"
"""Where runs keep their checkpoints and curves."""

EVERY = 100
"""Steps between checkpoints."""

MASKS_AN_IMAGE = 3
"""Steps that use one simulated image, each with a mask of its own."""

N_VALIDATION = 8
"""Samples that PSNR and SSIM are logged on."""

SIZES = {
    ("operator", "small"): Size(
        n_cascades=3,
        channels=(12, 24, 48, 96),
        kspace_channels=(8, 16, 16),
        sensitivity_channels=(6, 12, 12),
    ),
    ("varnet", "small"): Size(
        n_cascades=3,
        channels=(12, 24, 48, 98),
        kspace_channels=(),
        sensitivity_channels=(6, 12, 12),
    ),
    ("operator", "large"): Size(
        n_cascades=12,
        channels=(18, 36, 72, 144, 288),
        kspace_channels=(16, 32, 64, 128, 256),
        sensitivity_channels=(8, 16, 32, 64, 128),
    ),
    ("varnet", "large"): Size(
        n_cascades=12,
        channels=(18, 36, 72, 144, 288),
        kspace_channels=(),
        sensitivity_channels=(8, 16, 32, 64, 128),
    ),
}
"""Sizes that can be trained: the two kinds of a size have about as many parameters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How one network is trained."""

    kind: str
    """``operator`` or ``varnet``."""

    size: str
    """``small`` or ``large``."""

    seed: int
    """Seed of weights and samples."""

    steps: int
    """Number of steps, one sample each."""

    learning_rate: float
    """Highest learning rate; it rises for 100 steps, then falls as a cosine."""


def train(recipe: Recipe, volumes: Sequence[AnatomyVolume], runs: Path = RUNS) -> Path:
    """Run a recipe to its end, from its checkpoint where there is one; return the checkpoint."""
    torch.manual_seed(recipe.seed)
    network = Unrolled(recipe.kind, SIZES[recipe.kind, recipe.size])
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    checkpoint = runs / f"{recipe.kind}.pt"
    run = Run(checkpoint, network, optimiser)
    print(f"{recipe.kind}: {n_parameters(network)} parameters, from step {run.done}", flush=True)
    losses: list[float] = []
    began = time.monotonic()
    images = _Images(recipe.seed, volumes)
    for step in range(run.done, recipe.steps):
        run.set_rate(recipe.learning_rate * rate_share(step, recipe.steps))
        losses.append(_step(network, optimiser, images, step))
        run.follow(step)
        if (step + 1) % EVERY == 0 or step + 1 == recipe.steps:
            seconds = (time.monotonic() - began) / len(losses)
            psnr_db, similarity = validate(run.mean, volumes)
            figures = {
                "loss": f"{np.mean(losses[-EVERY:]):.4f}",
                "psnr_db": f"{psnr_db:.2f}",
                "ssim": f"{similarity:.4f}",
                "seconds_per_step": f"{seconds:.3f}",
            }
            run.save(step + 1, figures)
    return checkpoint


def validate(network: nn.Module, volumes: Sequence[AnatomyVolume]) -> tuple[float, float]:
    """Return the mean PSNR [dB] and SSIM on samples that no step sees."""
    images = _Images(_VALIDATION_SEED, volumes)
    figures = []
    for index in range(N_VALIDATION):
        prepared, truth = undersample(images(index), np.random.default_rng((index, 9)))
        with torch.no_grad():
            found = network(prepared)[0].abs().numpy()
        figures.append((psnr(truth, found), ssim(truth, found)))
    mean = np.mean(figures, axis=0)
    return float(mean[0]), float(mean[1])


_VALIDATION_SEED = 10**6


class _Images:
    """Draws simulated images by their number; the last one is kept."""

    def __init__(self, seed: int, volumes: Sequence[AnatomyVolume]) -> None:
        self._seed = seed
        self._volumes = volumes
        self._kept = lru_cache(maxsize=1)(self._drawn)

    def __call__(self, index: int) -> Simulated:
        """Return an image."""
        return self._kept(index)

    def _drawn(self, index: int) -> Simulated:
        return draw_simulated(self._volumes, np.random.default_rng((self._seed, index)))


def _step(
    network: nn.Module, optimiser: torch.optim.Optimizer, images: _Images, step: int
) -> float:
    """Do one step and return its loss."""
    simulated = images(step // MASKS_AN_IMAGE)
    prepared, truth = undersample(simulated, np.random.default_rng((step, 1)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image, _ = network(prepared)
    loss: Tensor = reconstruction_loss(image.abs(), torch.from_numpy(truth))
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=tuple(KINDS))
    parser.add_argument("--size", choices=("small", "large"), default="small")
    parser.add_argument("--volumes", type=Path, nargs="+", help="NIfTI volumes to draw from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    paths = options.volumes or [TEMPLATES / name for name in TRAINING_VOLUMES]
    recipe = Recipe(
        kind=options.kind,
        size=options.size,
        seed=options.seed,
        steps=options.steps,
        learning_rate=options.learning_rate,
    )
    train(recipe, load_volumes(paths))


if __name__ == "__main__":
    main()
