"""Write the locks: what is installed, file by file, with the SHA-256 of each.

::

    python -m release.lock [--check]

``constraints.txt`` says which versions; the locks add the digests of all files of these versions,
for every platform and for Python from 3.11 on, so that pip installs nothing else
(``--require-hashes``). ``requirements.lock`` is what serves, ``requirements-dev.lock`` what the
project is built, trained and tested with.

The libraries that torch needs where it computes on a GPU are left out: they are gigabytes that no
test needs. Which build of torch a machine has is its own choice, so the digest of the one that pip
chooses here is listed beside those of the registry.
"""

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]

CONSTRAINTS = "constraints.txt"
"""File of the versions."""

LOCKS = {
    "requirements.lock": ("postgres", "otel", "gate", "build"),
    "requirements-dev.lock": ("postgres", "otel", "gate", "build", "train", "dev"),
}
"""The locks, and the extras of each."""

ONLY_ON_A_GPU = re.compile(r"(nvidia|cuda)-|triton==")
"""Beginnings of the names of packages that are left out."""

LOCAL_BUILDS = ("torch",)
"""Packages that machines have builds of their own of."""

HEAD = """\
# Written by `make lock` from pyproject.toml and constraints.txt; not to be edited. Install with
# pip install --require-hashes --no-deps --requirement {name}
"""

ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?==(?P<version>[^ ;\\]+)")
"""First line of a package in a lock."""


def main() -> int:
    """Write the locks, or say which would change."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    check = parser.parse_args().check
    changed = 0
    for name, extras in LOCKS.items():
        content, place = locked(name, extras), ROOT / name
        if place.is_file() and place.read_text(encoding="utf-8") == content:
            continue
        changed += 1
        print(f"{name}: {'differs' if check else 'written'}")
        if not check:
            place.write_text(content, encoding="utf-8")
    return 1 if check and changed else 0


def locked(name: str, extras: tuple[str, ...]) -> str:
    """Return the content of a lock."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / name
        words = [Path(sys.executable).with_name("uv"), "pip", "compile", "pyproject.toml"]
        words += ["--constraint", CONSTRAINTS, "--output-file", place, "--quiet", "--no-config"]
        words += ["--universal", "--python-version", "3.11", "--generate-hashes"]
        # pip is the machine's own, and comes with its Python.
        words += ["--no-annotate", "--no-header", "--no-emit-package", "pip"]
        for extra in extras:
            words += ["--extra", extra]
        subprocess.run([str(word) for word in words], cwd=ROOT, check=True)
        entries = entries_of(place.read_text(encoding="utf-8"))
    kept = [_with_local(entry) for entry in entries if not ONLY_ON_A_GPU.match(entry)]
    return HEAD.format(name=name) + "".join(kept)


def entries_of(lock: str) -> list[str]:
    """Return the entries of a lock: a package with all its digests each."""
    lines = [line for line in lock.splitlines(keepends=True) if not line.startswith("#")]
    entries: list[str] = []
    for line in lines:
        if line[:1].isspace():
            entries[-1] += line
        else:
            entries.append(line)
    return entries


def versions_in(lock: str) -> dict[str, str]:
    """Return the version of each package in a lock, by names as registries compare them."""
    found = (ENTRY.match(entry) for entry in entries_of(lock))
    return {canonical(each["name"]): each["version"] for each in found if each}


def canonical(name: str) -> str:
    """Return the name of a distribution as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _with_local(entry: str) -> str:
    """Return an entry with the digest of the build that pip chooses here."""
    found = ENTRY.match(entry)
    if found is None or found["name"] not in LOCAL_BUILDS:
        return entry
    with TemporaryDirectory() as folder:
        words = ["download", "--quiet", "--no-deps", "--dest", folder]
        asked = f"{found['name']}=={found['version']}"
        subprocess.run([sys.executable, "-m", "pip", *words, asked], check=True)
        (file,) = Path(folder).iterdir()
        digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    if digest in entry:
        return entry
    return f"{entry.rstrip()} \\\n    --hash={digest}\n"


if __name__ == "__main__":
    raise SystemExit(main())
