"""Area ``models``: the graphs as they are served, over the same graphs run in other ways.

Other ways are fewer of ONNX Runtime's optimisations and torch eager, on one thread and on two; and
on one, torch compiled, 16 bits in both libraries, and eight bits in ONNX Runtime. OpenVINO's
provider has two.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from benchmarks.daugs import places_of, prepared_beats
from benchmarks.graphs import (
    GRAPHS,
    RUNS,
    Feed,
    Way,
    at_level,
    check_same,
    example,
    mean_seconds,
    served,
    times_of,
)
from benchmarks.halfgraphs import half_rows
from benchmarks.peers import PINNED, NotInstalled, ask, python_of
from benchmarks.row import Missing, Row, Terms, in_turn, seconds_of
from benchmarks.torchreference import graph_of
from benchmarks.torchways import TORCH, bfloat16_rows, compiled_rows, eager
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.infer.terms import CPU

LEVELS = {
    "no optimisation": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "no change of layout": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
}
"""Optimisations of ONNX Runtime that are fewer than what is served."""


def measure(terms: Terms) -> Iterator[Row | Missing]:
    """Yield each graph over itself, run in other ways."""
    for model, name in GRAPHS:
        feed = example((model, name))
        for threads in (1,) if terms.is_small else (1, 2):
            yield from _rows(terms, (model, name), feed, threads)
    yield from bfloat16_rows(terms)
    yield from half_rows(terms)
    yield from _eight_bits(terms)
    if not terms.is_small:
        yield from _openvino(terms)
        yield from compiled_rows(terms)


def _rows(terms: Terms, which: tuple[str, str], feed: Feed, threads: int) -> Iterator[Row]:
    """Yield one graph over itself at lower levels and in torch."""
    model, name = which
    ours = served(model, name, threads)
    others: dict[str, Way] = {
        f"onnxruntime, {told}": at_level(graph_of(model, name), threads, level)
        for told, level in LEVELS.items()
    }
    others[f"{TORCH}, eager"] = eager(name)
    torch.set_num_threads(threads)
    for against, other in others.items():
        check_same(f"{name}, {against}", ours(feed), other(feed))
        times = times_of(terms, feed, ours, other)
        what = f"{model}'s {name}, {threads} thread{'s' if threads > 1 else ''}"
        yield Row(area="models", what=what, against=against, ours=times[0], theirs=times[1])


class _Patches(CalibrationDataReader):
    """Gives patches of a phantom's slice, one at a time."""

    def __init__(self, patches: NDArray[np.float32]) -> None:
        self._left = iter(patches)

    def get_next(self) -> Feed | None:
        """Return the next patch; None after the last."""
        patch = next(self._left, None)
        return None if patch is None else {"beats": patch[None]}


def write_eight_bits(pool: Pool, place: Path) -> Path:
    """Write the first member in eight bits, calibrated on a phantom's patches, into a folder."""
    plain, small = place / "plain.onnx", place / "int8.onnx"
    options = onnxruntime.SessionOptions()
    # Constants that are kept in half precision are resolved first, or none is quantised.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = os.fspath(plain)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        graph_of("perfusion", "member_1"), sess_options=options, providers=list(CPU)
    )
    reader = _Patches(phantom_patches(pool)[::2])
    quantize_static(plain, small, reader, quant_format=QuantFormat.QDQ, per_channel=True)
    return small


def phantom_patches(pool: Pool) -> NDArray[np.float32]:
    """Return patches of a phantom's slice at the segmentation's stride."""
    beats, side = prepared_beats(pool), pool.grid.patch_size
    places = places_of(pool.grid, pool.grid.segmentation_stride)
    return np.stack([beats[:, r : r + side, c : c + side] for r, c in places])


def _eight_bits(terms: Terms) -> Iterator[Row]:
    """Yield a member over itself in eight bits."""
    pool = open_pool(load_bundle(find_bundle("perfusion")))
    full = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    ours = served("perfusion", "member_1", 1)
    other = at_level(write_eight_bits(pool, terms.place), 1, full)
    feed = {"beats": phantom_patches(pool)[1::2]}
    same = float((ours(feed).argmax(axis=1) == other(feed).argmax(axis=1)).mean())
    times = in_turn(
        terms.rounds,
        lambda: seconds_of(lambda: ours(feed)),
        lambda: seconds_of(lambda: other(feed)),
    )
    yield Row(
        area="models",
        what="perfusion's member_1, 1 thread",
        against="onnxruntime, weights and activations in 8 bits",
        ours=times[0],
        theirs=times[1],
        note=f"another result: {100 * same:.1f} % of the points get the same class on patches "
        "beside those that it was calibrated on",
    )


def _openvino(terms: Terms) -> Iterator[Row | Missing]:
    """Yield each graph over itself by OpenVINO's provider, which lives in a package of its own."""
    against = PINNED["openvino"][0].replace("==", " ")
    for model, name in GRAPHS:
        feed = example((model, name))
        given, found = terms.place / f"{name}.npz", terms.place / f"{name}.npy"
        np.savez(given, **feed)
        ours = served(model, name, 2)
        call = ("openvinograph.py", graph_of(model, name), given, found, 2, RUNS)
        try:
            python = python_of("openvino")
            times = in_turn(
                terms.rounds,
                lambda ours=ours, feed=feed: mean_seconds(ours, feed, RUNS),
                lambda python=python, call=call: float(ask(python, *call)),
            )
        except NotInstalled as reason:
            yield Missing(against=f"{against}, {name}", reason=str(reason))
            continue
        check_same(f"{name}, {against}", ours(feed), np.load(found))
        yield Row(
            area="models",
            what=f"{model}'s {name}, 2 threads",
            against=against,
            ours=times[0],
            theirs=times[1],
            note="in a process of its own, which is not timed",
        )
