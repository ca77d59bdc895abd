"""Commands answer without the libraries that only their work needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import start
from benchmarks.row import Terms
from pipeline.ingest import nifti
from pipeline.ingest.raw import confined
from pipeline.ingest.video import footage

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

LATER = (
    "alembic",
    "av",
    "cryptography",
    "duckdb",
    "fastapi",
    "h5py",
    "highdicom",
    "matplotlib",
    "nibabel",
    "onnxruntime",
    "scipy",
    "skimage",
    "sqlalchemy.dialects.postgresql",
    "twixtools",
)
"""What a run needs only once a ledger is to be migrated, a signature to be checked, a series to be
computed, or there is something to write; or what its readers need and it does not."""

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


def test_a_run_that_has_not_computed_has_not_loaded_what_it_needs_later() -> None:
    assert imported(start.RUN, LATER) == "[]"


@pytest.mark.parametrize(
    ("module", "libraries"),
    [
        (nifti.MODULE, ("nibabel",)),
        (confined.MODULE, ("h5py", "nibabel", "scipy.fft", "scipy.linalg")),
        (footage.MODULE, ("PIL", "av")),
        ("pipeline.ingest.decoder", ("gdcm", "jpeg_ls", "openjpeg", "rle")),
    ],
)
def test_a_reader_begins_with_the_libraries_that_it_reads_by(
    module: str, libraries: tuple[str, ...]
) -> None:
    assert imported(f"import {module}", libraries) == str(list(libraries))


def test_a_worker_loads_the_analyses_before_its_processes_are_made() -> None:
    libraries = ("onnxruntime", "scipy.fft", "scipy.ndimage")
    assert imported("import workers.run", libraries) == str(list(libraries))


def test_both_ways_of_starting_are_measured(tmp_path: Path) -> None:
    rows = list(start.measure(Terms(rounds=1, is_small=True, place=tmp_path)))
    assert [row.aim for row in rows] == [None, 1.5]
    assert all(took > 0 for row in rows for took in (*row.ours, *row.theirs))
