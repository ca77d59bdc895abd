"""The statistics of a job: of its series, of its header, of its outcome."""

import math
from collections.abc import Iterable, Mapping
from statistics import median

from pipeline import __version__
from pipeline.drift.header import header_categories, header_numbers
from pipeline.drift.images import image_numbers, raw_numbers, video_numbers
from pipeline.driftsettings import DriftSettings
from pipeline.ledger.figures import PLAIN
from pipeline.ledger.statistics import Described
from pipeline.study import InputSeries, RawSeries, Series

PLACES = frozenset({"slice_index", "first_beat", "peak_beat", "start_seconds", "end_seconds"})
"""Numbers of an outcome that say where something is, and not how good it is."""


def describe(
    series: Series,
    outcome: Mapping[str, object],
    bundle: str,
    settings: DriftSettings,
) -> Described:
    """Return the statistics of a job.

    Parameters
    ----------
    series
        Its input.
    outcome
        Its outcome, as in the manifest.
    bundle
        Name and version of its bundle.
    settings
        How names are kept.
    """
    if isinstance(series, InputSeries):
        numbers = image_numbers(series.image)
    elif isinstance(series, RawSeries):
        numbers = raw_numbers(series.kspace)
    else:
        numbers = video_numbers(series)
        numbers |= _unusable(outcome, series.duration_seconds)
    numbers |= header_numbers(series.header) | outcome_numbers(outcome)
    return Described(
        numbers=numbers,
        categories={**header_categories(series.header, settings), **made_by(bundle, __version__)},
    )


def made_by(bundle: str, software_version: str) -> dict[str, str]:
    """Return what made an outcome, as categories."""
    return {"bundle": bundle, "vesalius": software_version}


def outcome_numbers(outcome: Mapping[str, object]) -> dict[str, float]:
    """Return the medians of an outcome's figures: of its uncertainty, and of its measurements.

    Over slices, segments or structures: one number a job of each figure.
    """
    values: dict[str, list[float]] = {}
    for record in _records(outcome, "uncertainty"):
        for key, value in record.items():
            if key not in PLACES and _is_number(value):
                values.setdefault(f"quality_{key}", []).append(float(str(value)))
    known = {f"measured_{name.removeprefix('quality_')}" for name in values}
    for record in _records(outcome, "measurements"):
        value, name = record.get("value"), record.get("name")
        if _is_number(value) and f"measured_{name}" not in known:
            values.setdefault(f"measured_{name}", []).append(float(str(value)))
    return {name: median(found) for name, found in values.items() if PLAIN.fullmatch(name)}


def _unusable(outcome: Mapping[str, object], duration_s: float | None) -> dict[str, float]:
    """Return the share of a video that shows no phase: within its segments and between them."""
    segments = _records(outcome, "uncertainty")
    if not duration_s:
        return {}
    usable = math.fsum(
        _number(s, "end_seconds") - _number(s, "start_seconds") - _number(s, "unusable_seconds")
        for s in segments
    )
    return {"unusable_share": min(1.0, max(0.0, 1.0 - usable / duration_s))}


def _records(outcome: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    """Return the objects of a list of an outcome."""
    found = outcome.get(key)
    listed: Iterable[object] = found if isinstance(found, list | tuple) else ()
    return [record for record in listed if isinstance(record, Mapping)]


def _number(record: Mapping[str, object], key: str) -> float:
    """Return a number of an object; 0 where it has none."""
    value = record.get(key)
    return float(str(value)) if _is_number(value) else 0.0


def _is_number(value: object) -> bool:
    """Tell whether a JSON value is a finite number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(float(str(value)))
