"""All nasty files: those that are made here, and odd ones that installed packages bring."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import nibabel
import pydicom.data

from tests.nasty import containers, geometry, pixels, structure, words
from tests.nasty.case import Case, Verdict

SUBJECTS = (structure, pixels, geometry, words, containers)

LARGEST = 1 << 20
"""Files of others that are larger are left out [byte]."""


@cache
def generated() -> tuple[Case, ...]:
    """Return the cases that are made here, the same each time."""
    found = [case for subject in SUBJECTS for case in subject.cases()]
    twice = [name for name, n in Counter(case.folder for case in found).items() if n > 1]
    if twice:
        raise ValueError(f"two cases are named {twice}")
    return tuple(found)


@cache
def installed() -> tuple[Case, ...]:
    """Return the odd files that pydicom and nibabel bring: no verdict but to be survived."""
    folders = {
        "pydicom": Path(pydicom.data.__file__).parent,
        "nibabel": Path(nibabel.__file__).parent / "tests" / "data",
    }
    return tuple(
        Case(
            kind=kind,
            name=path.relative_to(folder).as_posix().replace("/", " "),
            files={path.name: path.read_bytes()},
            verdict=Verdict.ANY,
        )
        for kind, folder in folders.items()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size <= LARGEST and _is_input(path)
    )


def written(cases: Sequence[Case], root: Path) -> Iterator[tuple[Case, Path]]:
    """Write cases under a folder, and yield each with its own folder."""
    for number, case in enumerate(cases):
        folder = root / case.kind / f"{number:04d}"
        folder.mkdir(parents=True)
        for name, content in case.files.items():
            (folder / name).write_bytes(content)
        yield case, folder


def _is_input(path: Path) -> bool:
    """Tell whether a file of a package is data and no code."""
    return path.suffix not in (".py", ".pyc", ".pyi", ".json", ".md", ".txt", ".rst")
