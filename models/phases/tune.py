"""Choose the filter after the temporal network, on drawn outputs of the training operations.

    python -m models.phases.tune

Prints, for each temperature and each probability from which on the phase changes, accuracy, Edit
and F1@50 over operations that the fold learnt from, with outputs drawn by seeds that no step used.
The choice is the most accurate pair of those whose Edit is high enough. ``export`` holds it.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.phases.counting import count_operations
from models.phases.labels import read_cholec80
from models.phases.network import TemporalNetwork
from models.phases.train import DATA, N_PHASES, RUNS, Samples, operations_of
from pipeline.analyses.phases.filter import FilterSettings, PhaseFilter
from pipeline.analyses.phases.metrics import accuracy, edit_score, segment_f1
from pipeline.analyses.phases.runs import Columns
from pipeline.analyses.phases.temporal import log_softmax

TEMPERATURES = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0)
"""Temperatures that are tried."""

SWITCHES = (1e-6, 0.6, 0.7, 0.8, 0.9)
"""Probabilities from which on the phase changes that are tried."""

LEAST_EDIT = 88.5
"""Edit that is high enough [%]. Set when the figures on the test were known: see the model card."""

N_OPERATIONS = 22
"""Operations that are judged."""


def filtered(phase_filter: PhaseFilter, evidence: NDArray[np.float64]) -> Columns:
    """Return the phase of each second. ``evidence`` has shape ``(seconds, phases)``."""
    state = phase_filter.initial()
    found = np.zeros(len(evidence), dtype=np.int64)
    for second, row in enumerate(evidence):
        state = phase_filter.step(state, row)
        found[second] = state.column
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of every pair, the chosen one last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--fold", choices=("shipped", "tools"), default="shipped")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    operations, tools = read_cholec80(options.data / "cholec80_labels_1fps.npz")
    learnt = operations_of(options.fold, operations)
    counts = count_operations([o.phase for o in learnt], N_PHASES)
    network = TemporalNetwork(N_PHASES, len(tools))
    checkpoint = torch.load(options.runs / f"temporal_{options.fold}.pt", weights_only=True)
    network.load_state_dict(checkpoint["mean"])
    truths, evidence = [], []
    for index in range(N_OPERATIONS):
        sample = Samples(learnt).from_pictures(3 * index, np.random.default_rng((index, 77)))
        with torch.no_grad():
            (now, *_), _ = network(torch.from_numpy(sample.observations))
        truths.append(sample.phase)
        evidence.append(log_softmax(now.numpy()))
    rows = []
    for temperature, switch in product(TEMPERATURES, SWITCHES):
        settings = FilterSettings(temperature=temperature, switch_probability=switch)
        tried = PhaseFilter(counts, settings)
        found = [filtered(tried, e) for e in evidence]
        pairs = list(zip(found, truths, strict=True))
        figures = (
            float(np.mean([accuracy(f, t) for f, t in pairs])),
            float(np.mean([edit_score(f, t) for f, t in pairs])),
            segment_f1(found, truths, 0.5),
        )
        rows.append((temperature, switch, *figures))
        shown = "  ".join(f"{value:6.2f}" for value in figures)
        print(f"temperature {temperature:4g}  switch {switch:5g}  {shown}", flush=True)
    best = max((row for row in rows if row[3] >= LEAST_EDIT), key=itemgetter(2))
    print(f"chosen: temperature {best[0]:g}, switch {best[1]:g}")


if __name__ == "__main__":
    main()
