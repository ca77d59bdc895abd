"""From k-space to a segmentation of the myocardium in one call, and what runs make of raw data."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from jsonschema import validate
from numpy.typing import NDArray

from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.reconstruction.settings import ReconstructionSettings
from pipeline.config import Configuration, ModelSettings
from pipeline.errors import BundleRejected
from pipeline.imaging.overlap import dice
from pipeline.ledger.ledger import Ledger
from pipeline.manifest import Manifest
from pipeline.mr.fourier import fft2c
from pipeline.mr.patterns import draw_pattern
from pipeline.perform import open_analyses
from pipeline.phantom import Phantom
from pipeline.run import RunRequest, run
from tests.support.bundles import write_tiny_bundle
from tests.support.rawfiles import IDENTITY, Mrd, write_nifti
from tests.support.reconstruction import write_tiny_reconstruction
from tests.support.runs import Heard

SCHEMA = Path(__file__).parents[1] / "docs" / "result.schema.json"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of small bundles for both analyses."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_bundle(folder / "perfusion" / "bundle")
    write_tiny_reconstruction(folder / "reconstruction" / "bundle", head=1e-4)
    return folder


def run_all(
    source: Path, models: Path, folder: Path, *, names: tuple[str, ...] = (), draws: int = 0
) -> Manifest:
    """Run what fits, with few patches."""
    configuration = Configuration(
        perfusion=PerfusionSettings(uncertainty_stride=8),
        reconstruction=ReconstructionSettings(uncertainty_draws=draws),
        models=ModelSettings(path=models),
    )
    request = RunRequest(
        inputs=(source,),
        output=folder / "out",
        analyses=open_analyses(list(names), configuration),
    )
    with Ledger.open(str(folder / "ledger.db")) as ledger:
        return run(request, ledger, Heard())


def phantom_kspace(phantom: Phantom, acceleration: float) -> NDArray[np.complex64]:
    """Return undersampled k-space of a perfusion phantom, ``(frames, slices, coils, ky, kx)``."""
    frames = phantom.image.array / phantom.image.array.max()
    rows, columns = (np.linspace(-1, 1, n) for n in frames.shape[2:])
    angles = 2 * np.pi * np.arange(4) / 4
    coils = np.stack(
        [
            np.exp(
                -0.4 * (rows[:, None] - np.cos(a)) ** 2
                - 0.4 * (columns[None, :] - np.sin(a)) ** 2
                + 1j * a
            )
            for a in angles
        ]
    )
    mask = draw_pattern("random", frames.shape[2:], acceleration, 1).mask
    return np.asarray(fft2c((frames[:, :, None] * coils).astype(np.complex64)) * mask, "c8")


def test_kspace_becomes_a_segmentation_of_the_myocardium_in_one_call(
    phantom: Phantom, models: Path, tmp_path: Path
) -> None:
    kspace = phantom_kspace(phantom, acceleration=2.0)
    source = write_nifti(tmp_path / "dynamic.nii.gz", kspace, phantom.image.affine)
    manifest = run_all(source, models, tmp_path)
    assert [j.identity.analysis for j in manifest.jobs] == ["reconstruction", "perfusion"]
    assert [j.failure for j in manifest.jobs] == [None, None]
    assert not manifest.refusals
    assert not manifest.not_fitting
    first, second = (tmp_path / "out" / j.folder for j in manifest.jobs)
    assert (first / "magnitude.nii.gz").exists()
    found = np.asarray(nibabel.load(second / "segmentation.nii.gz").dataobj)
    truth = np.asarray(phantom.labels)
    found = found.reshape(found.shape[:3]).transpose(2, 1, 0)
    assert found.shape == truth.shape
    for value, enough in ((MYOCARDIUM, 0.5), (BLOOD_POOL, 0.6)):
        best = max(
            dice(turned == value, truth == value)
            for turned in (found, found[:, ::-1], found[:, :, ::-1], found[:, ::-1, ::-1])
        )
        assert best > enough
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    validate(document, json.loads(SCHEMA.read_text()))
    again = run_all(source, models, tmp_path)
    assert [j.reused for j in again.jobs] == [True, True]
    alone = run_all(source, models, tmp_path, names=("reconstruction",))
    assert [j.identity.job_id for j in alone.jobs] == [manifest.jobs[0].identity.job_id]


def test_raw_data_of_a_scanner_become_images_and_an_uncertainty_map(
    models: Path, tmp_path: Path
) -> None:
    lines = tuple(sorted({*range(0, 32, 2), *range(11, 21)}))
    Mrd(lines=lines, sections=IDENTITY).write(tmp_path / "scan.h5")
    manifest = run_all(tmp_path / "scan.h5", models, tmp_path, draws=2)
    (job,) = manifest.jobs
    assert job.failure is None
    assert job.identity.analysis == "reconstruction"
    kinds = {a.kind for a in job.artifacts}
    evidence = {"zero_filled", "classical", "coverage", "residual"}
    assert kinds == {"image", "uncertainty_map", "key_objects", "nifti", "figure", *evidence}
    outcome = job.outcome or {}
    names = {m["name"] for m in outcome["measurements"]}  # type: ignore[union-attr,index]
    assert {"acceleration", "kspace_residual", "mean_relative_uncertainty"} <= names
    assert {"networks", "fft", "consistency", "encode"} <= set(outcome["timings"])  # type: ignore[arg-type]
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    validate(document, json.loads(SCHEMA.read_text()))


def test_an_analysis_that_is_asked_for_by_name_needs_a_bundle_of_its_own(
    models: Path, tiny_bundle: Path
) -> None:
    configuration = Configuration(models=ModelSettings(path=tiny_bundle))
    assert [a.name for a in open_analyses([], configuration)] == ["perfusion"]
    with pytest.raises(BundleRejected, match="no bundle for reconstruction"):
        open_analyses(["reconstruction"], configuration)
    both = Configuration(models=ModelSettings(path=models))
    assert [a.name for a in open_analyses([], both)] == ["perfusion", "reconstruction"]
