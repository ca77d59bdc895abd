"""What a fuzz target is, and the list of them.

The list names modules and imports none: what is to be watched for coverage must be imported by the
engine, once it watches.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
"""Inputs that once were findings, and small ones that reach far, by target."""

CURRENT = "current"
"""File with the input that is read now, behind its length in eight bytes: what is left of a process
that native code holds for ever."""

PLACES = {
    "dicom": "tests.fuzz.dicom",
    "series": "tests.fuzz.dicom",
    "decoder": "tests.fuzz.dicom",
    "twix": "tests.fuzz.rawdata",
    "hdf5": "tests.fuzz.rawdata",
    "mrdxml": "tests.fuzz.rawdata",
    "bart": "tests.fuzz.rawdata",
    "numpy": "tests.fuzz.rawdata",
    "nifti": "tests.fuzz.images",
    "video": "tests.fuzz.images",
    "bundle": "tests.fuzz.bundles",
    "onnx": "tests.fuzz.bundles",
    "toml": "tests.fuzz.settings",
    "stow": "tests.fuzz.network",
    "pdu": "tests.fuzz.network",
    "glance": "tests.fuzz.network",
}
"""The module of each target."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A reader, and where its inputs come from."""

    read: Callable[[bytes, Path], None]
    """Reads one input; files are written into the folder. What is refused on purpose is caught."""

    seeds: Callable[[Path], list[bytes]]
    """Returns sound inputs; the folder is for files on the way."""

    brought: str = ""
    """Package whose odd files the search begins with as well (``tests.nasty.corpus.installed``)."""

    longest: int = 1 << 16
    """Longest input that is tried [byte]."""

    n_tried: int = 400
    """Damaged inputs that the tests try."""


def target(name: str) -> Target:
    """Return a target by its name."""
    found: dict[str, Target] = import_module(PLACES[name]).TARGETS
    return found[name]


def kept(name: str) -> list[Path]:
    """Return the inputs of a target that are kept in the repository."""
    return sorted((CORPUS / name).glob("*"))


def signature(problem: BaseException) -> str:
    """Return what tells a finding from others: its kind, and where in this project it arose."""
    frames = traceback.extract_tb(problem.__traceback__)
    ours = [f for f in frames if f"{ROOT}/pipeline/" in f.filename]
    at = (ours or frames)[-1]
    return f"{type(problem).__name__} at {Path(at.filename).name}:{at.name}"
