"""A training run that can be stopped at any time: what all trainings of the project share."""

import copy
import csv
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

EMA_DECAY = 0.995
"""Decay of the running mean of the weights, which is what is exported."""

WARM_UP = 100
"""Steps over which the learning rate rises."""

_PARTS = ("network", "mean", "optimiser")


class Run:
    """A network in training, the running mean of its weights, its checkpoint and its curve.

    Parameters
    ----------
    checkpoint
        File that the run is kept in. Where it exists the run goes on from it. The curve is the CSV
        file beside it.
    network
        The network.
    optimiser
        Its optimiser.
    """

    def __init__(
        self, checkpoint: Path, network: nn.Module, optimiser: torch.optim.Optimizer
    ) -> None:
        self.mean = copy.deepcopy(network)
        self.done = 0
        self._checkpoint = checkpoint
        self._parts = (network, self.mean, optimiser)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            for name, part in zip(_PARTS, self._parts, strict=True):
                part.load_state_dict(state[name])
            self.done = int(state["step"])

    def set_rate(self, rate: float) -> None:
        """Set the learning rate."""
        for group in self._parts[2].param_groups:
            group["lr"] = rate

    def follow(self, step: int) -> None:
        """Move the running mean towards the weights after a step, counted from 0."""
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        network, mean, _ = self._parts
        with torch.no_grad():
            for kept, new in zip(mean.parameters(), network.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)

    def save(self, step: int, figures: Mapping[str, str]) -> None:
        """Write the checkpoint whole or not at all, add a line to the curve, and print it.

        Parameters
        ----------
        step
            Steps that are done.
        figures
            What the curve shows, by column.
        """
        state = {n: p.state_dict() for n, p in zip(_PARTS, self._parts, strict=True)}
        temporary = self._checkpoint.with_suffix(".tmp")
        torch.save({**state, "step": step}, temporary)
        temporary.replace(self._checkpoint)
        curve = self._checkpoint.with_suffix(".csv")
        new = not curve.exists()
        with curve.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(("step", *figures))
            writer.writerow((step, *figures.values()))
        shown = " ".join(f"{name} {value}" for name, value in figures.items())
        print(f"{self._checkpoint.stem} step {step} {shown}", flush=True)


def rate_share(step: int, steps: int) -> float:
    """Return the share of the highest learning rate at a step: it rises, then falls as a cosine."""
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))
