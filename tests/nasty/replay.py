"""Take stock of nasty inputs one after the other, and write down what became of each.

``python -m tests.nasty.replay ROOT OUT``: of each folder that lies two deep under the root, a line
of JSON with the verdict, why, and how long it took; then the most memory that this process, and any
that it has started, has held. A process of its own, so that the memory is that of the readers.
"""

import json
import resource
import sys
import traceback
import warnings
from pathlib import Path
from time import perf_counter

from tests.nasty.judge import judged


def main() -> None:
    """Replay all."""
    root, out = Path(sys.argv[1]), Path(sys.argv[2])
    warnings.simplefilter("ignore")
    with out.open("w") as file:
        for folder in sorted(path for kind in root.iterdir() for path in kind.iterdir()):
            began = perf_counter()
            try:
                became = judged(folder)
                verdict, why, at_once = str(became.verdict), became.why, became.at_once
            except Exception as problem:  # noqa: BLE001 - what is not foreseen is what is sought
                at = traceback.extract_tb(problem.__traceback__)[-1]
                verdict, at_once = "crash", False
                why = f"{type(problem).__name__} at {at.name}:{at.lineno}"
            line = {
                "folder": folder.relative_to(root).as_posix(),
                "verdict": verdict,
                "why": why,
                "at_once": at_once,
                "seconds": perf_counter() - began,
            }
            file.write(json.dumps(line) + "\n")
        file.write(json.dumps({"own": _peak_mb("SELF"), "children": _peak_mb("CHILDREN")}) + "\n")


def _peak_mb(who: str) -> float:
    """Return the most memory that a process, or any one that it has started, has held [MB]."""
    return resource.getrusage(getattr(resource, f"RUSAGE_{who}")).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
