"""The graphs' networks in torch: eager, compiled, and in bfloat16."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.graphs import (
    GRAPHS,
    Feed,
    Way,
    apart,
    check_same,
    example,
    graph_row,
    off_by,
    served,
    times_of,
)
from benchmarks.row import Missing, Row, Terms, seconds_of
from benchmarks.torchreference import REFERENCES, Reference

TORCH = f"torch {version('torch')}"
"""How torch is named in rows."""

BFLOAT16 = "avx512_bf16"
"""What a processor says that computes in bfloat16; without it, torch imitates that."""

UNCOMPILED = (OSError, RuntimeError)
"""What torch raises where it cannot compile, such as without a C++ compiler."""


def eager(name: str) -> Way:
    """Return a graph's network in torch."""
    return way(REFERENCES[name]())


def way(network: Reference) -> Way:
    """Return a network in torch as a way to run its graph."""

    def run(feed: Feed) -> NDArray[np.float32]:
        with torch.inference_mode():
            found = network(*map(torch.from_numpy, feed.values()))
        first = found if isinstance(found, torch.Tensor) else found[0]
        values: NDArray[np.float32] = first.float().numpy()
        return values

    return run


def in_bfloat16(name: str) -> Way:
    """Return a graph's network with what torch's autocast does in bfloat16."""
    plain = eager(name)

    def run(feed: Feed) -> NDArray[np.float32]:
        with torch.autocast("cpu", torch.bfloat16):
            return plain(feed)

    return run


def compiled(name: str) -> Way:
    """Return a graph's network, which its first run compiles for as many threads as are set."""
    torch.compiler.reset()
    return way(torch.compile(REFERENCES[name]()))


def compiled_rows(terms: Terms) -> Iterator[Row | Missing]:
    """Yield each graph over its network, compiled for one thread."""
    torch.set_num_threads(1)
    for model, name in GRAPHS:
        feed, ours = example((model, name)), served(model, name, 1)
        against = f"{TORCH}, compiled"
        other = compiled(name)
        try:
            seconds = seconds_of(lambda other=other, feed=feed: other(feed))
        except UNCOMPILED as problem:
            first = str(problem).strip().splitlines()[0]
            yield Missing(against=f"{against}, {name}", reason=first)
            continue
        check_same(f"{name}, {against}", eager(name)(feed), other(feed))
        times = times_of(terms, feed, ours, other)
        note = f"compiling took {seconds:.0f} s, which is not counted"
        yield graph_row((model, name), 1, against, times, note)


def bfloat16_rows(terms: Terms) -> Iterator[Row | Missing]:
    """Yield each graph over its network in bfloat16, where the processor computes in it."""
    if BFLOAT16 not in processor_flags():
        yield Missing(against=f"{TORCH}, bfloat16", reason=f"this processor has no {BFLOAT16}")
        return
    torch.set_num_threads(1)
    for model, name in GRAPHS:
        feed, ours, other = example((model, name)), served(model, name, 1), in_bfloat16(name)
        times = times_of(terms, feed, ours, other)
        against = f"{TORCH}, autocast to bfloat16"
        note = off_by(apart(ours(feed), other(feed)))
        yield graph_row((model, name), 1, against, times, note)


def processor_flags() -> frozenset[str]:
    """Return what the processor says that it can do; nothing where the system does not tell."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())
