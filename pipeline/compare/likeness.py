"""How alike the files of two results are: segmentations, reconstructed images, phases.

Which figure there is follows from the files that an analysis writes, so that an analysis of a
site's own that writes a ``segmentation.nii.gz`` is compared like those that ship.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.errors import UnreadableFile
from pipeline.imaging.nifti import read_labels, read_time_series
from pipeline.imaging.overlap import dice
from pipeline.mr.quality import nmse, ssim

SEGMENTATION, MAGNITUDE, PHASES = "segmentation.nii.gz", "magnitude.nii.gz", "phases.json"
"""Files that are compared."""

SEGMENTS = {"perfusion": {MYOCARDIUM: "myocardium", BLOOD_POOL: "blood_pool"}}
"""Names of an analysis' segments; those of others are named by their values."""

NRMSE, SSIM, AGREEMENT = "nrmse", "ssim", "agreement"
"""Names of figures; that of a segment is ``dice`` and its name."""

UNCERTAINTY_KEYS = ("u_pp", "mean_relative_uncertainty", "uncertainty")
"""Keys of the uncertainty of a slice or segment in a manifest."""


def likeness(analysis: str, first: Path, second: Path) -> dict[str, float]:
    """Return how alike two results are.

    Parameters
    ----------
    analysis
        Name of the analysis.
    first, second
        Folders of the results.

    Returns
    -------
        Figures by name. ``dice NAME`` and ``ssim`` and ``agreement`` are 1 for the same, ``nrmse``
        is 0.

    Raises
    ------
    UnreadableFile
        If a result lacks a file that the other has, or they are of different grids.
    """
    found: dict[str, float] = {}
    for name, compare in (
        (SEGMENTATION, _dice),
        (MAGNITUDE, _images),
        (PHASES, _agreement),
    ):
        has = [(folder / name).is_file() for folder in (first, second)]
        if any(has) and not all(has):
            raise UnreadableFile(f"{name}: only one of the results has it")
        if all(has):
            found |= compare(analysis, first / name, second / name)
    return found


def label_dice(analysis: str, folder: Path, truth: NDArray[np.uint8]) -> dict[str, float]:
    """Return the Dice of a result against a label, by segment; of those that the label has.

    Raises
    ------
    UnreadableFile
        If there is no segmentation, or it is of another grid.
    """
    if not (folder / SEGMENTATION).is_file():
        raise UnreadableFile(f"{SEGMENTATION}: missing, labels are compared with segmentations")
    found = read_labels(folder / SEGMENTATION)
    _check_grids(SEGMENTATION, found, truth)
    return {
        name: dice(found == value, truth == value)
        for value, name in _segments(analysis, truth)
        if (truth == value).any()
    }


def uncertainty_of(outcome: Mapping[str, object]) -> float | None:
    """Return the mean uncertainty over slices or segments; None if there is none."""
    rows = outcome.get("uncertainty")
    values = []
    for row in rows if isinstance(rows, list | tuple) else ():
        value = next((row[key] for key in UNCERTAINTY_KEYS if key in row), None)
        if isinstance(value, int | float) and math.isfinite(value):
            values.append(float(value))
    return float(np.mean(values)) if values else None


def _segments(analysis: str, *arrays: NDArray[np.integer]) -> Iterator[tuple[int, str]]:
    """Yield values and names of segments."""
    named = SEGMENTS.get(analysis)
    if named is not None:
        yield from named.items()
        return
    values = {int(value) for array in arrays for value in np.unique(array)} - {0}
    for value in sorted(values):
        yield value, f"segment_{value}"


def _dice(analysis: str, first: Path, second: Path) -> dict[str, float]:
    """Return the Dice of each segment."""
    a, b = read_labels(first), read_labels(second)
    _check_grids(SEGMENTATION, a, b)
    return {f"dice {name}": dice(a == v, b == v) for v, name in _segments(analysis, a, b)}


def _images(_analysis: str, first: Path, second: Path) -> dict[str, float]:
    """Return how far images differ, relative to the first."""
    a, b = read_time_series(first).array, read_time_series(second).array
    _check_grids(MAGNITUDE, a, b)
    try:
        return {NRMSE: math.sqrt(nmse(a, b)), SSIM: ssim(a, b)}
    except ValueError as problem:
        raise UnreadableFile(f"{MAGNITUDE}: {problem}") from problem


def _agreement(_analysis: str, first: Path, second: Path) -> dict[str, float]:
    """Return the share of seconds with the same phase."""
    a, b = phases_of(first), phases_of(second)
    if len(a) != len(b):
        raise UnreadableFile(f"{PHASES}: {len(a)} and {len(b)} moments")
    same = sum(x == y for x, y in zip(a, b, strict=True))
    return {AGREEMENT: same / len(a) if a else 1.0}


def phases_of(path: Path) -> list[str | None]:
    """Return the phase at each moment.

    Raises
    ------
    UnreadableFile
        If the file is no result of the phase analysis.
    """
    try:
        found = json.loads(path.read_bytes())["seconds"]["phase"]
        return [None if phase is None else str(phase) for phase in found]
    except (OSError, ValueError, KeyError, TypeError):
        raise UnreadableFile(f"{path.name}: no phases of each second") from None


def _check_grids(name: str, a: NDArray[np.generic], b: NDArray[np.generic]) -> None:
    """Refuse arrays of different shapes."""
    if a.shape != b.shape:
        raise UnreadableFile(f"{name}: shapes {a.shape} and {b.shape}")
