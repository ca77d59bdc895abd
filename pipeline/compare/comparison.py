"""What a comparison of two versions found, over all series."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.compare.blandaltman import Agreement, agreement
from pipeline.compare.likeness import AGREEMENT, NRMSE, label_dice, likeness, uncertainty_of
from pipeline.compare.pairs import Pair
from pipeline.compare.pictures import picture
from pipeline.errors import PipelineError

MOST_SHOWN = 20
"""Series of the contact sheet: those that differ most."""

ONE_FAILED = 2.0
"""Difference of a series that only one version has a result of: more than any other."""

UNCERTAINTY_MEASUREMENTS = frozenset({"u_pp"})
"""Measurements that are the uncertainty itself: they are judged as such."""

Truth = Callable[[Path], NDArray[np.uint8] | None]
"""From an input file to its label, if there is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a measurement is of."""

    name: str
    """Its name, such as ``myocardium_area_mm2``."""

    structure: str | None
    """What was measured; None where it is the series."""

    unit: str
    """UCUM code."""

    @property
    def label(self) -> str:
        """How tables name it."""
        structure = self.structure
        within = structure is None or structure in self.name
        return self.name if within else f"{self.name} {structure}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One series done by both versions."""

    name: str
    """How the report names it."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    failures: tuple[str | None, str | None]
    """Why each version has no result; None where it has one."""

    likeness: Mapping[str, float] = field(default_factory=dict)
    """How alike the results are, by figure."""

    measurements: Mapping[Measured, tuple[float, float]] = field(default_factory=dict)
    """Value of each version, the mean over slices."""

    uncertainty: tuple[float, float] | None = None
    """Mean uncertainty of each version, where both have one."""

    labels: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Dice of each version against the label, by segment."""

    @property
    def difference(self) -> float:
        """How much the versions differ, to sort by: 0 not at all, 1 wholly, more if one failed."""
        failed = [failure is not None for failure in self.failures]
        if any(failed):
            return 0.0 if all(failed) else ONE_FAILED
        parts = [1.0 - value for key, value in self.likeness.items() if key.startswith("dice ")]
        parts += [1.0 - self.likeness[AGREEMENT]] if AGREEMENT in self.likeness else []
        parts += [min(self.likeness[NRMSE], 1.0)] if NRMSE in self.likeness else []
        return max(parts, default=self._change())

    def _change(self) -> float:
        """Return the largest relative change of a measurement, up to 1."""
        changes = [
            abs(b - a) / scale if (scale := max(abs(a), abs(b))) else 0.0
            for a, b in self.measurements.values()
        ]
        return min(max(changes, default=0.0), 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All series."""

    analysis: str
    """Name of the analysis."""

    cases: tuple[Case, ...]
    """The series, in the order they were done."""

    pictures: Mapping[str, bytes]
    """PNG of each series that is shown, by input digest; those that differ most."""

    @property
    def both(self) -> tuple[Case, ...]:
        """Series that both versions have a result of."""
        return tuple(case for case in self.cases if case.failures == (None, None))

    @property
    def shown(self) -> tuple[Case, ...]:
        """The series that differ most, the most first."""
        ordered = sorted(self.cases, key=lambda case: (-case.difference, case.name))
        return tuple(ordered[:MOST_SHOWN])

    def figures(self) -> dict[str, NDArray[np.float64]]:
        """Return the values of each figure of likeness, over the series."""
        names = dict.fromkeys(key for case in self.both for key in case.likeness)
        return {
            name: np.array([case.likeness[name] for case in self.both if name in case.likeness])
            for name in names
        }

    def agreements(self) -> dict[Measured, Agreement]:
        """Return how the versions agree on each measurement that two series or more have."""
        keys = dict.fromkeys(key for case in self.both for key in case.measurements)
        found = {}
        for key in keys:
            values = [c.measurements[key] for c in self.both if key in c.measurements]
            made = agreement([a for a, _ in values], [b for _, b in values])
            if made is not None:
                found[key] = made
        return found

    def uncertainty_ratio(self) -> float | None:
        """Return the median of the second version's uncertainty over the first's."""
        pairs = [case.uncertainty for case in self.both if case.uncertainty is not None]
        ratios = [b / a for a, b in pairs if a > 0]
        return float(np.median(ratios)) if ratios else None

    def label_means(self) -> dict[str, tuple[float, float]]:
        """Return the mean Dice of each version against labels, by segment."""
        names = dict.fromkeys(key for case in self.cases for key in case.labels)
        found = {}
        for name in names:
            values = [case.labels[name] for case in self.cases if name in case.labels]
            found[name] = (
                float(np.mean([a for a, _ in values])),
                float(np.mean([b for _, b in values])),
            )
        return found


def compare(pairs: Iterable[Pair], analysis: str, truth: Truth = lambda _path: None) -> Comparison:
    """Compare two versions over series, one after the other.

    Parameters
    ----------
    pairs
        The series done by both.
    analysis
        Name of the analysis.
    truth
        Gives the label of an input file.
    """
    cases: list[Case] = []
    shown: dict[str, tuple[float, bytes]] = {}
    for pair in pairs:
        case = compared(pair, analysis, truth)
        cases.append(case)
        if len(shown) < MOST_SHOWN or case.difference > min(d for d, _ in shown.values()):
            shown[case.input_digest] = case.difference, picture(pair)
            if len(shown) > MOST_SHOWN:
                del shown[min(shown, key=lambda digest: shown[digest][0])]
    pictures = {digest: png for digest, (_, png) in shown.items() if png}
    return Comparison(analysis=analysis, cases=tuple(cases), pictures=pictures)


def compared(pair: Pair, analysis: str, truth: Truth) -> Case:
    """Return how two results of one series differ.

    Raises
    ------
    UnreadableFile
        If the label is of another grid than the series.
    """
    case = Case(
        name=pair.name,
        input_digest=pair.input_digest,
        failures=(pair.first.failure, pair.second.failure),
        labels=_against_label(pair, analysis, truth),
    )
    if pair.first.folder is None or pair.second.folder is None:
        return case
    try:
        alike = likeness(analysis, pair.first.folder, pair.second.folder)
    except PipelineError as problem:
        return replace(case, failures=(None, f"cannot be compared: {problem}"))
    return replace(
        case, likeness=alike, measurements=_measured(pair), uncertainty=_uncertainty(pair)
    )


def _against_label(pair: Pair, analysis: str, truth: Truth) -> dict[str, tuple[float, float]]:
    """Return the Dice of both versions against the label; 0 of one that has no result."""
    label = None if pair.file is None else truth(pair.file)
    if label is None:
        return {}
    sides = [
        None if side.folder is None else label_dice(analysis, side.folder, label)
        for side in (pair.first, pair.second)
    ]
    names = dict.fromkeys(name for side in sides if side is not None for name in side)
    return {name: tuple(0.0 if s is None else s[name] for s in sides) for name in names}  # type: ignore[misc]


def _measured(pair: Pair) -> dict[Measured, tuple[float, float]]:
    """Return the measurements that both versions have, each the mean over slices."""
    a, b = _means(pair.first.outcome), _means(pair.second.outcome)
    return {key: (a[key], b[key]) for key in a if key in b}


def _means(outcome: Mapping[str, object]) -> dict[Measured, float]:
    """Return the mean of each measurement over slices."""
    rows = outcome.get("measurements")
    values: dict[Measured, list[float]] = {}
    for row in rows if isinstance(rows, list | tuple) else ():
        value = row.get("value")
        if isinstance(value, int | float) and math.isfinite(value):
            key = Measured(
                name=str(row["name"]), structure=row.get("structure"), unit=str(row["unit"])
            )
            if key.name not in UNCERTAINTY_MEASUREMENTS:
                values.setdefault(key, []).append(float(value))
    return {key: float(np.mean(each)) for key, each in values.items()}


def _uncertainty(pair: Pair) -> tuple[float, float] | None:
    """Return the mean uncertainty of both versions, if both have one."""
    a, b = uncertainty_of(pair.first.outcome), uncertainty_of(pair.second.outcome)
    return None if a is None or b is None else (a, b)
