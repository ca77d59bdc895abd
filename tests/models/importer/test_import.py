"""Bundles that MONAI's own code makes, imported and run by a manifest alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from numpy.typing import NDArray
from pydicom import dcmread

from models.importer.__main__ import import_bundle
from models.importer.compare import LARGEST_DIFFERENCE, LARGEST_SHARE
from pipeline.config import parse_configuration
from pipeline.errors import BundleRejected
from pipeline.imaging.nifti import write_volume
from pipeline.imaging.volume import Volume
from pipeline.infer.bundle import load_bundle
from pipeline.ledger.ledger import Ledger
from pipeline.perform import open_analyses
from pipeline.run import RunRequest, run
from tests.support.runs import Heard
from tests.support.zoo import (
    MANIFEST,
    SEGRESNET,
    UNET,
    config,
    network,
    sample_volume,
    write_ct,
    write_zoo_bundle,
)

ROOT = Path(__file__).parents[3]
DCIODVFY = Path(sys.executable).parent / "dciodvfy"
NETWORKS = {"unet": UNET, "segresnet": SEGRESNET}

CROPPED = [
    {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
    {"_target_": "Orientationd", "keys": "image", "axcodes": "LPS"},
    {
        "_target_": "CropForegroundd",
        "keys": "image",
        "source_key": "image",
        "margin": 2,
        "allow_smaller": True,
    },
    {
        "_target_": "Spacingd",
        "keys": "image",
        "pixdim": [1.7, -1, 2.1],
        "padding_mode": "zeros",
        "align_corners": True,
    },
    {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
    {"_target_": "DivisiblePadd", "keys": "image", "k": 16},
]
LABELS_BACK = [
    {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
    {"_target_": "FillHolesd", "keys": "pred"},
    {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1, 2]},
    {
        "_target_": "Invertd",
        "keys": "pred",
        "transform": "@preprocessing",
        "orig_keys": "image",
        "nearest_interp": True,
    },
]
WAYS: dict[str, dict[str, Any]] = {
    "probabilities come back": {},
    "labels come back": {
        "preprocessing": {"_target_": "Compose", "transforms": CROPPED},
        "postprocessing": {"_target_": "Compose", "transforms": LABELS_BACK},
        "inferer": {"_target_": "SimpleInferer"},
    },
}
# An ONNX file of the support has windows of one size, and the second way has none.
CASES = [
    *(
        (form, name, "probabilities come back")
        for form in ("pt", "ts", "onnx")
        for name in NETWORKS
    ),
    ("pt", "unet", "labels come back"),
    ("ts", "segresnet", "labels come back"),
]

# Torch and MONAI warn of what they themselves use; nothing of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a manifest, a sample, and another volume as CT."""
    folder = tmp_path_factory.mktemp("import")
    (folder / "manifest.toml").write_text(MANIFEST)
    write_volume(sample_volume(), folder / "sample.nii.gz")
    write_ct(sample_volume(2), folder / "ct")
    return folder


def brought(source: Path, place: Path, models: Path, *allowed: str) -> dict[str, object]:
    """Import a bundle."""
    return import_bundle(
        source, place / "manifest.toml", place / "sample.nii.gz", models, list(allowed)
    )


def monai_alone(document: dict[str, Any], volume: Volume, folder: Path) -> dict[str, NDArray[Any]]:
    """Return what MONAI's parser, transforms and inferer make, with nothing of ours."""
    nibabel.save(
        nibabel.Nifti1Image(
            volume.array.transpose(2, 1, 0),
            np.diag([-1.0, -1, 1, 1]) @ volume.affine[:, [2, 1, 0, 3]],
        ),
        folder / "volume.nii",
    )
    parser = ConfigParser({**document, "output_dir": str(folder)})
    before, after = (parser.get_parsed_content(f"{n}processing") for n in ("pre", "post"))
    item = before({"image": str(folder / "volume.nii")})
    with torch.inference_mode():
        given = parser.get_parsed_content("inferer")(
            item["image"][None], network(document["network_def"])
        )
    item["pred"] = MetaTensor(given[0].clone(), affine=item["image"].affine)
    found = {"given": np.asarray(given[0])}
    for transform in after.transforms:
        if type(transform).__name__ == "SaveImaged":
            continue
        if type(transform).__name__ == "AsDiscreted":
            found["before"] = np.asarray(item["pred"])
        item = transform(item)
    return {**found, "labels": np.asarray(item["pred"])[0].T}


@pytest.mark.parametrize(("form", "name", "way"), CASES)
def test_a_bundle_runs_by_a_manifest_alone_and_equals_monai(
    form: str, name: str, way: str, place: Path, tmp_path: Path
) -> None:
    document = config(network_def=NETWORKS[name], **WAYS[way])
    source = write_zoo_bundle(tmp_path / "zoo", document, form)
    made = brought(source, place, tmp_path / "models")
    assert made["analysis"] == "organs"
    bundle = load_bundle(tmp_path / "models" / "organs" / "bundle")
    assert bundle.digest == made["digest"]
    configuration = parse_configuration({"models": {"path": "models"}}, tmp_path)
    (analysis,) = open_analyses(["organs"], configuration)
    request = RunRequest(inputs=(place / "ct",), output=tmp_path / "results", analyses=(analysis,))
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        manifest = run(request, ledger, Heard())
    (job,) = manifest.jobs
    assert job.failure is None
    folder = tmp_path / "results" / job.folder
    theirs = monai_alone(document, sample_volume(2), tmp_path)["labels"]
    labels = nibabel.load(folder / "segmentation.nii.gz").get_fdata().T
    either = (labels > 0) | (theirs > 0)
    assert np.count_nonzero(either) > 500
    assert len(np.unique(labels)) == 3
    assert np.count_nonzero(labels != theirs) <= LARGEST_SHARE * np.count_nonzero(either)
    check_objects(folder, labels, sample_volume(2))


def check_objects(folder: Path, labels: NDArray[Any], volume: Volume) -> None:
    """Check that the objects conform, and that the segmentation lies where its source does."""
    for path in sorted(folder.glob("*.dcm")):
        told = subprocess.run(
            [DCIODVFY, "-new", path], capture_output=True, text=True, check=False
        ).stderr
        assert "Error" not in told, told
    segmentation = highdicom.seg.segread(folder / "segmentation_binary.dcm")
    found = segmentation.get_volume(combine_segments=True)
    source = highdicom.Volume(array=volume.array, affine=volume.affine, coordinate_system="PATIENT")
    assert np.array_equal(found.match_geometry(source, tol=1e-3).array, labels)
    assert [s.SegmentLabel for s in segmentation.SegmentSequence] == ["Liver", "Spleen"]
    one_ml = abs(np.linalg.det(volume.affine[:3, :3])) / 1000
    values = numbers(dcmread(folder / "report.dcm"))
    expected = [one_ml * np.count_nonzero(labels == value) for value in (1, 2)]
    assert np.allclose(values, expected, rtol=1e-5)


def numbers(item: Any) -> list[float]:
    """Return the measured values of a report, in its order."""
    found = []
    for inner in item.get("ContentSequence", []):
        if inner.ValueType == "NUM":
            found.append(float(inner.MeasuredValueSequence[0].NumericValue))
        found += numbers(inner)
    return found


def test_probabilities_are_those_of_monai(place: Path, tmp_path: Path) -> None:
    from pipeline.analyses.bundled.analysis import analyse
    from pipeline.analyses.bundled.declaration import read_declaration
    from pipeline.infer.terms import Compute

    document = config(network_def=SEGRESNET)
    brought(write_zoo_bundle(tmp_path / "zoo", document), place, tmp_path / "models")
    configuration = parse_configuration({"models": {"path": "models"}}, tmp_path)
    (analysis,) = open_analyses(["organs"], configuration, Compute(threads=1))
    declaration = read_declaration(analysis.bundle.settings["declaration"], "bundle")
    ours = analyse(sample_volume(2), analysis.network, declaration, lambda _: None)  # type: ignore[attr-defined]
    theirs = monai_alone(document, sample_volume(2), tmp_path)
    assert ours.final is not None
    assert ours.final.array.sum(axis=0) == pytest.approx(1.0, abs=1e-5)
    assert np.abs(ours.final.array - theirs["before"]).max() <= LARGEST_DIFFERENCE
    assert np.abs(ours.given - theirs["given"]).max() <= LARGEST_DIFFERENCE


def test_a_network_that_differs_from_its_original_is_refused(place: Path, tmp_path: Path) -> None:
    source = write_zoo_bundle(tmp_path / "zoo", config(network_def=SEGRESNET), "ts")
    other = config(network_def={**SEGRESNET, "act": "elu"})
    (source / "configs" / "inference.json").write_text(json.dumps(other))
    with pytest.raises(BundleRejected, match="not equal to MONAI's inference"):
        brought(source, place, tmp_path / "models")
    assert not (tmp_path / "models" / "organs" / "bundle").exists()


def test_the_command_imports_in_a_process_of_its_own(place: Path, tmp_path: Path) -> None:
    source = write_zoo_bundle(tmp_path / "zoo", config(), "onnx")
    call = [sys.executable, "-c", "from workers.cli import main; main()", "models", "import"]
    given = [source, "--manifest", place / "manifest.toml", "--sample", place / "ct"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = [
        subprocess.run(
            [*call, *given, "--output", tmp_path / "models", "--json"],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        for _ in range(2)
    ]
    assert done[0].returncode == 0, done[0].stderr
    made = json.loads(done[0].stdout)
    assert made["form"] == "ONNX"
    assert made["compared"]["other_labels"] <= LARGEST_SHARE
    assert done[1].returncode == 2
    assert "exists already; a bundle is never overwritten" in done[1].stderr


def test_a_model_that_is_live_in_the_registry_is_an_analysis(place: Path, tmp_path: Path) -> None:
    source = write_zoo_bundle(tmp_path / "zoo", config(), "onnx")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VESALIUS_")}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "VESALIUS_LEDGER": str(tmp_path / "ledger.db"),
    }

    def called(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "workers.cli", *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

    given = ("--manifest", place / "manifest.toml", "--sample", place / "ct", "--json")
    imported = called("models", "import", source, *given)
    assert imported.returncode == 0, imported.stderr
    version = json.loads(imported.stdout)
    name = f"{version['analysis']}@{version['version']}"
    words = ("run", place / "ct", "--output", tmp_path / "out", "--analysis", version["analysis"])
    early = called(*words)
    assert early.returncode == 2
    assert f"no bundle for {version['analysis']}" in early.stderr
    assert called("models", "enable", name).returncode == 0
    promoted = called("models", "promote", name, "--anyway", "the first version")
    assert promoted.returncode == 0, promoted.stderr
    done = called(*words)
    assert done.returncode == 0, done.stderr
    (job,) = json.loads((tmp_path / "out" / "result.json").read_text())["jobs"]
    assert job["bundle"]["digest"] == version["digest"]
