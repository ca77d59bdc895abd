"""Area ``start``: how soon a command answers, and how soon it begins to compute.

Theirs is the start of an interpreter that imports the two libraries that any such program needs.
"""

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.row import Row, Terms, in_turn, seconds_of

BARE = "import pydicom, onnxruntime"
HELP = "import sys; from workers.cli import main; sys.argv = ['vesalius', '--help']; main()"
RUN = """
from pathlib import Path
import workers.cli
from pipeline.imports import in_one_go
with in_one_go():
    from pipeline.console import Reporter
    from pipeline.ingest.reference import read_reference
    from pipeline.inservice import InService
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import serialised
    from pipeline.perform import open_analyses
    from pipeline.run import run
"""
"""What ``vesalius run`` imports before it computes."""


def measure(terms: Terms) -> Iterator[Row]:
    """Yield the help and the imports of a run beside the bare imports."""
    for what, code, aim in (
        ("vesalius --help", HELP, None),
        ("imports of vesalius run, up to where it computes", RUN, 1.5),
    ):
        ours, theirs = in_turn(terms.rounds, lambda: started(code), lambda: started(BARE))
        yield Row(
            area="start",
            what=what,
            against=f'python -c "{BARE}"',
            ours=ours,
            theirs=theirs,
            aim=aim,
        )


def started(code: str) -> float:
    """Return how long an interpreter takes for some code, its start included [s]."""
    call = [sys.executable, "-c", code]
    return seconds_of(lambda: subprocess.run(call, check=True, stdout=subprocess.DEVNULL))
