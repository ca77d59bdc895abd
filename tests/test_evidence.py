"""What a result is judged by: it changes nothing in the result, and says what the analysis saw."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.phases.ontology import END
from pipeline.analyses.reconstruction import evidence as limits
from pipeline.analyses.reconstruction.settings import ReconstructionSettings
from pipeline.config import Configuration, ModelSettings, OutputSettings
from pipeline.demo import write_study
from pipeline.encode.evidence import write_phases_evidence
from pipeline.imaging.nifti import read_labels, read_volume
from pipeline.infer.bundle import load_bundle
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.ledger import Ledger
from pipeline.manifest import JobEntry, Manifest
from pipeline.perform import open_analyses
from pipeline.phantom import Phantom
from pipeline.run import RunRequest, run
from pipeline.study import EVIDENCE, InputSeries
from tests.support.bundles import write_tiny_bundle
from tests.support.phaseresults import SECONDS, phases_result
from tests.support.rawfiles import write_nifti
from tests.support.reconstruction import write_tiny_reconstruction
from tests.support.runs import FAST, Heard
from tests.test_chain import phantom_kspace

PERFUSION = {"members", "curves"}
RECONSTRUCTION = {"zero_filled", "classical", "coverage", "residual"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_bundle(folder / "perfusion" / "bundle")
    write_tiny_reconstruction(folder / "reconstruction" / "bundle", head=1e-4)
    return folder


@pytest.fixture(scope="module")
def raw(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kspace = phantom_kspace(phantom, 2.0)[:14]
    path = tmp_path_factory.mktemp("raw") / "dynamic.nii.gz"
    return write_nifti(path, kspace, phantom.image.affine)


def ran(source: Path, models: Path, folder: Path, output: OutputSettings) -> Manifest:
    configuration = Configuration(
        perfusion=PerfusionSettings(uncertainty_stride=8),
        reconstruction=ReconstructionSettings(uncertainty_draws=0),
        models=ModelSettings(path=models),
        output=output,
    )
    analyses = open_analyses([], configuration)
    request = RunRequest(inputs=(source,), output=folder / "out", analyses=analyses)
    with Ledger.open(str(folder / "ledger.db")) as ledger:
        return run(request, ledger, Heard())


def kinds(job: JobEntry) -> set[str]:
    assert job.failure is None, job.failure
    return {a.kind for a in job.artifacts} & EVIDENCE


def others(job: JobEntry) -> Mapping[str, str]:
    return {a.relative_path: a.sha256 for a in job.artifacts if a.kind not in EVIDENCE}


def without_timings(job: JobEntry) -> Mapping[str, object]:
    return {key: value for key, value in (job.outcome or {}).items() if key != "timings"}


@pytest.mark.parametrize("source", ["raw", "sound_study"])
def test_evidence_changes_neither_the_job_nor_the_result(
    source: str, models: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    given = request.getfixturevalue(source)
    found = {
        name: ran(given, models, tmp_path / name, output).jobs
        for name, output in {
            "all": OutputSettings(),
            "cheap": OutputSettings(classical=False),
            "none": OutputSettings(evidence=False),
        }.items()
    }
    expected = {"raw": RECONSTRUCTION, "sound_study": PERFUSION}[source]
    assert kinds(found["all"][0]) == expected
    assert kinds(found["cheap"][0]) == expected - {"classical"}
    assert kinds(found["none"][0]) == set()
    for name in ("cheap", "none"):
        for first, second in zip(found["all"], found[name], strict=True):
            assert first.identity == second.identity
            assert others(first) == others(second)
            assert without_timings(first) == without_timings(second)


def test_kspace_is_shown_as_it_was_measured_and_how_well_it_is_met(
    raw: Path, models: Path, tmp_path: Path
) -> None:
    job = ran(raw, models, tmp_path, OutputSettings()).jobs[0]
    folder = tmp_path / "out" / job.folder
    (candidate,) = take_inventory([raw]).candidates
    mask = candidate.load().kspace.mask  # type: ignore[union-attr]
    shown = {
        name: np.asarray(nibabel.load(folder / f"{name}.nii.gz").dataobj).transpose(3, 2, 1, 0)
        for name in ("coverage", "residual", "zero_filled", "classical", "magnitude")
    }
    np.testing.assert_array_equal(shown["coverage"], mask)
    assert (shown["residual"][~mask] == limits.LEAST_MISFIT).all()
    measured = job.outcome["measurements"]  # type: ignore[index]
    (told,) = (m["value"] for m in measured if m["name"] == "kspace_residual")  # type: ignore[attr-defined]
    relative = 10.0 ** shown["residual"].astype(np.float64)
    power = (relative**2 * mask).sum(axis=(1, 2, 3)) / mask.sum(axis=(1, 2, 3))
    assert np.sqrt(power).mean() == pytest.approx(told, rel=0.02)
    for name in ("zero_filled", "classical"):
        assert shown[name].shape == shown["magnitude"].shape
        ratio = np.linalg.norm(shown[name]) / np.linalg.norm(shown["magnitude"])
        assert 0.7 < ratio < 1.4


def test_no_classical_image_is_made_where_it_would_take_too_long(
    raw: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_WORK", 1e3)
    job = ran(raw, models, tmp_path, OutputSettings()).jobs[0]
    assert kinds(job) == RECONSTRUCTION - {"classical"}


def loaded(study: Path) -> InputSeries:
    (candidate,) = take_inventory([study]).candidates
    series = candidate.load()
    assert isinstance(series, InputSeries)
    return series


def test_every_member_shows_what_it_found_and_the_chosen_one_is_the_result(
    sound_study: Path, models: Path, tmp_path: Path
) -> None:
    (job,) = ran(sound_study, models, tmp_path, OutputSettings()).jobs
    folder = tmp_path / "out" / job.folder
    slices = job.outcome["uncertainty"]  # type: ignore[index]
    curves = json.loads((folder / "curves.json").read_text())
    assert (curves["t_unit"], curves["motion_corrected"]) == ("s", True)
    whole = read_labels(folder / "segmentation.nii.gz")
    for told, drawn in zip(slices, curves["slices"], strict=True):  # type: ignore[call-overload]
        index, chosen = told["slice_index"], told["chosen_member"]
        assert [m["member"] for m in told["members"]] == [m["member"] for m in drawn["members"]]
        for member in told["members"]:
            path = folder / "members" / f"{member['member']}.nii.gz"
            labels = read_labels(path)[index]
            assert (labels == 1).any() == (member["myocardium_area_mm2"] > 0)
            np.testing.assert_allclose(read_volume(path).affine, loaded(sound_study).image.affine)
            if member["member"] == chosen:
                np.testing.assert_array_equal(labels, whole[index])
        series = {s["name"]: s["values"] for s in drawn["series"] if s["segment"] is None}
        (own,) = (m for m in drawn["members"] if m["member"] == chosen)
        assert own["myocardium"] == series["myocardium"]
        assert own["blood_pool"] == series["blood_pool"]
        assert len(drawn["t"]) == len(drawn["shifts_mm"]) == len(series["myocardium"])
        assert len(drawn["remaining_mm"]) == len(drawn["t"])


def test_a_slice_without_a_result_keeps_what_its_members_found(
    phantom: Phantom, tiny_bundle: Path, tmp_path: Path
) -> None:
    write_study(phantom.image, tmp_path / "study", name="sound")
    series = loaded(tmp_path / "study")
    beats = [series.image.array, np.zeros_like(series.image.array)]
    image = replace(
        series.image,
        array=np.concatenate(beats, axis=1),
        times_s=np.repeat(series.image.times_s, 2, axis=1),
    )
    frames = tuple((*row, *row) for row in series.frames)
    pool = open_pool(load_bundle(tiny_bundle))
    found = analyse(replace(series, image=image, frames=frames), pool, FAST)
    assert found.evidence is not None
    assert [s.chosen_member is None for s in found.slices] == [False, True]
    assert found.evidence.labels.shape == (len(pool.names), *image.array.shape[1:])
    assert found.evidence.myocardium.shape == (len(pool.names), image.n_beats, 2)
    assert np.isfinite(found.evidence.shifts_mm).all()


def test_what_was_anticipated_is_told_as_of_every_moment(tmp_path: Path) -> None:
    result = phases_result()
    (artifact,) = write_phases_evidence(result, tmp_path)
    found: dict[str, Any] = json.loads((tmp_path / artifact.relative_path).read_text())
    assert found["t_s"] == [float(t) for t in range(0, SECONDS, 10)]
    assert found["phases"] == [*result.procedure.names, END]
    for row, t in enumerate(found["t_s"]):
        expected = result.anticipation_at(t)
        for name, segments, remaining in (
            ("learned", expected.learned, expected.remaining_learned_seconds),
            ("prior", expected.prior, expected.remaining_prior_seconds),
        ):
            told = {key: values[row] for key, values in found[name].items()}
            order = [found["phases"][n] for n in told["order"]][: len(segments)]
            assert order == [s.phase for s in segments]
            assert told["order_probabilities"][: len(segments)] == pytest.approx(
                [s.probability for s in segments], abs=1e-3
            )
            assert told["rest_s"] == pytest.approx(segments[0].start_in_seconds, abs=1)
            assert told["remaining_s"] == pytest.approx(remaining, abs=1)
            assert sum(told["next_probabilities"]) == pytest.approx(1.0, abs=0.01)
