"""What a result is judged by, beside it: files that change nothing in it (``docs/evidence.md``).

Their kinds are ``pipeline.study.EVIDENCE``. None of them is DICOM, so none goes to an archive.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.result import PerfusionEvidence, PerfusionResult
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES
from pipeline.analyses.phases.anticipation import Forecast
from pipeline.analyses.phases.ontology import END
from pipeline.analyses.phases.result import PhasesResult
from pipeline.analyses.reconstruction.result import ReconstructionResult
from pipeline.encode.provenance import artifact
from pipeline.encode.reconstruction import write_array
from pipeline.imaging.complexnifti import write_unplaced
from pipeline.imaging.nifti import write_volume
from pipeline.study import Artifact, InputSeries, RawSeries

SCHEMA_VERSION = 1
"""Version of the layout of the JSON files."""

MEMBERS = "members"
"""Name of the folder of the members' segmentations, and their kind."""

CURVES = "curves.json"
"""Name of the file of time-intensity curves."""

ANTICIPATED_STEP_S = 10.0
"""How often it is told what was anticipated [s]."""

DECIMALS = 3
"""Digits of probabilities."""


def write_perfusion_evidence(
    result: PerfusionResult, series: InputSeries, folder: Path
) -> tuple[Artifact, ...]:
    """Write every member's segmentation, and all curves, and return their records.

    Parameters
    ----------
    result
        What was found.
    series
        The series that it was found on.
    folder
        The folder of the result.
    """
    evidence = result.evidence
    if evidence is None:
        return ()
    (folder / MEMBERS).mkdir()
    written = []
    for name, labels in zip(evidence.members, evidence.labels, strict=True):
        path = f"{MEMBERS}/{name}.nii.gz"
        write_volume(series.image.volume_like(labels), folder / path)
        written.append(artifact(MEMBERS, folder, path))
    step = "beat" if series.image.times_are_estimated else "s"
    document = {
        "schema_version": SCHEMA_VERSION,
        "t_unit": step,
        "unit": series.image.unit or "{intensity}",
        "motion_corrected": True,
        "slices": [_slice_curves(result, evidence, s.slice_index) for s in result.slices],
    }
    _write_json(document, folder / CURVES)
    return (*written, artifact("curves", folder, CURVES))


def write_corrected_curves(result: PerfusionResult, before: Path, folder: Path) -> Artifact:
    """Write the curves of a corrected result, and return the record of the file.

    Parameters
    ----------
    result
        The corrected result.
    before
        The file of the result that was corrected: what the members found stays as it was.
    folder
        The folder of the corrected result.
    """
    document = json.loads(before.read_text(encoding="utf-8"))
    for of_slice in document["slices"]:
        of_slice |= _result_curves(result, of_slice["slice_index"])
    _write_json(document, folder / CURVES)
    return artifact("curves", folder, CURVES)


def write_reconstruction_evidence(
    result: ReconstructionResult, series: RawSeries, folder: Path
) -> tuple[Artifact, ...]:
    """Write the images of other methods, the coverage of k-space and the misfit, if they are there.

    Parameters
    ----------
    result
        The images.
    series
        The raw data that they were made of.
    folder
        The folder of the result.
    """
    evidence = result.evidence
    if evidence is None:
        return ()
    images = {"zero_filled": result.zero_filled, "classical": evidence.classical}
    written = []
    for kind, image in images.items():
        if image is not None:
            write_array(image, series, folder / f"{kind}.nii.gz")
            written.append(artifact(kind, folder, f"{kind}.nii.gz"))
    # Samples have no place in the patient.
    for kind, samples in (
        ("coverage", evidence.coverage.astype(np.uint8)),
        ("residual", evidence.misfit),
    ):
        write_unplaced(samples, (1.0, 1.0, 1.0), folder / f"{kind}.nii.gz", None)
        written.append(artifact(kind, folder, f"{kind}.nii.gz"))
    return tuple(written)


def write_phases_evidence(result: PhasesResult, folder: Path) -> tuple[Artifact, ...]:
    """Write what was anticipated at every moment, and return the record of the file.

    Parameters
    ----------
    result
        What was found.
    folder
        The folder of the result.
    """
    rows = np.arange(0, len(result.t_seconds), max(1, round(ANTICIPATED_STEP_S * result.rate_hz)))
    document = {
        "schema_version": SCHEMA_VERSION,
        "step_s": ANTICIPATED_STEP_S,
        "phases": [*result.procedure.names, END],
        "t_s": [round(float(t), DECIMALS) for t in result.t_seconds[rows]],
        "learned": None if result.learned is None else _anticipated(result.learned, rows),
        "prior": _anticipated(result.prior, rows),
    }
    _write_json(document, folder / "anticipated.json")
    return (artifact("anticipated", folder, "anticipated.json"),)


def _slice_curves(
    result: PerfusionResult, evidence: PerfusionEvidence, index: int
) -> dict[str, object]:
    """Return the curves of a slice as JSON values."""
    return {
        "slice_index": index,
        **_result_curves(result, index),
        "members": [
            {
                "member": name,
                "myocardium": _values(evidence.myocardium[number, :, index]),
                "blood_pool": _values(evidence.blood_pool[number, :, index]),
            }
            for number, name in enumerate(evidence.members)
        ],
        "shifts_mm": [_values(shift) for shift in evidence.shifts_mm[:, index]],
    }


def _result_curves(result: PerfusionResult, index: int) -> dict[str, object]:
    """Return the curves of a slice that its result consists of, as JSON values."""
    curves, course = result.curves, result.motion
    left = () if course is None else tuple(course.remaining_mm[:, index])
    return {
        "remaining_mm": [_values(shift) for shift in left],
        "chosen_member": result.slices[index].chosen_member,
        "t": _values(curves.times_s[:, index]),
        "series": [
            {"name": "myocardium", "segment": None, "values": _values(curves.myocardium[:, index])},
            {"name": "blood_pool", "segment": None, "values": _values(curves.blood_pool[:, index])},
            *(
                {"name": SEGMENT_NAMES[number], "segment": number, "values": _values(curve)}
                for (place, number), curve in sorted(result.aha.curves.items())
                if place == index
            ),
        ],
    }


def _anticipated(forecast: Forecast, rows: NDArray[np.int64]) -> dict[str, object]:
    """Return some rows of a forecast as JSON values; phases are told by their numbers."""
    likeliest = forecast.next_probabilities[rows].argmax(axis=2)
    return {
        "next_probabilities": _rounded(forecast.next_probabilities[rows, 0], DECIMALS),
        "order": likeliest.tolist(),
        "order_probabilities": _rounded(forecast.next_probabilities[rows].max(axis=2), DECIMALS),
        "order_durations_s": _rounded(forecast.next_durations_seconds[rows], 0),
        "rest_s": _rounded(forecast.rest_seconds[rows], 0),
        "remaining_s": _rounded(forecast.remaining_seconds[rows], 0),
    }


def _rounded(values: NDArray[np.float32], decimals: int) -> object:
    """Return numbers as JSON values, rounded."""
    kept = np.round(values.astype(np.float64), decimals)
    return kept.astype(np.int64).tolist() if decimals == 0 else kept.tolist()


def _values(values: NDArray[np.float64]) -> list[float | None]:
    """Return numbers as JSON values of six digits, null where there is none."""
    return list(_finite(values))


def _finite(values: NDArray[np.float64]) -> Iterator[float | None]:
    """Yield numbers of six digits, None where there is none."""
    for value in values:
        yield float(f"{value:.6g}") if np.isfinite(value) else None


def _write_json(document: Mapping[str, object], path: Path) -> None:
    """Write a document on one line: files are read by machines."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
