"""What the pool makes of cases: their signs and their Dice, kept as a table."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from models.perfusion.trustcases import Case
from pipeline.analyses.perfusion.locate import Place, likely_places
from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.oneslice import (
    SliceAnalysis,
    segment_slice,
    signs_on,
    surest,
)
from pipeline.analyses.perfusion.prepare import prepare_slice
from pipeline.analyses.perfusion.result import MYOCARDIUM
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.perfusion.verdict import Signs
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.imaging.overlap import dice

SIGNS = tuple(f.name for f in fields(Signs))
"""Names of the signs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One slice of one case."""

    name: str
    """Name of the series."""

    group: str
    """What is never split."""

    spoilt: str
    """How it was spoilt; ``sound`` where it was not."""

    dice: float
    """Dice of the myocardium, 0 to 1."""

    signs: Signs | None
    """The signs; None where no member found a plausible myocardium."""


def rows_of(case: Case, pool: Pool, settings: PerfusionSettings) -> list[Row]:
    """Return what the pool makes of every slice of a case.

    Parameters
    ----------
    case
        The case.
    pool
        The networks.
    settings
        What they run under.
    """
    found = [_analysed(case, index, (pool, settings)) for index in range(len(case.truth))]
    signs = signs_on(found)
    rows = []
    for index, one in enumerate(found):
        truth = case.truth[index] == MYOCARDIUM
        if not truth.any():
            continue
        wall = np.zeros_like(truth)
        if one.final is not None:
            wall = one.segmentation(one.final.probabilities) == MYOCARDIUM
        is_spoilt = case.spoilt_slice in (None, index)
        rows.append(
            Row(
                name=case.name,
                group=case.group,
                spoilt=case.spoilt if is_spoilt else "sound",
                dice=dice(wall, truth),
                signs=signs.get(index),
            )
        )
    return rows


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Write a table: it takes minutes to make, and a moment to look at again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "group", "spoilt", "dice", *SIGNS])
        for row in rows:
            values: Sequence[object] = [""] * len(SIGNS)
            if row.signs is not None:
                values = [_text(getattr(row.signs, name)) for name in SIGNS]
            writer.writerow([row.name, row.group, row.spoilt, repr(row.dice), *values])


def read_rows(path: Path) -> list[Row]:
    """Read a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(
                name=each["name"],
                group=each["group"],
                spoilt=each["spoilt"],
                dice=float(each["dice"]),
                signs=_signs(each),
            )
            for each in csv.DictReader(file)
        ]


def _analysed(case: Case, index: int, model: tuple[Pool, PerfusionSettings]) -> SliceAnalysis:
    """Run the pool on a slice as serving does, or at the place that the case names."""
    pool, settings = model
    frames = case.frames[:, index]
    moved = case.spoilt_slice in (None, index) and any(case.away_mm)

    def at(place: Place) -> SliceAnalysis:
        where = _away(place, case) if moved else place
        prepared = prepare_slice(frames, case.spacing_mm, where, pool.grid)
        return segment_slice(prepared, (frames.shape[1], frames.shape[2]), model, Stopwatch())

    return surest(map(at, likely_places(frames, case.spacing_mm, pool.locator)), settings.flag_u_pp)


def _away(place: Place, case: Case) -> Place:
    """Return a place that is moved as the case says."""
    row, column = (
        c + a / s for c, a, s in zip(place.centre, case.away_mm, case.spacing_mm, strict=True)
    )
    return Place(centre=(row, column), confidence=place.confidence)


def _signs(row: dict[str, str]) -> Signs | None:
    """Return the signs of a line of a table."""
    if not row["u_pp"]:
        return None
    return Signs(**{name: float(row[name]) if row[name] else None for name in SIGNS})


def _text(value: float | None) -> str:
    """Return a number as text, exactly."""
    return "" if value is None else repr(float(value))
