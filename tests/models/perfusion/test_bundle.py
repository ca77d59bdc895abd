"""The bundle that ships: whole, small, described, and able to do its work."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from models.perfusion.quantise import GRAPHS, calibration_patches
from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.evaluate.perfusion import evaluate_perfusion
from pipeline.imaging.overlap import dice
from pipeline.infer.bundle import Bundle, find_bundle, load_bundle
from pipeline.ingest.inventory import take_inventory
from pipeline.phantom import perfusion_phantom
from pipeline.study import InputSeries
from tests.support.plainseries import plain_series
from tests.support.realdata import real_data
from tests.support.runs import FAST


def run(graph: Path, patches: np.ndarray) -> np.ndarray:
    """Return what a graph makes of patches."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"beats": patches})[0]
    return found


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(find_bundle("perfusion"))


@pytest.fixture(scope="module")
def pool(bundle: Bundle) -> Pool:
    return open_pool(bundle)


def test_the_bundle_is_whole_small_and_described(bundle: Bundle) -> None:
    files = [path for path in bundle.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25_000_000
    assert len(bundle.members) >= 3
    assert bundle.network("locator")
    card = (bundle.folder / "docs" / "README.md").read_text()
    for heading in ("## Data", "## Training", "## Figures", "## Limits"):
        assert heading in card
    for member in (*bundle.members, bundle.network("locator")):
        assert (bundle.folder / "docs" / f"{member.name}_curve.csv").exists()


def test_its_card_and_metadata_are_those_of_the_sources(bundle: Bundle) -> None:
    sources = bundle.folder.parent
    assert (bundle.folder / "docs" / "README.md").read_text() == (sources / "CARD.md").read_text()
    assert (bundle.folder / "LICENSE").read_text() == (sources / "WEIGHTS-LICENSE").read_text()
    assert f'"version": "{bundle.version}"' in (sources / "metadata.json").read_text()


def test_the_demonstrations_heart_is_segmented(pool: Pool) -> None:
    phantom = perfusion_phantom(1)
    series = plain_series(phantom.image)
    found = analyse(series, pool, FAST).segmentation.array
    assert dice(found == MYOCARDIUM, phantom.labels == MYOCARDIUM) > 0.85
    assert dice(found == BLOOD_POOL, phantom.labels == BLOOD_POOL) > 0.9


def test_a_real_series_of_another_vendor_is_segmented(pool: Pool) -> None:
    """Classic DICOM of a GE Signa at 1.5 T, full field of view: nothing like it was trained on."""
    folder = real_data("perfusion", "ge_dicom")
    (candidate,) = take_inventory([folder]).candidates
    series = candidate.load()
    assert isinstance(series, InputSeries)
    found = analyse(series, pool, FAST).segmentation.array[0]
    masks = np.load(folder / "masks.npz")
    assert dice(found == MYOCARDIUM, masks["myo"] > 0) > 0.8
    assert dice(found == BLOOD_POOL, masks["lv"] > 0) > 0.9


def test_the_external_patient_is_segmented_as_the_card_says(pool: Pool) -> None:
    folder: Path = real_data("perfusion", "external")
    summary = evaluate_perfusion(folder, folder, pool, FAST).summary()
    assert summary["n_series"] == 3
    assert summary["failed_share"] == 0.0
    assert summary["heart_found_share"] == 1.0
    assert summary["myocardium_dice_mean"] == pytest.approx(0.866, abs=0.01)


def test_its_members_are_those_in_single_precision_put_into_eight_bits(bundle: Bundle) -> None:
    ranges = calibration_patches()[::4]
    for member in bundle.members:
        single = run(GRAPHS / f"{member.name}.onnx", ranges)
        eight = run(member.path, ranges)
        assert np.abs(eight - single).mean() < 0.002
        assert (eight.argmax(axis=1) == single.argmax(axis=1)).mean() > 0.995
        np.testing.assert_allclose(eight.sum(axis=1), 1.0, atol=1e-5)
