"""Bundled analyses: found in the folder of models, routed by name, run on NIfTI and on DICOM."""

import json
import tomllib
from pathlib import Path

import nibabel
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from pipeline.config import Configuration, parse_configuration
from pipeline.errors import BundleRejected, UnusableCall
from pipeline.imaging.nifti import write_volume
from pipeline.infer.bundle import write_file_list
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.ledger import Ledger
from pipeline.options import site_rules
from pipeline.perform import kinds_in, open_analyses
from pipeline.plan import plan_jobs
from pipeline.run import RunRequest, run
from tests.support.runs import Heard
from tests.support.zoo import MANIFEST, sample_volume, write_ct

DECLARATION = {
    "preprocessing": [{"name": "Orientation", "axcodes": "RAS"}],
    "inferer": {"roi_size": 16, "overlap": 0.5},
    "postprocessing": [
        {"name": "Invert", "nearest_interp": True},
        {"name": "AsDiscrete", "threshold": 100.0},
    ],
}


def write_bundle(folder: Path, **settings: object) -> Path:
    """Write a bundle whose network gives its input back: values of 100 and more are label 1."""
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir(parents=True)
    shape = [None, 1, None, None, None]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["prediction"])],
        "same",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "models" / "network.onnx")
    network = {"input_name": "image", "input_shape": shape}
    network |= {"output_name": "prediction", "output_shape": shape}
    own = {
        "bundled": tomllib.loads(MANIFEST),
        "declaration": DECLARATION,
        "network": network,
        **settings,
    }
    texts = dict.fromkeys(("name", "version", "task", "description", "authors", "copyright"), "x")
    (folder / "configs" / "metadata.json").write_text(json.dumps({**texts, "vesalius": own}))
    (folder / "docs" / "README.md").write_text("x")
    (folder / "LICENSE").write_text("x")
    write_file_list(folder)
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Configuration:
    write_bundle(tmp_path / "models" / "organs" / "bundle")
    return parse_configuration({"models": {"path": "models"}}, tmp_path)


def test_a_bundle_in_the_folder_of_models_is_an_analysis(site: Configuration) -> None:
    assert [kind.name for kind in kinds_in(site)][-1] == "organs"
    assert [analysis.name for analysis in open_analyses([], site)] == ["organs"]
    assert [analysis.name for analysis in open_analyses(["organs"], site)] == ["organs"]
    with pytest.raises(UnusableCall, match="no analysis 'organs'"):
        open_analyses(["organs"], Configuration())


def test_rules_know_it_by_its_name(site: Configuration, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "abdomen"\nanalyses = ["organs"]\n')
    assert site_rules(rules, site) is not None
    with pytest.raises(UnusableCall, match="no analysis 'organs'"):
        site_rules(rules, Configuration())


def test_a_bundle_in_the_folder_of_another_name_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "models" / "lungs" / "bundle")
    configuration = parse_configuration({"models": {"path": "models"}}, tmp_path)
    with pytest.raises(
        BundleRejected, match="the bundle of organs, which belongs in organs/bundle"
    ):
        open_analyses([], configuration)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"bundled": 3}, "bundled is no object"),
        ({"bundled": {"name": "organs"}}, "bundled: takes.modality is missing"),
        ({"declaration": {}}, "preprocessing is no list"),
        ({"network": 3}, "network is no object"),
        ({"network": {}}, "network.input needs a name and five lengths"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    settings: dict[str, object], reason: str, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "models" / "organs" / "bundle", **settings)
    configuration = parse_configuration({"models": {"path": "models"}}, tmp_path)
    with pytest.raises(BundleRejected, match=reason):
        open_analyses([], configuration)


def test_a_folder_that_is_the_bundle_itself_is_one(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    configuration = parse_configuration({"models": {"path": "bundle"}}, tmp_path)
    assert [a.name for a in open_analyses([], configuration)] == ["organs"]


def test_series_that_it_does_not_take_are_told_why(
    site: Configuration, sound_study: Path, tmp_path: Path
) -> None:
    analyses = open_analyses([], site)
    thin = sample_volume()
    write_ct(type(thin)(array=thin.array[:2], affine=thin.affine), tmp_path / "thin")
    told = [
        each.reasons["organs"]
        for folder in (sound_study, tmp_path / "thin")
        for each in plan_jobs(take_inventory([folder]), analyses).not_fitting
    ]
    assert told == [
        "45 time steps, organs needs a single volume",
        "organs takes a series only where slices is at least 4",
    ]


def test_a_ct_and_its_nifti_twin_get_the_same_labels_and_the_same_bytes_again(
    site: Configuration, tmp_path: Path
) -> None:
    volume = sample_volume()
    write_ct(volume, tmp_path / "ct")
    write_volume(volume, tmp_path / "twin.nii.gz")
    found = []
    for number, given in enumerate(("ct", "twin.nii.gz", "ct")):
        output = tmp_path / f"results{number}"
        request = RunRequest(
            inputs=(tmp_path / given,), output=output, analyses=open_analyses([], site)
        )
        with Ledger.open(str(tmp_path / f"{number}.db")) as ledger:
            (job,) = run(request, ledger, Heard()).jobs
        assert job.failure is None
        found.append(output / job.folder)
        labels = nibabel.load(found[-1] / "segmentation.nii.gz").get_fdata().T
        assert np.array_equal(labels, volume.array >= 100)
        assert job.outcome is not None
        measured = {m["structure"]: m["value"] for m in job.outcome["measurements"]}  # type: ignore[attr-defined]
        one_ml = np.prod(volume.spacing_mm) / 1000
        assert measured == pytest.approx(
            {"liver": one_ml * np.count_nonzero(volume.array >= 100), "spleen": 0.0}
        )
    assert sorted(p.name for p in found[1].iterdir()) == ["segmentation.nii.gz"]
    for name in ("segmentation_binary.dcm", "report.dcm", "segmentation.nii.gz"):
        assert (found[0] / name).read_bytes() == (found[2] / name).read_bytes()
