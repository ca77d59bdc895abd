"""The result of a phase analysis as text: JSON for machines, tables, and chapters for players.

References
----------
.. [VTT] WebVTT: The Web Video Text Tracks Format, W3C, 2019: chapters of ``<track kind=chapters>``.
"""

import csv
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from pipeline.analyses.phases.anticipation import AnticipatedSegment, Anticipation
from pipeline.analyses.phases.ontology import CODING_SCHEME
from pipeline.analyses.phases.result import MARKS, NO_PHASE, Mark, PhasesResult, Segment

ANTICIPATION_STEP_S = 60.0
"""How often the JSON says what was expected [s]."""

DECIMALS = 4
"""Digits of probabilities: more would be noise."""

SCHEMA_VERSION = 1
"""Version of the JSON's layout, as ``docs/phases.schema.json`` describes it."""


def phases_document(result: PhasesResult, review_uncertainty: float) -> dict[str, object]:
    """Return a result as JSON values: the canonical form, which all others are views of.

    Parameters
    ----------
    result
        What was found.
    review_uncertainty
        Mean uncertainty above which a segment goes to review first.
    """
    names = result.procedure.names
    confidence = result.filtered.max(axis=1)
    end = _end(result)
    moments = np.arange(0.0, end, ANTICIPATION_STEP_S)
    return {
        "schema_version": SCHEMA_VERSION,
        "procedure": {
            "name": result.procedure.name,
            "title": result.procedure.title,
            "version": result.procedure.version,
            "coding_scheme": CODING_SCHEME,
            "phases": [
                {"name": p.name, "code": p.code, "meaning": p.meaning, "colour": p.colour}
                for p in result.procedure.phases
            ],
        },
        "rate_hz": result.rate_hz,
        "duration_seconds": end,
        "segments": [segment_values(s, result, review_uncertainty) for s in result.segments],
        "unusable": [
            {"mark": mark, "start_seconds": start, "end_seconds": stop}
            for mark, start, stop in unusable_stretches(result)
        ],
        "seconds": {
            "t_seconds": [round(float(t), 3) for t in result.t_seconds],
            "phase": [None if c == NO_PHASE else names[c] for c in result.phase],
            "confidence": _rounded(confidence),
            "uncertainty": _rounded(result.uncertainty),
            "mark": [MARKS[m] for m in result.mark],
        },
        "anticipation": [anticipation_values(result.anticipation_at(float(t))) for t in moments],
        "notes": list(result.notes),
    }


def unusable_stretches(result: PhasesResult) -> Iterator[tuple[Mark, float, float]]:
    """Yield the stretches that show no phase: why, from when, and until when [s]."""
    step = 1 / result.rate_hz
    rows = zip(result.mark, result.t_seconds, strict=True)
    for place, stretch in groupby(rows, key=lambda row: int(row[0])):
        times = [float(t) for _, t in stretch]
        if MARKS[place] is not Mark.USABLE:
            yield MARKS[place], times[0], times[-1] + step


def write_json(document: dict[str, object], path: Path) -> None:
    """Write the canonical form."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_seconds(result: PhasesResult, path: Path) -> None:
    """Write a table with a row for each second."""
    names = result.procedure.names
    header = ["t_seconds", "phase", "confidence", "uncertainty", "mark"]
    header += ["remaining_learned_seconds", "remaining_prior_seconds"]
    header += [f"p_{name}" for name in names]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row, t in enumerate(result.t_seconds):
            column = int(result.phase[row])
            learned = result.learned
            writer.writerow(
                [
                    f"{t:g}",
                    "" if column == NO_PHASE else names[column],
                    f"{result.filtered[row].max():.{DECIMALS}f}",
                    f"{result.uncertainty[row]:.{DECIMALS}f}",
                    str(MARKS[result.mark[row]]),
                    "" if learned is None else f"{learned.remaining_seconds[row]:.0f}",
                    f"{result.prior.remaining_seconds[row]:.0f}",
                    *(f"{p:.{DECIMALS}f}" for p in result.filtered[row]),
                ]
            )


def write_segments(result: PhasesResult, review_uncertainty: float, path: Path) -> None:
    """Write a table with a row for each segment."""
    rows = [segment_values(s, result, review_uncertainty) for s in result.segments]
    columns = [*("phase", "code", "start_seconds", "end_seconds", "confidence", "uncertainty")]
    columns += ["unusable_seconds", "review_first"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def write_chapters(result: PhasesResult, path: Path) -> None:
    """Write the segments as chapters of a video [VTT]_."""
    lines = ["WEBVTT", ""]
    for number, segment in enumerate(result.segments, start=1):
        start, end = _clock(segment.start_seconds), _clock(segment.end_seconds)
        meaning = result.procedure.phase(segment.phase).meaning
        lines += [str(number), f"{start} --> {end}", meaning, ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def segment_values(
    segment: Segment, result: PhasesResult, review_uncertainty: float
) -> dict[str, object]:
    """Return a segment as JSON values."""
    return {
        "phase": segment.phase,
        "code": result.procedure.phase(segment.phase).code,
        "start_seconds": segment.start_seconds,
        "end_seconds": segment.end_seconds,
        "confidence": round(segment.confidence, DECIMALS),
        "uncertainty": round(segment.uncertainty, DECIMALS),
        "unusable_seconds": segment.unusable_seconds,
        "review_first": segment.uncertainty > review_uncertainty,
    }


def anticipation_values(found: Anticipation) -> dict[str, object]:
    """Return what was expected at a moment as JSON values."""
    learned = found.remaining_learned_seconds
    return {
        "issued_at_seconds": round(found.issued_at_seconds, 3),
        "learned": [_expected(s) for s in found.learned],
        "prior": [_expected(s) for s in found.prior],
        "remaining_learned_seconds": None if learned is None else round(learned, 1),
        "remaining_prior_seconds": round(found.remaining_prior_seconds, 1),
    }


def _expected(segment: AnticipatedSegment) -> dict[str, object]:
    """Return an expected segment as JSON values."""
    duration = segment.duration_seconds
    return {
        "phase": segment.phase,
        "start_in_seconds": round(segment.start_in_seconds, 1),
        "duration_seconds": None if duration is None else round(duration, 1),
        "probability": round(segment.probability, DECIMALS),
    }


def _end(result: PhasesResult) -> float:
    """Return the end of the last second [s]."""
    return float(result.t_seconds[-1]) + 1 / result.rate_hz


def _rounded(values: np.ndarray) -> list[float]:
    """Return probabilities as JSON values."""
    return [round(float(v), DECIMALS) for v in values]


def _clock(seconds: float) -> str:
    """Return a time as WebVTT writes it."""
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"
