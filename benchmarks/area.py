"""One area of the benchmarks: ``python -m benchmarks.area NAME ROUNDS FILE [--small]``.

An area is a module with a function ``measure`` that takes ``Terms`` and yields rows, and what could
not be measured with its reason. They are written as they come, so that what fails later takes none
of them away.
"""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.areas import AREAS
from benchmarks.row import Missing, Terms


def main() -> None:
    """Measure one area and write its rows as JSON."""
    parser = ArgumentParser(prog="benchmarks.area", description=__doc__)
    parser.add_argument("name", choices=AREAS)
    parser.add_argument("rounds", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--small", action="store_true")
    call = parser.parse_args()
    with TemporaryDirectory() as place:
        terms = Terms(rounds=call.rounds, is_small=call.small, place=Path(place))
        told: dict[str, list[object]] = {"rows": [], "missing": []}
        for found in import_module(AREAS[call.name]).measure(terms):
            told["missing" if isinstance(found, Missing) else "rows"].append(asdict(found))
            call.file.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
