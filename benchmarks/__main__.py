"""Measure everything beside what a user would pick instead, and write one table.

    python -m benchmarks [AREA ...] [--rounds 3] [--small] [--output DIR]

Each area is measured in a process of its own. ``DIR`` gets ``table.md`` and ``table.json``, which
keeps what each round took; what cannot be measured here is named in the table with its reason.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.areas import AREAS
from benchmarks.row import Row
from benchmarks.table import RESULTS, Section, document, markdown, this_machine

LONGEST_S = 1800.0
"""Longest time of an area [s]."""


def main() -> None:
    """Measure the areas, in their order, and write the table after each."""
    parser = ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("areas", nargs="*", choices=[[], *AREAS], metavar="AREA", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="small inputs, to try it")
    parser.add_argument("--output", type=Path, default=RESULTS)
    call = parser.parse_args()
    call.output.mkdir(parents=True, exist_ok=True)
    machine, sections = this_machine(), []
    for name in call.areas or AREAS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        sections.append(measured(name, call.rounds, is_small=call.small))
        (call.output / "table.md").write_text(markdown(machine, sections), encoding="utf-8")
        (call.output / "table.json").write_text(document(machine, sections), encoding="utf-8")
    print((call.output / "table.md").read_text(encoding="utf-8"))
    print(f"Written to {call.output}", file=sys.stderr)
    sys.exit(1 if any(section.failure for section in sections) else 0)


def measured(name: str, rounds: int, *, is_small: bool) -> Section:
    """Measure an area in a process of its own; what it said last is the reason where it failed."""
    began = perf_counter()
    with TemporaryDirectory() as place:
        told = Path(place, "rows.json")
        call = [sys.executable, "-m", "benchmarks.area", name, str(rounds), str(told)]
        call += ["--small"] if is_small else []
        failure = ""
        try:
            ended = subprocess.run(
                call, stdout=sys.stderr, stderr=subprocess.PIPE, timeout=LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            failure = f"takes longer than {LONGEST_S:.0f} s"
        else:
            if ended.returncode:
                said = ended.stderr.decode(errors="replace").strip().splitlines()
                failure = said[-1] if said else f"status {ended.returncode}"
        found = json.loads(told.read_text()) if told.is_file() else {"rows": [], "missing": []}
    missing = [f"{one['against']}: {one['reason']}" for one in found["missing"]]
    return Section(
        area=name,
        seconds=perf_counter() - began,
        rows=tuple(Row(**row) for row in found["rows"]),
        failure="; ".join([*missing, *([failure] if failure else [])]),
    )


if __name__ == "__main__":
    main()
