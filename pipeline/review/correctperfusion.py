"""Corrections of perfusion results: contours that a reader has drawn, or another member's.

A label map is checked against the grid of the segmentation and written anew from its array, so that
nothing but labels is kept. Measurements are those of the analysis's own code on the corrected
labels.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.aha import Insertions
from pipeline.analyses.perfusion.flow.result import flow_outcome, of_signals
from pipeline.analyses.perfusion.remeasure import CLASSES, Acquired, Found, Said, remeasured
from pipeline.analyses.perfusion.result import (
    AhaResult,
    AhaSlice,
    MemberScore,
    PerfusionResult,
    SegmentMeasurement,
    SliceResult,
)
from pipeline.analyses.perfusion.sequence import read_out_of
from pipeline.analyses.perfusion.settings import ModelGrid
from pipeline.config import Configuration
from pipeline.encode.context import EncodingContext
from pipeline.encode.evidence import write_corrected_curves
from pipeline.encode.perfusion import encode_perfusion
from pipeline.errors import AnalysisFailed, BundleRejected, PipelineError, ReviewRefused
from pipeline.imaging.nifti import read_header, read_labels, read_volume, write_volume
from pipeline.imaging.volume import Volume
from pipeline.inservice import open_version
from pipeline.ledger.pastjobs import PastJob
from pipeline.ledger.reviews import Correction
from pipeline.outputs import copy_artifacts
from pipeline.review.source import source_of
from pipeline.review.verify import whole_folder
from pipeline.study import Artifact, InputSeries, Measurement

ANALYSIS = "perfusion"
"""The analysis whose results are corrected here."""

SEGMENTATION, UNCERTAINTY = "segmentation.nii.gz", "uncertainty.nii.gz"
"""Files of a result."""

MEMBERS = "members"
"""Kind of the artifacts that hold the segmentation of each member of the pool."""

INSERTIONS = "insertions"
"""Kind of the corrections that say where the right ventricle meets the left one."""

FARTHEST_MM, NEAREST_MM = 120.0, 5.0
"""An insertion is no farther from the middle of the heart, and no nearer to the other one [mm]."""

FAR_MM = 0.01
"""Two grids whose corners lie less than this apart are the same [mm]."""

SEGMENTATION_PREFIX = "segmentation_"


def drawn(past: PastJob, body: bytes) -> bytes:
    """Return a label map as it is kept: checked, and written anew.

    Parameters
    ----------
    past
        The job that it corrects.
    body
        A compressed NIfTI file, labels on the grid of the job's segmentation.

    Raises
    ------
    ReviewRefused
        If it is none, lies elsewhere or holds other values.
    """
    segmentation = _segmentation(past)
    with tempfile.TemporaryDirectory(prefix="vesalius-") as scratch:
        path = Path(scratch) / "labels.nii.gz"
        path.write_bytes(body)
        labels = _labels(path, segmentation)
    return _packed(segmentation, labels)


def of_members(past: PastJob, chosen: Mapping[int, str]) -> bytes:
    """Return a choice of members as it is kept: the labels stay with the job.

    Raises
    ------
    ReviewRefused
        If there is no such slice or member.
    """
    slices = _found(past).slices
    if not chosen:
        raise ReviewRefused("no slice is named")
    for index, member in chosen.items():
        if not 0 <= index < len(slices):
            raise ReviewRefused(f"there is no slice {index}: there are {len(slices)}, from 0")
        if member not in {score.member for score in slices[index].members}:
            raise ReviewRefused(f"slice {index} has no member of that name")
    _member_labels(past, chosen)
    kept = {str(index): member for index, member in sorted(chosen.items())}
    return json.dumps(kept, separators=(",", ":")).encode()


def of_insertions(past: PastJob, given: Mapping[int, Insertions]) -> bytes:
    """Return insertions of the right ventricle as they are kept.

    Raises
    ------
    ReviewRefused
        If there is no such slice, nothing is segmented on it, or a point is none of its heart.
    """
    slices = _found(past).slices
    if not given:
        raise ReviewRefused("no slice is named")
    for index, points in given.items():
        if not 0 <= index < len(slices) or slices[index].chosen_member is None:
            raise ReviewRefused(f"nothing is segmented on a slice {index}")
        middle = np.array(slices[index].heart_centre_lps_mm)
        anterior, inferior = np.array(points.anterior_lps_mm), np.array(points.inferior_lps_mm)
        far = max(float(np.linalg.norm(point - middle)) for point in (anterior, inferior))
        if not far <= FARTHEST_MM:
            raise ReviewRefused(f"slice {index}: a point lies {far:.0f} mm from the heart")
        if np.linalg.norm(anterior - inferior) < NEAREST_MM:
            raise ReviewRefused(f"slice {index}: the two insertions are the same point")
    kept = {str(index): asdict(points) for index, points in sorted(given.items())}
    return json.dumps(kept, separators=(",", ":")).encode()


def remeasure(
    past: PastJob, correction: Correction, configuration: Configuration
) -> tuple[PerfusionResult, InputSeries]:
    """Return the corrected result, and the series that it is of.

    Raises
    ------
    ReviewRefused
        If the source is not there any more, or the labels hold no myocardium.
    """
    series = source_of(past)
    if not isinstance(series, InputSeries):
        raise ReviewRefused(f"job {past.job_id}: its source is no image")
    before = _found(past)
    said = Said()
    if correction.kind == MEMBERS:
        members = {int(i): str(m) for i, m in json.loads(correction.content).items()}
        said, labels = Said(members=members), _member_labels(past, members)
    elif correction.kind == INSERTIONS:
        said = Said(insertions=_insertions(correction))
        labels = before.segmentation.array.astype(np.uint8)
    else:
        labels = _unpacked(before.segmentation, correction.content)
    try:
        grid, stated = _grid(past, configuration), read_out_of(series.header)
        acquired = Acquired(
            read_out=None if isinstance(stated, str) else stated, arterial=series.arterial
        )
        model = grid, configuration.perfusion.motion
        result = remeasured(series.image, before, labels, model, said, acquired)
    except AnalysisFailed as problem:
        raise ReviewRefused(str(problem)) from problem
    return result, series


def write_perfusion(
    past: PastJob,
    correction: Correction,
    context: EncodingContext,
    configuration: Configuration,
    folder: Path,
) -> tuple[tuple[Artifact, ...], Mapping[str, object]]:
    """Write a corrected result into an empty folder; return the files' records and the outcome.

    Raises
    ------
    ReviewRefused
        As ``remeasure``.
    """
    result, series = remeasure(past, correction, configuration)
    artifacts = encode_perfusion(result, series, context, folder)
    members = [a for a in past.record.artifacts if a.kind == MEMBERS]
    copy_artifacts(whole_folder(past), members, folder)
    outcome = {
        "measurements": [asdict(m) for m in result.measurements],
        "uncertainty": [asdict(s) for s in result.slices],
        "notes": list(result.notes),
        "aha_segments": [asdict(m) for m in result.aha.measurements],
        "aha_slices": [asdict(s) for s in result.aha.slices],
        "heart_state": result.state,
        "flow": flow_outcome(result.flow),
    }
    curves = tuple(
        write_corrected_curves(result, whole_folder(past) / each.relative_path, folder)
        for each in past.record.artifacts
        if each.kind == "curves"
    )
    return (*artifacts, *members, *curves), outcome


def _insertions(correction: Correction) -> dict[int, Insertions]:
    """Return the insertions of a correction."""
    return {
        int(index): Insertions(
            anterior_lps_mm=tuple(points["anterior_lps_mm"]),
            inferior_lps_mm=tuple(points["inferior_lps_mm"]),
        )
        for index, points in json.loads(correction.content).items()
    }


def segmentation_types(past: PastJob) -> tuple[str, ...]:
    """Return the Segmentation Types (0062,0001) that a job has written."""
    names = (Path(a.relative_path) for a in past.record.artifacts if a.kind == "segmentation")
    return tuple(
        name.stem.removeprefix(SEGMENTATION_PREFIX).upper()
        for name in names
        if name.suffix == ".dcm"
    )


def _found(past: PastJob) -> Found:
    """Return the result of a job, as its files and the ledger have it."""
    folder, outcome = whole_folder(past), past.record.outcome or {}
    return Found(
        segmentation=_segmentation(past),
        uncertainty=_as_float(read_volume(folder / UNCERTAINTY)),
        slices=tuple(_slice(each) for each in _records(outcome, "uncertainty")),
        measurements=tuple(
            Measurement(
                name=str(each["name"]),
                value=float("nan") if each["value"] is None else float(each["value"]),
                unit=str(each["unit"]),
                slice_index=each.get("slice_index"),
                structure=each.get("structure"),
            )
            for each in _records(outcome, "measurements")
        ),
        notes=tuple(str(note) for note in _list(outcome, "notes")),
        aha=_segments(outcome),
        state=None if outcome.get("heart_state") is None else str(outcome["heart_state"]),
        flow_of_signals=of_signals(outcome.get("flow")),
    )


def _segments(outcome: Mapping[str, object]) -> AhaResult:
    """Return the segments of a result, without their curves."""
    points = ("anterior_insertion_lps_mm", "inferior_insertion_lps_mm")
    return AhaResult(
        slices=tuple(
            AhaSlice(**{**each, **{name: tuple(each[name]) for name in points}})
            for each in _records(outcome, "aha_slices")
        ),
        measurements=tuple(
            SegmentMeasurement(**each)
            for each in _records(outcome, "aha_segments")
            if each["value"] is not None
        ),
    )


def _segmentation(past: PastJob) -> Volume:
    """Return the segmentation of a job."""
    path = whole_folder(past) / SEGMENTATION
    if past.analysis != ANALYSIS or not path.is_file():
        raise ReviewRefused(f"job {past.job_id} has no segmentation")
    return Volume(array=read_labels(path).astype(np.uint8), affine=read_header(path).affine)


def _labels(path: Path, segmentation: Volume) -> NDArray[np.uint8]:
    """Return the labels of a file that lies as a segmentation does."""
    shape = segmentation.array.shape
    try:
        # The header is looked at first: what is larger than it ought to be is not unpacked.
        header = read_header(path, max_bytes=4 * segmentation.array.size)
        lies_there = header.shape == (1, *shape) and _apart_mm(header.affine, segmentation) < FAR_MM
        labels = read_labels(path) if lies_there else None
    except PipelineError as problem:
        raise ReviewRefused(f"the labels cannot be read: {problem}") from problem
    if labels is None:
        raise ReviewRefused("the labels do not lie on the grid of the segmentation")
    if labels.shape != shape or not np.isin(labels, CLASSES).all():
        raise ReviewRefused("labels are 0, 1 for the myocardium and 2 for the blood pool")
    return labels.astype(np.uint8)


def _apart_mm(affine: NDArray[np.float64], segmentation: Volume) -> float:
    """Return how far the farthest corners of two grids of one shape lie apart [mm]."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in segmentation.array.shape])).reshape(3, -1)
    placed = np.vstack([corners, np.ones(corners.shape[1])])
    off = (affine - segmentation.affine) @ placed
    return float(np.abs(off).max())


def _packed(segmentation: Volume, labels: NDArray[np.uint8]) -> bytes:
    """Return labels as a file's bytes: the same labels are the same bytes."""
    with tempfile.TemporaryDirectory(prefix="vesalius-") as scratch:
        path = Path(scratch) / "labels.nii.gz"
        write_volume(segmentation.with_array(labels), path)
        return path.read_bytes()


def _unpacked(segmentation: Volume, content: bytes) -> NDArray[np.uint8]:
    """Return the labels of a correction."""
    with tempfile.TemporaryDirectory(prefix="vesalius-") as scratch:
        path = Path(scratch) / "labels.nii.gz"
        path.write_bytes(content)
        return _labels(path, segmentation)


def _member_labels(past: PastJob, chosen: Mapping[int, str]) -> NDArray[np.uint8]:
    """Return the segmentation with other members on some slices."""
    segmentation = _segmentation(past)
    folder = whole_folder(past)
    kept = {
        Path(a.relative_path).name.removesuffix(".nii.gz"): folder / a.relative_path
        for a in past.record.artifacts
        if a.kind == MEMBERS
    }
    labels: NDArray[np.uint8] = segmentation.array.astype(np.uint8)
    for index, member in chosen.items():
        if member not in kept:
            raise ReviewRefused(f"job {past.job_id} has kept no segmentation of {member}")
        labels[index] = _labels(kept[member], segmentation)[index]
    return labels


def _grid(past: PastJob, configuration: Configuration) -> ModelGrid:
    """Return the grid of the pool that a job was done with."""
    try:
        analysis = open_version(ANALYSIS, past.bundle_digest, configuration)
    except BundleRejected as problem:
        told = f"bundle {past.bundle} is not here: nothing can be measured anew ({problem})"
        raise ReviewRefused(told) from problem
    return ModelGrid.from_bundle(analysis.bundle.settings)


def _as_float(volume: Volume) -> Volume:
    """Return a volume as float32."""
    return volume.with_array(volume.array.astype(np.float32))


def _slice(values: Mapping[str, Any]) -> SliceResult:
    """Return what was found on a slice, from the outcome's JSON: no number stands for infinity."""
    x, y, z = (float(v) for v in values["heart_centre_lps_mm"])
    row, column = (float(v) for v in values["peak_shift_mm"])
    return SliceResult(
        slice_index=int(values["slice_index"]),
        chosen_member=values["chosen_member"],
        members=tuple(
            MemberScore(
                member=str(each["member"]),
                u_pp=_or_infinite(each["u_pp"]),
                myocardium_area_mm2=float(each["myocardium_area_mm2"]),
                implausible=each["implausible"],
            )
            for each in values["members"]
        ),
        u_pp=_or_infinite(values["u_pp"]),
        heart_centre_lps_mm=(x, y, z),
        first_beat=int(values["first_beat"]),
        peak_beat=int(values["peak_beat"]),
        peak_shift_mm=(row, column),
        # Before it was measured what is left, the mean step between beats went by that name.
        motion_mm=float(values.get("motion_mm", values["residual_motion_mm"])),
        residual_motion_mm=_or_unknown(values["residual_motion_mm"], "motion_mm" in values),
    )


def _or_infinite(value: float | None) -> float:
    """Return a number, infinite where JSON has none."""
    return float("inf") if value is None else float(value)


def _or_unknown(value: float | None, known: bool) -> float:
    """Return a number, NaN where there is none."""
    return float(value) if known and value is not None else float("nan")


def _records(outcome: Mapping[str, object], key: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list of an outcome."""
    return [each for each in _list(outcome, key) if isinstance(each, Mapping)]


def _list(outcome: Mapping[str, object], key: str) -> list[object]:
    """Return a list of an outcome."""
    found = outcome.get(key)
    return list(found) if isinstance(found, list | tuple) else []
