"""Area ``serving``: each analysis end to end over the networks that it runs, and the command.

Ours is the whole way of a job: files are read and checked, the analysis is made, every file of the
result is written, recorded and listed in a manifest. Theirs is the calls of ONNX Runtime that this
makes, and nothing else (``benchmarks.tape``). The command has rows of its own: a fresh process that
imports, opens the networks and ends.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.command import timed
from benchmarks.row import Row, Terms, in_turn, seconds_of
from benchmarks.tape import Tape, kept_runs
from benchmarks.whole import Given, Whole, perfusion_input, phases_input, reconstruction_input
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.config import Configuration
from pipeline.infer.terms import Compute

AIM = 1.1
"""Ours over the networks alone, at the most."""

STRIDE = 4
"""Points between the patches of perfusion's uncertainty map: at the default of 2, four times as
many patches run, and the area would take over three minutes."""

LARGEST_STAGE = 0.02
"""Smaller shares of the whole are not told."""


def measure(terms: Terms) -> Iterator[Row]:
    """Yield the analyses, each in this process and then as a command."""
    stride = 8 if terms.is_small else STRIDE
    configuration = Configuration(perfusion=PerfusionSettings(uncertainty_stride=stride))
    for given in _inputs(terms):
        place = terms.place / given.analysis
        place.mkdir()
        with Whole(given, place, configuration, Compute()) as whole:
            with kept_runs() as tape:
                whole.once()
            yield _analysis(terms, given, whole, tape)
        yield _command(terms, given, place, tape, stride)


def _inputs(terms: Terms) -> Iterator[Given]:
    """Write the inputs one after another."""
    small = terms.is_small
    yield perfusion_input(terms.place, n_slices=1 if small else 3, n_beats=24 if small else 60)
    yield reconstruction_input(terms.place, n_slices=1 if small else 3)
    yield phases_input(terms.place, n_scenes=2 if small else 4)


def _analysis(terms: Terms, given: Given, whole: Whole, tape: Tape) -> Row:
    """Measure an analysis whose networks are open."""
    stages: list[dict[str, float]] = []

    def ours() -> float:
        seconds, timings = whole.once()
        stages.append({name: taken / seconds for name, taken in timings.items()})
        return seconds

    took, bare = in_turn(terms.rounds, ours, lambda: seconds_of(tape.replay))
    shares = {name: median(one[name] for one in stages[1:]) for name in stages[0]}
    told = ", ".join(
        f"{name} {share:.0%}"
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
        if share >= LARGEST_STAGE
    )
    return Row(
        area="serving",
        what=f"{given.analysis}: {given.what}, read, analysed, encoded and recorded",
        against=_bare(tape),
        ours=took,
        theirs=bare,
        aim=AIM,
        note=f"stages of ours: {told}",
    )


def _command(terms: Terms, given: Given, place: Path, tape: Tape, stride: int) -> Row:
    """Measure the command on the same input, a fresh process each time."""
    site = place / "site.toml"
    site.write_text(f"[perfusion]\nuncertainty_stride = {stride}\n", encoding="utf-8")
    call = [sys.executable, "-m", "pipeline.cli", "run", str(given.path), "--again", "--json"]
    call += ["--analysis", given.analysis, "--output", f"{place}/command"]
    call += ["--config", str(site), "--ledger", f"{place}/command.db"]
    call += ["--reference", str(given.reference)] if given.reference else []
    # Half the pairs: a process that starts takes longer, and its ratio is far from the aim.
    pairs = max(1, terms.rounds // 2)
    took, bare = in_turn(pairs, lambda: timed(call)[0], lambda: seconds_of(tape.replay))
    return Row(
        area="serving",
        what=f"{given.analysis}: vesalius run on the same, a fresh process",
        against=_bare(tape),
        ours=took,
        theirs=bare,
        aim=AIM,
    )


def _bare(tape: Tape) -> str:
    """Return what theirs is."""
    callers = "caller" if tape.at_once == 1 else "callers"
    return f"onnxruntime alone: the same {len(tape.runs)} runs, {tape.at_once} {callers}"
