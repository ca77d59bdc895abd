"""The head: from the encoder's features to phases, fitted on three videos and judged on each.

    python -m models.phases.head

Encodes the frames with ``runs/encoder.onnx`` (kept beside it), judges by leaving one video out,
chooses the temperature that makes those held-out probabilities likeliest, fits on all three, and
writes ``runs/head.pt``, ``runs/head_leave_one_out.json`` and ``runs/head_leave_one_out.png``.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.phases.encoder import N_FEATURES
from models.phases.frames import LabelledFeatures, encoded_frames, opened_encoder
from models.phases.train import DATA, RUNS
from pipeline.analyses.phases.ontology import Procedure, load_procedure
from pipeline.identity import digest_file

N_VIEWS = 6
"""Views of each frame."""

DECAY = 0.03
"""Weight of the squared coefficients in the loss."""

TEMPERATURES = np.geomspace(0.5, 20, 60)
"""Temperatures that are tried."""

BINS = 10
"""Bins of the reliability diagram."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeldOut:
    """What heads said of the frames of videos that they had not seen."""

    logits: NDArray[np.float32]
    """Shape ``(frames, phases)``."""

    phase: NDArray[np.int64]
    """What is labelled. Shape ``(frames,)``."""

    video: NDArray[np.int64]
    """Shape ``(frames,)``."""


def fit_head(frames: LabelledFeatures, n_phases: int, chosen: NDArray[np.bool_]) -> nn.Linear:
    """Return a logistic regression on standardised features.

    Parameters
    ----------
    frames
        All frames.
    n_phases
        Phases of the procedure.
    chosen
        Which frames to fit on. Shape ``(frames,)``.
    """
    features = torch.from_numpy(frames.features[:, chosen]).flatten(0, 1)
    n_views = frames.features.shape[0]
    phase = torch.from_numpy(np.tile(frames.phase[chosen], n_views))
    weight = torch.from_numpy(np.tile(_weights(frames, chosen), n_views)).float()
    mean, spread = features.mean(dim=0), features.std(dim=0) + 1e-2
    features = (features - mean) / spread
    head = nn.Linear(N_FEATURES, n_phases)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=40)

    def closure() -> Tensor:
        optimiser.zero_grad()
        error = functional.cross_entropy(head(features), phase, reduction="none")
        loss = (weight * error).mean() + 0.5 * DECAY * head.weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        head.weight /= spread
        head.bias -= head.weight @ mean
    return head


def leave_one_out(frames: LabelledFeatures, n_phases: int) -> HeldOut:
    """Return what heads fitted on all other videos say of each video's frames as they are."""
    logits = np.zeros((frames.phase.size, n_phases), dtype=np.float32)
    for video in np.unique(frames.video):
        held_out = frames.video == video
        head = fit_head(frames, n_phases, ~held_out)
        with torch.no_grad():
            logits[held_out] = head(torch.from_numpy(frames.features[0, held_out])).numpy()
    return HeldOut(logits=logits, phase=frames.phase, video=frames.video)


def best_temperature(held_out: HeldOut) -> float:
    """Return the temperature at which the held-out labels are likeliest."""
    logits, phase = torch.from_numpy(held_out.logits), torch.from_numpy(held_out.phase)
    losses = [float(functional.cross_entropy(logits / t, phase)) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def report(held_out: HeldOut, temperature: float, procedure: Procedure) -> dict[str, object]:
    """Return accuracy by video, confusion matrix and reliability, as JSON values.

    The temperature was chosen on these same frames, which flatters the calibration.
    """
    probabilities = _softmax(held_out.logits / temperature)
    found = probabilities.argmax(axis=1)
    right = found == held_out.phase
    n = len(procedure.phases)
    confusion = np.zeros((n, n), dtype=int)
    np.add.at(confusion, (held_out.phase, found), 1)
    labelled = confusion.sum(axis=1) > 0
    shares = confusion.diagonal()[labelled] / confusion[labelled].sum(axis=1)
    sure = probabilities.max(axis=1)
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    filled = [b for b in range(BINS) if (place == b).any()]
    bins = [
        {
            "confidence": float(sure[place == b].mean()),
            "accuracy": float(right[place == b].mean()),
            "frames": int(np.count_nonzero(place == b)),
        }
        for b in filled
    ]
    gaps = [abs(b["confidence"] - b["accuracy"]) * b["frames"] for b in bins]
    videos = np.unique(held_out.video)
    return {
        "phases": list(procedure.names),
        "accuracy_percent": {
            str(v): 100 * float(right[held_out.video == v].mean()) for v in videos
        },
        "balanced_accuracy_percent": 100 * float(np.mean(shares)),
        "most_frequent_percent": 100
        * float(np.mean(held_out.phase == np.bincount(held_out.phase).argmax())),
        "temperature": temperature,
        "expected_calibration_error": float(sum(gaps) / right.size),
        "confusion": confusion.tolist(),
        "reliability": bins,
    }


def draw(told: dict[str, object], path: Path) -> None:
    """Write the confusion matrix and the reliability diagram as one figure."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    confusion = np.array(told["confusion"])
    names = [str(name).replace("_", " ") for name in told["phases"]]  # type: ignore[attr-defined]
    totals = np.maximum(1, confusion.sum(axis=1, keepdims=True))
    left.imshow(confusion / totals, cmap="Blues", vmin=0, vmax=1)
    for row, counts in enumerate(confusion):
        for column, count in enumerate(counts):
            left.text(column, row, str(count), ha="center", va="center", fontsize=8)
    left.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    left.set_yticks(range(len(names)), names, fontsize=8)
    left.set(xlabel="recognised", ylabel="labelled", title="Frames, each video left out once")
    bins = told["reliability"]
    sure = [b["confidence"] for b in bins]  # type: ignore[attr-defined]
    right.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    right.plot(sure, [b["accuracy"] for b in bins], marker="o")  # type: ignore[attr-defined]
    right.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    right.set_title("Reliability")
    figure.savefig(path, dpi=80)


def _weights(frames: LabelledFeatures, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what chosen frames weigh: those of a frequent phase in a video less."""
    weights = np.zeros(frames.phase.size)
    for video in np.unique(frames.video):
        for phase in np.unique(frames.phase):
            group = (frames.video == video) & (frames.phase == phase)
            weights[group] = 1 / np.sqrt(max(1, np.count_nonzero(group)))
    return weights[chosen] / weights[chosen].mean()


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities along the last axis."""
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def labelled_frames(folder: Path, encoder: Path) -> LabelledFeatures:
    """Return the frames' features, encoded once for each encoder and kept beside it.

    Parameters
    ----------
    folder
        The frames and their labels.
    encoder
        An exported encoder.
    """
    procedure = load_procedure("cholecystectomy")
    kept = encoder.with_name(f"frames-{digest_file(encoder)[:16]}.npz")
    if not kept.exists():
        frames = encoded_frames(folder, procedure, opened_encoder(encoder), N_VIEWS)
        np.savez(kept, features=frames.features, phase=frames.phase, video=frames.video)
    with np.load(kept) as file:
        return LabelledFeatures(**{name: file[name] for name in file.files})


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the head, and say how it does on videos that it has not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA / "frames")
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    procedure = load_procedure("cholecystectomy")
    n = len(procedure.phases)
    frames = labelled_frames(options.data, options.runs / "encoder.onnx")
    held_out = leave_one_out(frames, n)
    temperature = best_temperature(held_out)
    told = report(held_out, temperature, procedure)
    (options.runs / "head_leave_one_out.json").write_text(json.dumps(told, indent=2) + "\n")
    draw(told, options.runs / "head_leave_one_out.png")
    head = fit_head(frames, n, np.ones(frames.phase.size, dtype=bool))
    with torch.no_grad():
        head.weight /= temperature
        head.bias /= temperature
    torch.save(head.state_dict(), options.runs / "head.pt")
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
