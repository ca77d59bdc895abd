"""Judging phases through the command: keys, baselines, orders of phases, and refusals."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UnusableCall
from pipeline.evaluatephases import BASELINES, evaluate_phases
from pipeline.labelledphases import LabelledSource, read_labelled
from tests.support.phases import (
    TOOLS,
    open_tiny,
    operations,
    tissue,
    write_tiny_phases,
)

FIGURES = {
    *("accuracy", "accuracy_relaxed_10s", "precision", "recall", "jaccard", "edit"),
    *("f1_10", "f1_25", "f1_50", "over_segmentation"),
    *("next_phase_accuracy", "remaining_time_mae_s"),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_phases(tmp_path_factory.mktemp("tiny") / "bundle")


def logits_of(phase: np.ndarray, seed: int) -> np.ndarray:
    """Return outputs that are right most of the time."""
    rng = np.random.default_rng(seed)
    seen = np.where(rng.random(phase.size) < 0.2, rng.integers(0, 7, phase.size), phase)
    return (4 * np.eye(7)[seen] + rng.normal(0, 1, (phase.size, 7))).astype(np.float16)


@pytest.fixture
def logits(tmp_path: Path) -> Path:
    """Return a file of frame-wise outputs with their labels."""
    arrays = {}
    for number, operation in enumerate(operations()):
        arrays[f"{operation.name}_logits"] = logits_of(operation.phase, number)
        arrays[f"{operation.name}_phase"] = operation.phase.astype(np.uint8)
    np.savez(tmp_path / "logits.npz", **arrays)
    return tmp_path / "logits.npz"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Return a file of tools with labels, whose instruments stand in another order."""
    arrays = {"tool_names": np.array(TOOLS[::-1])}
    for operation in operations():
        arrays[f"{operation.name}_tools"] = operation.tools[:, ::-1].astype(np.uint8)
        arrays[f"{operation.name}_phase"] = operation.phase.astype(np.uint8)
    np.savez(tmp_path / "labels.npz", **arrays)
    return tmp_path / "labels.npz"


def judged(*options: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    call = [sys.executable, "-m", "pipeline.cli", "evaluate", "phases", *map(str, options)]
    return subprocess.run(call, capture_output=True, text=True, check=False)


def test_the_command_prints_one_object_with_every_figure(bundle: Path, logits: Path) -> None:
    done = judged("--logits", logits, "--models", bundle, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [v["name"] for v in found["videos"]] == ["video01", "video02", "video03"]
    assert [v["seconds"] for v in found["videos"]] == [220, 235, 230]
    for told in (*found["videos"], found["summary"]):
        assert set(told) >= FIGURES
        assert {"argmax", "hmm", "prior"} <= set(told["baselines"])
        assert all(set(told["baselines"][way]) >= FIGURES for way in BASELINES)
        assert len(told["next_phase_accuracy"]) == 4
        assert all(0 <= value <= 100 for value in told["next_phase_accuracy"])
    with np.load(logits) as file:
        right = [
            100 * np.mean(file[f"video0{n}_logits"].argmax(axis=1) == file[f"video0{n}_phase"])
            for n in (1, 2, 3)
        ]
    baselines = found["summary"]["baselines"]
    assert baselines["argmax"]["accuracy"] == pytest.approx(np.mean(right))
    assert baselines["hmm"]["edit"] > 2 * baselines["argmax"]["edit"]
    assert baselines["prior"]["remaining_time_mae_s"] < 60


def test_without_json_it_prints_a_table(bundle: Path, logits: Path) -> None:
    done = judged("--logits", logits, "--models", bundle)
    assert done.returncode == 0, done.stderr
    for words in ("video02", "accuracy, unrelaxed", "accuracy, 10 s relaxed", "most_frequent"):
        assert words in done.stdout
    assert "next phase, k = 4" in done.stdout


def test_only_the_named_operations_are_judged(bundle: Path, logits: Path) -> None:
    only = ("--only", "video03", "video01")
    done = judged("--logits", logits, *only, "--models", bundle, "--json")
    assert done.returncode == 0, done.stderr
    assert [v["name"] for v in json.loads(done.stdout)["videos"]] == ["video01", "video03"]
    done = judged("--logits", logits, "--only", "video09", "--models", bundle)
    assert (done.returncode, "no operation video09" in done.stderr) == (2, True)


def test_tools_are_found_by_name_and_judged(bundle: Path, labels: Path) -> None:
    networks = open_tiny(bundle)
    source = LabelledSource(outputs=(labels,))
    read = read_labelled(source, networks.procedure, networks.model)
    for ours, theirs in zip(read, operations(), strict=True):
        np.testing.assert_array_equal(ours.tools, theirs.tools)  # type: ignore[union-attr]
    found = evaluate_phases(read, networks)
    # The tools tell the phase but for a tenth of the bits.
    assert found.summary["argmax"].accuracy > 50


def test_outputs_and_tools_of_one_operation_are_taken_together(
    bundle: Path, logits: Path, labels: Path
) -> None:
    done = judged("--logits", logits, "--features", labels, "--models", bundle, "--json")
    assert done.returncode == 0, done.stderr
    alone = judged("--logits", logits, "--models", bundle, "--json")
    together = json.loads(done.stdout)["summary"]
    apart = json.loads(alone.stdout)["summary"]
    assert together["baselines"]["argmax"] == apart["baselines"]["argmax"]
    assert together["remaining_time_mae_s"] != apart["remaining_time_mae_s"]


def test_phases_that_a_file_names_are_found_by_name(bundle: Path, tmp_path: Path) -> None:
    networks = open_tiny(bundle)
    operation = operations()[0]
    usual = logits_of(operation.phase, 0).astype(np.float64)
    # The order of one public loader: retraction and packaging change places.
    names = [*networks.procedure.names[:4], "GallbladderRetraction", "cleaning_coagulation"]
    names.append("GallbladderPackaging")
    swapped = usual[:, [0, 1, 2, 3, 6, 5, 4]]
    numbers = np.array([0, 1, 2, 3, 6, 5, 4])[operation.phase]
    np.savez(
        tmp_path / "named.npz",
        phase_names=np.array(names),
        video01_logits=swapped,
        video01_phase=numbers,
    )
    source = LabelledSource(outputs=(tmp_path / "named.npz",))
    (read,) = read_labelled(source, networks.procedure, networks.model)
    np.testing.assert_array_equal(read.truth.phase, operation.phase)
    np.testing.assert_array_equal(read.logits, usual)  # type: ignore[union-attr]


def test_frames_are_judged_at_their_labelled_seconds(bundle: Path, tmp_path: Path) -> None:
    rows = []
    for place, second in enumerate((2, 3, 5, 9, 14, 15)):
        Image.fromarray(tissue(place)).save(tmp_path / f"{second}.png")
        phase = "preparation" if second < 9 else "Carlot-Triangle-Dissection"
        rows.append({"video": "68", "second": second, "phase": phase, "file": f"{second}.png"})
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    files = ("--frames", tmp_path, "--labels", tmp_path / "labels.csv")
    done = judged(*files, "--models", bundle, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(v["name"], v["seconds"]) for v in found["videos"]] == [("video68", 6)]
    (tmp_path / "5.png").write_bytes(b"no picture")
    done = judged(*files, "--models", bundle, "--json")
    assert done.returncode == 2
    assert "5.png: no picture that can be read" in done.stderr


def test_a_video_is_judged_at_its_labelled_seconds(bundle: Path, tmp_path: Path) -> None:
    with av.open(tmp_path / "case.mp4", "w") as file:
        stream = file.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(tissue(number // 5), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    rows = [f"case,{second},preparation" for second in range(1, 8)]
    (tmp_path / "labels.csv").write_text("\n".join(["video,second,phase", *rows, "other,1,x"]))
    files = ("--video", tmp_path / "case.mp4", "--labels", tmp_path / "labels.csv")
    done = judged(*files, "--models", bundle, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(v["name"], v["seconds"]) for v in found["videos"]] == [("case", 7)]
    (tmp_path / "labels.csv").write_text("video,second,phase\nother,1,preparation\n")
    assert "no row whose video is case" in judged(*files, "--models", bundle).stderr


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"video01_logits": np.zeros((5, 6)), "video01_phase": np.zeros(5, int)}, r"not \(seconds"),
        ({"video01_logits": np.zeros((5, 7))}, "video01: no labels"),
        (
            {"video01_logits": np.zeros((9, 7)), "video01_phase": np.zeros(5, int)},
            "arrays of 5 to 9 seconds",
        ),
        (
            {"video01_logits": np.full((5, 7), np.nan), "video01_phase": np.zeros(5, int)},
            "empty or not finite",
        ),
        (
            {"video01_logits": np.zeros((5, 7)), "video01_phase": np.full(5, 7)},
            "numbers beyond 7 phases",
        ),
        ({"video01_logits": np.zeros((5, 7)), "video01_phase": np.zeros(5)}, "not a row of"),
        ({"other": np.zeros(3)}, "no array videoNN_logits or videoNN_tools"),
        (
            {"video01_tools": np.zeros((5, 2)), "tool_names": np.array(["Hook", "Saw"])},
            "tool_names lack Grasper",
        ),
        ({"phase_names": np.array(["preparation"] * 7)}, "are not the phases of cholecystectomy"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_their_reason(
    bundle: Path, tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    networks = open_tiny(bundle)
    np.savez(tmp_path / "wrong.npz", **arrays)
    source = LabelledSource(outputs=(tmp_path / "wrong.npz",))
    with pytest.raises(UnusableCall, match=message):
        read_labelled(source, networks.procedure, networks.model)


def test_a_call_that_names_nothing_or_too_much_is_unusable(
    bundle: Path, logits: Path, tmp_path: Path
) -> None:
    (tmp_path / "no.npz").write_bytes(b"no npz")
    for options in (
        (),
        ("--frames", tmp_path),
        ("--logits", logits, "--frames", tmp_path),
        ("--logits", tmp_path / "no.npz"),
        ("--logits", logits, "--procedure", "hernia"),
    ):
        done = judged(*options, "--models", bundle)
        assert done.returncode == 2
        assert done.stderr.startswith("vesalius: ")
        assert done.stdout == ""
