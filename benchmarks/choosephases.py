"""Ways to run the encoder of the phases, judged on labelled frames of operations.

Each way encodes the frames and their views; a head is fitted on two videos and judged on the third,
each video once. What that gives changes by a point with the views that are drawn, more than a way
changes it: so it is told as the mean over as many draws as there are views, each without another.
"""

from pathlib import Path
from shutil import copyfile
from statistics import mean

import numpy as np
import torch
from torch.nn import functional

from benchmarks.choose import Choice, ratio_of
from benchmarks.graphs import RUNS, at_level, example, mean_seconds
from benchmarks.models import FULL
from benchmarks.torchreference import graph_of
from benchmarks.unrounded import write_encoder
from models.phases.frames import LabelledFeatures
from models.phases.head import HeldOut, best_temperature, labelled_frames, leave_one_out, report
from models.phases.train import DATA, N_PHASES
from pipeline.analyses.phases.ontology import load_procedure


def phases_choices(rounds: int, place: Path, frames: Path = DATA / "frames") -> list[Choice]:
    """Judge every way; the first is single precision, with the published weights.

    Parameters
    ----------
    rounds
        Times that each way is timed.
    place
        An empty folder.
    frames
        The labelled frames, which ``VESALIUS_DATA`` names.
    """
    torch.set_num_threads(1)
    served = place / "served.onnx"
    copyfile(graph_of("phases", "encoder"), served)
    ways = {"single precision": write_encoder(place), "8 bits, as served": served}
    sessions = {way: at_level(path, 1, FULL) for way, path in ways.items()}
    first = next(iter(sessions.values()))
    feed = example(("phases", "encoder"))
    found = []
    for way, path in ways.items():
        ratio = ratio_of(
            rounds,
            lambda way=way: mean_seconds(sessions[way], feed, RUNS),
            lambda: mean_seconds(first, feed, RUNS),
        )
        found.append(Choice(way=way, ratio=ratio, figures=figures(labelled_frames(frames, path))))
    return found


def figures(frames: LabelledFeatures) -> dict[str, float]:
    """Return the figures of heads on videos that they have not seen, means over draws of views.

    Accuracy is the mean over videos; likelihood is the geometric mean of what the labelled phase is
    given; calibration is one less the calibration error.
    """
    n_views = frames.features.shape[0]
    told = []
    for without in range(n_views):
        # The first view is the frame as it is, which heads are judged on: it stays.
        kept = [view for view in range(n_views) if view == 0 or view != without]
        draw = LabelledFeatures(
            features=frames.features[kept], phase=frames.phase, video=frames.video
        )
        told.append(_figures(leave_one_out(draw, N_PHASES)))
    return {name: mean(one[name] for one in told) for name in told[0]}


def _figures(held_out: HeldOut) -> dict[str, float]:
    """Return the figures of one draw."""
    temperature = best_temperature(held_out)
    told = report(held_out, temperature, load_procedure("cholecystectomy"))
    by_video, error = told["accuracy_percent"], told["expected_calibration_error"]
    assert isinstance(by_video, dict)  # noqa: S101 - as the report writes them
    assert isinstance(error, float)  # noqa: S101
    logits = torch.from_numpy(held_out.logits) / temperature
    loss = float(functional.cross_entropy(logits, torch.from_numpy(held_out.phase)))
    return {
        "accuracy": mean(by_video.values()) / 100,
        "likelihood": float(np.exp(-loss)),
        "calibration": 1 - error,
    }
