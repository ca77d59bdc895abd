"""Area ``models``: the graphs as they are served, over the same graphs run in other ways.

Other ways are fewer of ONNX Runtime's optimisations and torch eager, on one thread and on two; and
on one, torch compiled, and 16 bits in both libraries. OpenVINO's provider has two. Graphs that ship
in eight bits are measured over themselves in single precision, and what torch makes of them is
compared with that.
"""

from collections.abc import Callable, Iterator

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from benchmarks.daugs import OtherResult
from benchmarks.graphs import (
    GRAPHS,
    RUNS,
    Feed,
    at_level,
    check_near,
    check_same,
    example,
    graph_row,
    mean_seconds,
    served,
    times_of,
)
from benchmarks.halfgraphs import half_rows
from benchmarks.peers import PINNED, NotInstalled, ask, python_of
from benchmarks.row import Missing, Row, Terms, in_turn
from benchmarks.torchreference import graph_of
from benchmarks.torchways import TORCH, bfloat16_rows, compiled_rows, eager
from benchmarks.unrounded import EIGHT_BITS, unrounded

FULL = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
"""All optimisations, as what is served has them."""

LEVELS = {
    "no optimisation": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "no change of layout": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
}
"""Optimisations of ONNX Runtime that are fewer than what is served."""


def measure(terms: Terms) -> Iterator[Row | Missing]:
    """Yield each graph over itself, run in other ways."""
    for which in GRAPHS:
        feed = example(which)
        for threads in (1,) if terms.is_small else (1, 2):
            yield from _rows(terms, which, feed, threads)
            if which in EIGHT_BITS:
                yield _single_precision(terms, which, feed, threads)
    yield from bfloat16_rows(terms)
    yield from half_rows(terms)
    if not terms.is_small:
        yield from openvino_rows(terms)
        yield from compiled_rows(terms)


def _rows(terms: Terms, which: tuple[str, str], feed: Feed, threads: int) -> Iterator[Row]:
    """Yield one graph over itself at lower levels and in torch."""
    model, name = which
    ours = served(model, name, threads)
    for told, level in LEVELS.items():
        against = f"onnxruntime, {told}"
        other = at_level(graph_of(model, name), threads, level)
        _check(which)(f"{name}, {against}", ours(feed), other(feed))
        times = times_of(terms, feed, ours, other)
        yield graph_row(which, threads, against, times)
    torch.set_num_threads(threads)
    against, network = f"{TORCH}, eager", eager(name)
    single = at_level(unrounded(which, terms.place), threads, FULL)
    check_same(f"{name}, {against}", single(feed), network(feed))
    times = times_of(terms, feed, ours, network)
    note = "ours in eight bits, theirs in single precision" if which in EIGHT_BITS else ""
    yield graph_row(which, threads, against, times, note)


def _single_precision(terms: Terms, which: tuple[str, str], feed: Feed, threads: int) -> Row:
    """Return a graph in eight bits over what it was made from."""
    ours = served(*which, threads)
    other = at_level(unrounded(which, terms.place), threads, FULL)
    times = times_of(terms, feed, ours, other)
    against = "onnxruntime, the same in single precision"
    note = "another result: how much of it stays, benchmarks.choose tells"
    return graph_row(which, threads, against, times, note)


def openvino_rows(terms: Terms) -> Iterator[Row | Missing]:
    """Yield each graph over itself by OpenVINO's provider, which lives in a package of its own.

    What it does in another way, with another result, is told and not compared.
    """
    against = PINNED["openvino"][0].replace("==", " ")
    for which in GRAPHS:
        model, name = which
        feed = example(which)
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
            _check(which)(name, ours(feed), np.load(found))
        except (NotInstalled, OtherResult) as reason:
            yield Missing(against=f"{against}, {name}", reason=str(reason))
            continue
        yield graph_row(which, 2, against, times, "in a process of its own, which is not timed")


def _check(
    which: tuple[str, str],
) -> Callable[[str, NDArray[np.float32], NDArray[np.float32]], None]:
    """Return how ways of the graph that ships are compared."""
    return check_near if which in EIGHT_BITS else check_same
