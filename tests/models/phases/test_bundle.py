"""The bundle that ships: whole, small, described, and as good as its card says."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.phases.train import TEST
from pipeline.analyses.phases.networks import PhaseNetworks, open_phases
from pipeline.analyses.phases.stepper import PhaseStepper
from pipeline.evaluatephases import OURS, evaluate_phases
from pipeline.imaging.timedframe import TimedFrame
from pipeline.infer.bundle import Bundle, find_bundle, load_bundle
from pipeline.labelledphases import LabelledSource, read_labelled
from tests.support.phases import tissue
from tests.support.realdata import real_data


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(find_bundle("phases"))


@pytest.fixture(scope="module")
def networks(bundle: Bundle) -> PhaseNetworks:
    return open_phases(bundle, "cholecystectomy")


def test_the_bundle_is_whole_small_and_described(bundle: Bundle) -> None:
    files = [path for path in bundle.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6_000_000
    assert [m.name for m in bundle.networks] == ["encoder", "head", "temporal"]
    card = (bundle.folder / "docs" / "README.md").read_text()
    for heading in ("## Data", "## Training", "## Figures", "## Limits"):
        assert heading in card
    assert (bundle.folder / "docs" / "temporal_curve.csv").exists()
    assert "CC BY-NC-SA 4.0" in (bundle.folder / "LICENSE").read_text()


def test_its_card_and_metadata_are_those_of_the_sources(bundle: Bundle) -> None:
    sources = bundle.folder.parent
    assert (bundle.folder / "docs" / "README.md").read_text() == (sources / "CARD.md").read_text()
    assert (bundle.folder / "LICENSE").read_text() == (sources / "WEIGHTS-LICENSE").read_text()
    assert f'"version": "{bundle.version}"' in (sources / "metadata.json").read_text()


def test_both_procedures_are_known(bundle: Bundle, networks: PhaseNetworks) -> None:
    bypass = open_phases(bundle, "gastric_bypass")
    assert networks.counts.n_operations == 71 - len(TEST)
    assert bypass.counts.n_operations == 140
    assert bypass.temporal is None
    assert networks.temporal is not None


def test_a_live_step_goes_on_from_a_small_state(networks: PhaseNetworks) -> None:
    stepper = PhaseStepper(networks)
    for second in range(3):
        (step,) = stepper.push(TimedFrame(t_seconds=float(second), rgb=tissue(second)))
    assert step.phase in networks.procedure.names
    assert step.anticipation.learned
    other = PhaseStepper(networks)
    other.restore(stepper.state())
    frame = TimedFrame(t_seconds=3.0, rgb=tissue(3))
    ((one,), (again,)) = stepper.push(frame), other.push(frame)
    assert one.filtered.tobytes() == again.filtered.tobytes()
    assert len(stepper.state()) < 10_000


def test_real_frame_wise_outputs_give_the_figures_of_the_card(networks: PhaseNetworks) -> None:
    path = real_data("surgical", "cholec80_frame_logits_1fps.npz")
    source = LabelledSource(outputs=(path,))
    found = evaluate_phases(
        read_labelled(source, networks.procedure, networks.model), networks
    ).summary
    ours, hmm, argmax = found[OURS], found["hmm"], found["argmax"]
    assert ours.accuracy > 90
    assert ours.edit > 75
    for name in ("jaccard", "edit", "f1_10", "f1_25", "f1_50"):
        assert getattr(ours, name) > max(getattr(hmm, name), getattr(argmax, name))
    assert ours.accuracy > max(hmm.accuracy, argmax.accuracy)
    assert abs(ours.over_segmentation - 1) < abs(hmm.over_segmentation - 1)
    assert ours.next_phase_accuracy[0] > found["prior"].next_phase_accuracy[0]


def test_the_confusion_matrix_of_the_head_holds_all_frames(bundle: Bundle) -> None:
    told = json.loads((bundle.folder / "docs" / "head_leave_one_out.json").read_text())
    assert np.sum(told["confusion"]) == 848
    assert set(told["accuracy_percent"]) == {"68", "70", "74"}
    assert Path(bundle.folder / "docs" / "head_leave_one_out.png").stat().st_size > 10_000
