"""Which way to run an analysis's network is fastest and keeps the figures of its evaluation.

    python -m benchmarks.choose [--analysis perfusion|phases] [--rounds 3]

Each way is judged on the same data; its time is measured in turn with that of the first, which the
others are held to. The fastest none of whose figures lies more than half a per cent below is named.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.row import in_turn

KEPT = 0.005
"""Share of a figure that a way may lose."""

ANALYSES = ("perfusion", "phases")
"""Analyses whose networks there are ways for: ``choose<name>`` judges them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One way beside the first."""

    way: str
    ratio: float
    """Its time over that of the first."""

    figures: Mapping[str, float]
    """What the evaluation gives by name, each the better the higher."""


def ratio_of(rounds: int, way: Callable[[], float], first: Callable[[], float]) -> float:
    """Return the time of a way over that of the first.

    Parameters
    ----------
    rounds
        Times that both are timed.
    way, first
        Run once, and return what that took [s].
    """
    theirs, ours = in_turn(rounds, way, first)
    return median(a / b for a, b in zip(theirs, ours, strict=True))


def fastest(found: Sequence[Choice]) -> Choice:
    """Return the fastest way that keeps every figure of the first."""
    least = {name: (1 - KEPT) * figure for name, figure in found[0].figures.items()}
    kept = [c for c in found if all(c.figures[name] >= least[name] for name in least)]
    return min(kept, key=lambda c: c.ratio)


def table(found: Sequence[Choice]) -> str:
    """Return the table, and what is chosen."""
    names = list(found[0].figures)
    heads = ["way", f"time over that of: {found[0].way}", *names]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for choice in found:
        figures = " | ".join(f"{choice.figures[name]:.4f}" for name in names)
        lines.append(f"| {choice.way} | {choice.ratio:.3g} | {figures} |")
    kept = " and ".join(names)
    return "\n".join(
        [*lines, "", f"Fastest that keeps {kept} within {100 * KEPT:g} %: {fastest(found).way}."]
    )


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(prog="benchmarks.choose", description=__doc__)
    parser.add_argument("--analysis", choices=ANALYSES, default=ANALYSES[0])
    parser.add_argument("--rounds", type=int, default=3)
    call = parser.parse_args()
    judge = getattr(import_module(f"benchmarks.choose{call.analysis}"), f"{call.analysis}_choices")
    with TemporaryDirectory() as place:
        print(table(judge(call.rounds, Path(place))))


if __name__ == "__main__":
    main()
