"""Judging a reconstruction: rows, masks, residuals, and how the command takes its values."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import evaluatereconstruction
from pipeline.analyses.reconstruction.networks import UnrolledNetworks, open_networks
from pipeline.analyses.reconstruction.rawslice import raw_slice
from pipeline.analyses.reconstruction.slices import residual
from pipeline.errors import UnusableCall
from pipeline.evaluatereconstruction import Task, evaluate_reconstruction
from pipeline.infer.bundle import load_bundle
from pipeline.infer.terms import Compute
from pipeline.mr.coils import root_sum_of_squares
from pipeline.mr.fourier import ifft2c
from pipeline.mr.patterns import draw_pattern
from pipeline.mr.quality import psnr
from pipeline.peers import bart_missing
from pipeline.spread import separated, spread
from tests.support.reconstruction import disc_kspace, write_tiny_reconstruction

ROW = {
    *("file", "method", "pattern", "acceleration", "measured_acceleration"),
    *("psnr_db", "ssim", "nmse", "seconds"),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_reconstruction(tmp_path_factory.mktemp("tiny") / "bundle", head=1e-3)


@pytest.fixture(scope="module")
def networks(bundle: Path) -> dict[str, UnrolledNetworks]:
    return {
        m: open_networks(load_bundle(bundle), m, Compute(threads=1)) for m in ("operator", "varnet")
    }


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """Return a file of fully sampled k-space."""
    np.save(tmp_path / "full.npy", disc_kspace((64, 60)))
    return tmp_path / "full.npy"


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    """Return a file of k-space that was measured undersampled."""
    mask = draw_pattern("gaussian", (64, 60), 2.0, 1).mask
    np.save(tmp_path / "partial.npy", (disc_kspace((64, 60)) * mask).astype(np.complex64))
    return tmp_path / "partial.npy"


def test_each_method_pattern_and_acceleration_is_a_row_on_one_mask(
    full: Path, networks: dict[str, UnrolledNetworks]
) -> None:
    task = Task(files=(full,), patterns=("magic", "radial"), accelerations=(2.0, 4.0))
    found = evaluate_reconstruction(task, networks)
    assert len(found.rows) == 3 * 2 * 2
    assert {r.method for r in found.rows} == {"operator", "zero-filled", "varnet"}
    by_mask: dict[tuple[str, float], set[float]] = {}
    for row in found.rows:
        assert np.isfinite([row.psnr_db, row.ssim, row.nmse, row.seconds]).all()
        by_mask.setdefault((row.pattern, row.acceleration), set()).add(row.measured_acceleration)
    assert all(len(measured) == 1 for measured in by_mask.values())
    assert by_mask["magic", 4.0] != {4.0}
    best = {r.method: r.psnr_db for r in found.rows if r.acceleration == 2.0}
    assert best["operator"] > best["zero-filled"]


def test_data_without_a_truth_get_residuals_and_images(
    partial: Path, networks: dict[str, UnrolledNetworks], tmp_path: Path
) -> None:
    found = evaluate_reconstruction(Task(files=(partial,), output=tmp_path / "seen"), networks)
    assert not found.rows
    assert [w.method for w in found.without_truth] == ["operator", "zero-filled", "varnet"]
    residuals = {w.method: w.kspace_residual for w in found.without_truth}
    assert residuals["operator"] < residuals["zero-filled"]
    assert (tmp_path / "seen" / "partial_side_by_side.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    full: Path, networks: dict[str, UnrolledNetworks], tmp_path: Path
) -> None:
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    files = (tmp_path / "broken.h5", full)
    task = Task(files=files, patterns=("random",), accelerations=(2.0,), against=("zero-filled",))
    found = evaluate_reconstruction(task, networks)
    assert len(found.rows) == 2
    assert "HDF5" in found.not_judged["broken.h5"]
    with pytest.raises(UnusableCall, match="no file can be judged"):
        evaluate_reconstruction(Task(files=files[:1]), networks)


def test_a_peer_that_is_not_installed_is_left_out_with_its_reason(
    full: Path, networks: dict[str, UnrolledNetworks], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluatereconstruction, "bart_missing", lambda: "not here")
    task = Task(files=(full,), patterns=("random",), accelerations=(2.0,), against=("bart",))
    found = evaluate_reconstruction(task, networks)
    assert {r.method for r in found.rows} == {"operator"}
    assert found.skipped == {"bart": "not here"}
    assert "left out: bart: not here" in found.table()


@pytest.mark.skipif(bart_missing() is not None, reason="the command bart is not installed")
@pytest.mark.parametrize("shape", [(64, 64), (64, 63)], ids=str)
def test_bart_gives_the_image_at_our_place_and_scale(shape: tuple[int, int]) -> None:
    kspace = disc_kspace(shape)
    truth = root_sum_of_squares(ifft2c(kspace))
    mask = draw_pattern("poisson", shape, 2.0, 1).mask
    raw = raw_slice((kspace * mask).astype(np.complex64), mask)
    found, seconds = evaluatereconstruction._of_bart("bart", raw, truth)
    assert psnr(truth, np.abs(found.image)) > 28
    assert residual(raw, found) < 0.15
    assert seconds > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patterns": ("spiral",)}, "no pattern 'spiral'; known are equispaced, random"),
        ({"against": ("grappa",)}, "no method 'grappa'; known are zero-filled, varnet, bart"),
        ({"accelerations": (1.0,)}, "acceleration 1 is not between 1 and 64"),
    ],
)
def test_what_is_not_known_is_refused_by_name(values: dict[str, object], message: str) -> None:
    with pytest.raises(UnusableCall, match=message):
        Task(files=(), **values)  # type: ignore[arg-type]


def test_options_take_several_values_apart_or_joined() -> None:
    given = ["--kspace", "a.npy", "b.npy", "--json", "--against", "varnet,bart", "--models", "m"]
    assert spread(given, ("--kspace", "--against")) == [
        *("--kspace", "a.npy", "--kspace", "b.npy", "--json"),
        *("--against", "varnet,bart", "--models", "m"),
    ]
    assert separated(["2,4", "8", "4"]) == ("2", "4", "8")


def test_the_command_prints_one_object_with_rows(full: Path, partial: Path, bundle: Path) -> None:
    call = [sys.executable, "-m", "pipeline.cli", "evaluate", "reconstruction"]
    call += ["--kspace", str(full), str(partial), "--patterns", "random", "gaussian"]
    call += ["--accelerations", "2,4", "--against", "zero-filled", "--json"]
    call += ["--models", str(bundle), "--output", str(full.parent / "seen")]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["rows"]) == 2 * 2 * 2
    assert all(set(row) == ROW for row in found["rows"])
    assert [w["method"] for w in found["without_truth"]] == ["operator", "zero-filled"]
