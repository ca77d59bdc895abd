"""Corrections of phases: boundaries that a reader has moved, phases that were set anew.

The network is not run: its probabilities of each second stay as they were written, and so does what
it expected. A segment that a reader has set tells how probable its phase was to the network; its
report does not call that a certainty.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.analyses.phases.anticipation import N_NEXT, Forecast
from pipeline.analyses.phases.ontology import Procedure, load_procedure
from pipeline.analyses.phases.result import MARKS, NO_PHASE, Mark, PhasesResult, Segment
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.encode.context import EncodingContext
from pipeline.encode.phasereport import corrected_report
from pipeline.encode.phaseribbon import write_ribbon
from pipeline.encode.phases import write_pictures
from pipeline.encode.phasestext import (
    segment_values,
    write_chapters,
    write_json,
    write_segments,
)
from pipeline.encode.places import FIGURES
from pipeline.encode.provenance import artifact
from pipeline.errors import ReviewRefused
from pipeline.ledger.pastjobs import PastJob
from pipeline.ledger.reviews import Correction
from pipeline.outputs import copy_artifacts
from pipeline.quiet import quietly
from pipeline.review.source import source_of
from pipeline.review.verify import whole_folder
from pipeline.study import Artifact, Measurement, VideoSeries

ANALYSIS = "phases"
"""The analysis whose results are corrected here."""

ANTICIPATED = "anticipated"
"""Kind of the artifact of what was expected at every moment: it stays as it was."""

MOST_SEGMENTS = 1000
"""Segments of a correction; so many are no course of an operation."""

DECIMALS = 3
"""Digits of times [s]."""

NOTE = "a reader has corrected the phases"
"""What a corrected result notes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A segment as a reader sets it."""

    start_s: float
    """Where it begins, from the start of the video [s]."""

    end_s: float
    """Where it ends [s]."""

    phase: str
    """Name of the phase."""


def of_stretches(past: PastJob, stretches: Sequence[Stretch]) -> bytes:
    """Return segments as they are kept: checked, and in one form.

    Raises
    ------
    ReviewRefused
        If they overlap, lie outside the video or name a phase that the procedure does not have.
    """
    before = _before(past)
    if not 0 < len(stretches) <= MOST_SEGMENTS:
        raise ReviewRefused(f"{len(stretches)} segments, possible is 1 to {MOST_SEGMENTS}")
    end = 0.0
    longest = float(before.document["duration_seconds"])
    for each in stretches:
        if each.phase not in before.result.procedure.names:
            raise ReviewRefused("a segment names no phase of the procedure")
        if not end <= each.start_s < each.end_s <= longest + 10**-DECIMALS:
            raise ReviewRefused(
                f"segments must follow each other within 0 to {longest:g} s: one is from "
                f"{each.start_s:g} to {each.end_s:g} s"
            )
        end = each.end_s
    kept = [
        {
            "start_s": round(each.start_s, DECIMALS),
            "end_s": round(each.end_s, DECIMALS),
            "phase": each.phase,
        }
        for each in stretches
    ]
    return json.dumps(kept, separators=(",", ":")).encode()


def durations(past: PastJob, correction: Correction) -> tuple[Measurement, ...]:
    """Return how long each phase lasts in a corrected course."""
    return tuple(_durations(_corrected(_before(past), correction).segments))


def write_phases(
    past: PastJob, correction: Correction, context: EncodingContext, folder: Path
) -> tuple[tuple[Artifact, ...], Mapping[str, object]]:
    """Write a corrected result into an empty folder; return the files' records and the outcome.

    Raises
    ------
    ReviewRefused
        If the video is not there any more.
    """
    series = source_of(past)
    if not isinstance(series, VideoSeries):
        raise ReviewRefused(f"job {past.job_id}: its source is no video")
    before, source = _before(past), whole_folder(past)
    result = _corrected(before, correction)
    threshold = _threshold(past)
    written = _write_text(before, result, threshold, (source, folder))
    (folder / FIGURES).mkdir()
    ribbon = folder / FIGURES / "ribbon"
    for path in write_ribbon(result, threshold, ribbon, moments_s=[], label="corrected"):
        written.append(artifact("figure", folder, f"{FIGURES}/{path.name}"))

    def report(_header: Dataset) -> Dataset:
        with quietly():
            old = pydicom.dcmread(source / "report.dcm")
        return corrected_report(old, result, series, before.result.segments, context)

    written += write_pictures((result, report), series, context, folder)
    expected = [a for a in past.record.artifacts if a.kind == ANTICIPATED]
    copy_artifacts(source, expected, folder)
    written += expected
    outcome = {
        "measurements": [asdict(m) for m in _durations(result.segments)],
        "uncertainty": [asdict(segment) for segment in result.segments],
        "notes": list(result.notes),
    }
    return tuple(written), outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class _Before:
    """A result as its files have it."""

    document: dict[str, Any]
    """The canonical form."""

    result: PhasesResult
    """The result, without what was expected: that stays as it is."""


def _before(past: PastJob) -> _Before:
    """Return the result of a job from its files."""
    folder = whole_folder(past)
    if past.analysis != ANALYSIS or not (folder / "phases.json").is_file():
        raise ReviewRefused(f"job {past.job_id} has no phases")
    document = json.loads((folder / "phases.json").read_bytes())
    procedure = load_procedure(document["procedure"]["name"])
    if [p["name"] for p in document["procedure"]["phases"]] != list(procedure.names):
        raise ReviewRefused(f"job {past.job_id}: the procedure has other phases now")
    seconds = document["seconds"]
    columns = {name: column for column, name in enumerate(procedure.names)}
    filtered = _probabilities(folder / "seconds.csv", procedure)
    known = [_segment(each) for each in document["segments"]]
    result = PhasesResult(
        procedure=procedure,
        rate_hz=float(document["rate_hz"]),
        t_seconds=np.array(seconds["t_seconds"], dtype=np.float64),
        mark=np.array([MARKS.index(Mark(m)) for m in seconds["mark"]], dtype=np.uint8),
        raw=filtered,
        filtered=filtered,
        uncertainty=np.array(seconds["uncertainty"], dtype=np.float32),
        phase=np.array([columns.get(p, NO_PHASE) for p in seconds["phase"]], dtype=np.int16),
        segments=tuple(known),
        learned=None,
        prior=_nothing_expected(len(filtered), len(procedure.names)),
        notes=tuple(document["notes"]),
        stage_seconds={},
    )
    return _Before(document=document, result=result)


def _probabilities(path: Path, procedure: Procedure) -> NDArray[np.float32]:
    """Return the probability of each phase at each second. Shape ``(seconds, phases)``."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            [float(row[f"p_{name}"]) for name in procedure.names] for row in csv.DictReader(file)
        ]
    return np.array(rows, dtype=np.float32)


def _segment(values: Mapping[str, Any]) -> Segment:
    """Return a segment from its JSON values."""
    return Segment(**{name: values[name] for name in Segment.__slots__})


def _nothing_expected(n_seconds: int, n_phases: int) -> Forecast:
    """Return a forecast of nothing, which is never asked: what was expected is in the files."""
    return Forecast(
        next_probabilities=np.zeros((n_seconds, N_NEXT, n_phases + 1), dtype=np.float32),
        next_durations_seconds=np.zeros((n_seconds, N_NEXT), dtype=np.float32),
        rest_seconds=np.zeros(n_seconds, dtype=np.float32),
        remaining_seconds=np.zeros(n_seconds, dtype=np.float32),
    )


def _corrected(before: _Before, correction: Correction) -> PhasesResult:
    """Return a result with the segments of a correction."""
    found = before.result
    known = {(s.phase, s.start_seconds, s.end_seconds): s for s in found.segments}
    phase = np.full_like(found.phase, NO_PHASE)
    segments = []
    for each in json.loads(correction.content):
        stretch = Stretch(**each)
        inside = (found.t_seconds >= stretch.start_s) & (found.t_seconds < stretch.end_s)
        shown = inside & (found.mark == MARKS.index(Mark.USABLE))
        column = found.procedure.names.index(stretch.phase)
        phase[shown] = column
        same = known.get((stretch.phase, stretch.start_s, stretch.end_s))
        segments.append(same or _set_anew(found, stretch, column, (inside, shown)))
    values = {name: getattr(found, name) for name in PhasesResult.__slots__}
    values |= {"phase": phase, "segments": tuple(segments), "notes": (*found.notes, NOTE)}
    return PhasesResult(**values)


def _set_anew(
    found: PhasesResult,
    stretch: Stretch,
    column: int,
    rows: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> Segment:
    """Return a segment that a reader has set: its rows, and those that show a phase."""
    inside, shown = rows
    n_shown = int(shown.sum())
    return Segment(
        phase=stretch.phase,
        start_seconds=stretch.start_s,
        end_seconds=stretch.end_s,
        confidence=float(found.filtered[shown, column].mean()) if n_shown else 0.0,
        uncertainty=float(found.uncertainty[shown].mean()) if n_shown else 1.0,
        unusable_seconds=(int(inside.sum()) - n_shown) / found.rate_hz,
    )


def _durations(segments: Sequence[Segment]) -> list[Measurement]:
    """Return how long each phase lasts, without what shows none."""
    found: dict[str, float] = {}
    for segment in segments:
        length = segment.end_seconds - segment.start_seconds - segment.unusable_seconds
        found[segment.phase] = found.get(segment.phase, 0.0) + length
    return [
        Measurement(name="duration_s", value=value, unit="s", structure=phase)
        for phase, value in found.items()
    ]


def _write_text(
    before: _Before, result: PhasesResult, threshold: float, folders: tuple[Path, Path]
) -> list[Artifact]:
    """Write the text files of a corrected result."""
    source, folder = folders
    names = result.procedure.names
    shown = [None if c == NO_PHASE else names[c] for c in result.phase]
    document = {
        **before.document,
        "segments": [segment_values(s, result, threshold) for s in result.segments],
        "seconds": {**before.document["seconds"], "phase": shown},
        "notes": list(result.notes),
    }
    write_json(document, folder / "phases.json")
    _write_seconds(source / "seconds.csv", shown, folder / "seconds.csv")
    write_segments(result, threshold, folder / "segments.csv")
    write_chapters(result, folder / "chapters.vtt")
    written = [artifact("phases", folder, "phases.json")]
    written += [artifact("table", folder, name) for name in ("seconds.csv", "segments.csv")]
    return [*written, artifact("chapters", folder, "chapters.vtt")]


def _write_seconds(source: Path, shown: Sequence[str | None], path: Path) -> None:
    """Write the table of the seconds with other phases; all else stays as it was."""
    with (
        source.open(newline="", encoding="utf-8") as old,
        path.open("w", newline="", encoding="utf-8") as new,
    ):
        rows = csv.DictReader(old)
        writer = csv.DictWriter(new, rows.fieldnames or [])
        writer.writeheader()
        for row, phase in zip(rows, shown, strict=True):
            writer.writerow({**row, "phase": phase or ""})


def _threshold(past: PastJob) -> float:
    """Return the uncertainty above which the job's segments went to review first."""
    settings = (past.configuration or {}).get("phases")
    value = settings.get("review_uncertainty") if isinstance(settings, Mapping) else None
    return float(value) if value is not None else PhasesSettings().review_uncertainty
