"""Commands answer without the libraries that only their work needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import start
from benchmarks.row import Terms

HEAVY = (
    "alembic",
    "av",
    "celery",
    "duckdb",
    "fastapi",
    "h5py",
    "highdicom",
    "matplotlib",
    "nibabel",
    "numpy",
    "onnxruntime",
    "pydicom",
    "pynetdicom",
    "scipy",
    "skimage",
    "sqlalchemy",
)
"""What takes a tenth of a second or more to import, or brings what does."""

WRITERS = (
    "duckdb",
    "fastapi",
    "highdicom",
    "matplotlib",
    "scipy.optimize",
    "scipy.signal",
    "scipy.stats",
    "skimage",
)
"""What a run needs only once there is something to write, or blood flow to tell."""

TOLD = "import sys; print([m for m in {names} if m in sys.modules], file=sys.stderr)"


def imported(code: str, names: tuple[str, ...]) -> str:
    """Return which of the names are imported at the end of some code."""
    whole = f"import atexit\ndef told():\n    {TOLD.format(names=names)}\natexit.register(told)\n"
    ended = subprocess.run(
        [sys.executable, "-c", whole + code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(start.__file__).parents[1],
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; from workers.cli import main; sys.argv = ['vesalius', *{arguments}]; main()"
    )
    assert imported(code, HEAVY) == "[]"


def test_a_run_that_has_not_computed_has_not_loaded_what_writes() -> None:
    assert imported(start.RUN, WRITERS) == "[]"


def test_both_ways_of_starting_are_measured(tmp_path: Path) -> None:
    rows = list(start.measure(Terms(rounds=1, is_small=True, place=tmp_path)))
    assert [row.aim for row in rows] == [None, 1.5]
    assert all(took > 0 for row in rows for took in (*row.ours, *row.theirs))
