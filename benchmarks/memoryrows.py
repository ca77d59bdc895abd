"""Area ``memory``: what grows with the input, and what a process gives back.

Every figure is that of a process of its own (``benchmarks.peaks``).
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.phases import write_clip
from benchmarks.row import Row, Terms


def measure(terms: Terms) -> Iterator[Row]:
    """Yield the peaks of small and of large inputs, and what is resident after a large one."""
    short, long = (terms.place / f"{name}.mp4" for name in ("short", "long"))
    seconds = (20, 40) if terms.is_small else (60, 480)
    for path, length in zip((short, long), seconds, strict=True):
        write_clip(path, length, (96, 160), 5)
    yield peaks(
        ("video", f"{seconds[1]} s of video", f"{seconds[0]} s"), (long, short), terms.rounds, 1.05
    )
    beats = (40, 20) if terms.is_small else (300, 60)
    yield peaks(
        ("perfusion", f"a perfusion slice of {beats[0]} beats", f"{beats[1]} beats"),
        beats,
        terms.rounds,
        None,
    )
    sides = (128, 64) if terms.is_small else (640, 128)
    row = peaks(
        ("reconstruction", f"a slice of {sides[0]} x {sides[0]}, 4 coils", f"{sides[1]} squared"),
        sides,
        1,
        None,
    )
    yield replace(row, note="The images of a slice are held whole; their spectra are not.")
    yield from returned(terms, sides)


def peaks(
    told: tuple[str, str, str],
    sizes: tuple[object, object],
    rounds: int,
    aim: float | None,
) -> Row:
    """Return the peak of a large input beside that of a small one."""
    what, ours, theirs = told
    pairs = [tuple(alone(what, size)["peak"] for size in sizes) for _ in range(rounds)]
    return Row(
        area="memory",
        what=f"peak: {ours}",
        against=theirs,
        ours=tuple(large for large, _ in pairs),
        theirs=tuple(small for _, small in pairs),
        unit="MiB",
        aim=aim,
        note="" if aim else "The input itself is part of both.",
    )


def returned(terms: Terms, sides: tuple[int, int]) -> Iterator[Row]:
    """Yield what is resident 1 s after a large slice over what was after a small one."""
    for arena, kept in (("shipped", "as shipped"), ("arena", "with ONNX Runtime's arena")):
        rounds = min(terms.rounds, 2)
        found = [alone("reconstruction", f"{sides[1]}-{sides[0]}", arena) for _ in range(rounds)]
        yield Row(
            area="memory",
            what=f"resident 1 s after a slice of {sides[0]} squared, {kept}",
            against=f"before it, after one of {sides[1]} squared",
            ours=tuple(each["after"] for each in found),
            theirs=tuple(each["warm"] for each in found),
            unit="MiB",
            aim=1.1 if arena == "shipped" else None,
        )


def alone(what: str, size: object, arena: str = "shipped") -> dict[str, float]:
    """Do a task in a fresh process; return what it took."""
    call = [sys.executable, "-m", "benchmarks.peaks", what, str(size), arena]
    ended = subprocess.run(call, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(ended.stdout.strip().splitlines()[-1])
    return told
