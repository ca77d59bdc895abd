"""Labels, drawn outputs, the joint loss, and runs that go on where they were stopped."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from models.phases import train
from models.phases.counting import tool_sets, tool_table
from models.phases.frames import LabelledFeatures, view_of
from models.phases.head import best_temperature, fit_head, leave_one_out, report
from models.phases.labels import read_bypass, read_cholec80
from models.phases.network import TemporalNetwork
from models.phases.simulate import (
    bursts,
    simulated_log_probabilities,
    simulated_tools,
    warp,
)
from models.phases.train import TEST, Recipe, Samples, joint_loss, operations_of
from pipeline.analyses.phases.ontology import load_procedure
from pipeline.analyses.phases.runs import runs_of
from tests.support.phases import operations, tissue
from tests.support.realdata import real_data


def test_warping_keeps_the_order_of_phases() -> None:
    original = operations()[0]
    lengths = set()
    for seed in range(8):
        warped = warp(original, np.random.default_rng(seed))
        assert [r.value for r in runs_of(warped.phase)] == list(range(7))
        assert len(warped.tools) == warped.phase.size
        lengths.add(warped.phase.size)
    assert len(lengths) > 4


def test_drawn_outputs_are_probabilities_of_every_degree_of_accuracy() -> None:
    original = operations()[1]
    table = tool_table([original.phase], [original.tools], 7)
    shares, sure = [], []
    for seed in range(40):
        found = simulated_log_probabilities(
            original, table, np.full(7, 1 / 7), np.random.default_rng(seed)
        )
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-9)
        shares.append(np.mean(found.argmax(axis=1) == original.phase))
        sure.append(np.exp(found).max(axis=1).mean())
    assert 0.55 < np.mean(shares) < 0.95
    assert np.ptp(shares) > 0.3
    assert min(sure) < 0.7 < 0.9 < max(sure)


def test_the_same_seed_draws_the_same_outputs() -> None:
    original = operations()[1]
    table = tool_table([original.phase], [original.tools], 7)
    one, other = (
        simulated_log_probabilities(original, table, np.full(7, 1 / 7), np.random.default_rng(3))
        for _ in range(2)
    )
    assert one.tobytes() == other.tobytes()


def test_stretches_lie_apart_and_inside() -> None:
    found = list(bursts(500, 0.05, 8.0, np.random.default_rng(2)))
    assert len(found) > 5
    assert all(a.stop < b.start for a, b in pairwise(found))
    assert all(0 < s.start < s.stop <= 500 for s in found)


def test_tools_are_missed_and_mistaken_and_the_labels_left_alone() -> None:
    tools = operations()[0].tools
    before = tools.copy()
    found = [simulated_tools(tools, np.random.default_rng(seed)) for seed in range(5)]
    assert any((f != tools).any() for f in found)
    assert all(((f == 0) | (f == 1)).all() for f in found)
    assert (tools == before).all()


def test_the_row_of_a_set_of_tools_is_its_binary_number() -> None:
    tools = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 1]], dtype=np.float32)
    assert tool_sets(tools).tolist() == [0, 1, 6]
    table = tool_table([np.array([0, 1, 1])], [tools], 2)
    assert table.shape == (8, 2)
    assert table[6].tolist() == [0.25, 0.75]
    assert table[7].tolist() == [0.5, 0.5]


def test_every_kind_of_input_is_drawn() -> None:
    samples = Samples(operations())
    flags = set()
    for seed in range(60):
        sample = samples.training(np.random.default_rng(seed))
        rows = sample.observations[:, [7, -1]]
        flags |= {(bool(p), bool(t)) for p, t in np.unique(rows, axis=0)}
        assert (sample.observations[rows[:, 0] == 0, :7] == 0).all()
        assert (sample.observations[rows[:, 1] == 0, 8:] == 0).all()
    assert flags == {(True, False), (False, True), (True, True), (False, False)}


def test_targets_tell_what_comes_and_when() -> None:
    sample = Samples(operations()).from_pictures(0, np.random.default_rng(0))
    assert sample.following[0].tolist() == [1, 2, 3, 4]
    assert sample.durations[0].tolist() == [60, 30, 50, 20]
    assert sample.rests[0].tolist() == [20, 220]
    assert sample.rests[19].tolist() == [1, 201]
    assert sample.following[-1].tolist() == [7, 7, 7, 7]
    assert sample.durations[-1].tolist() == [0, 0, 0, 0]


def test_the_loss_reaches_every_weight() -> None:
    torch.manual_seed(0)
    network = TemporalNetwork(7, 7)
    joint_loss(network, Samples(operations()).training(np.random.default_rng(1))).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_a_stopped_run_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "EVERY", 2)
    monkeypatch.setattr(train, "N_VALIDATION", 1)

    def recipe(steps: int) -> Recipe:
        return Recipe(fold="shipped", seed=4, steps=steps, learning_rate=1e-3)

    whole = train.train(recipe(4), operations(), tmp_path / "whole")
    # Stopped after two steps of four: the schedule of the rate is that of four.
    monkeypatch.setattr(train, "rate_share", lambda step, _: train_share(step, 4))
    train.train(recipe(2), operations(), tmp_path / "parts")
    part = train.train(recipe(4), operations(), tmp_path / "parts")
    one, other = (torch.load(p, weights_only=True)["mean"] for p in (whole, part))
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name
    curve = part.with_suffix(".csv").read_text().splitlines()
    assert curve[0] == "step,loss,input_accuracy,accuracy,edit,next_accuracy"
    assert [line.split(",")[0] for line in curve[1:]] == ["2", "4"]


train_share = train.rate_share


def test_no_test_operation_is_learnt_from() -> None:
    labelled, tools = read_cholec80(real_data("surgical", "cholec80_labels_1fps.npz"))
    assert len(labelled) == 71
    assert tools[2] == "Hook"
    shipped = {o.name for o in operations_of("shipped", labelled)}
    assert len(shipped) == 66
    assert not shipped & set(TEST)
    assert {o.name for o in operations_of("tools", labelled)} == {
        f"video{n:02d}" for n in range(1, 41)
    }


def test_overlays_of_bypass_labels_do_not_cut_phases(tmp_path: Path) -> None:
    phases = [
        {"start": 500, "end": 30_200, "label_name": "preparation"},
        {"start": 10_000, "end": 20_000, "label_name": "out_of_body"},
        {"start": 12_000, "end": 40_000, "label_name": "severe_index"},
        {"start": 32_000, "end": 60_000, "label_name": "gastric_pouch_creation"},
    ]
    (tmp_path / "BBP01.mp4.json").write_text(json.dumps({"phases": phases}))
    (operation,) = read_bypass(tmp_path)
    assert operation.name == "BBP01"
    assert [(r.value, r.start, r.end) for r in runs_of(operation.phase)] == [
        (0, 0, 32),
        (1, 32, 60),
    ]


def test_all_bypass_operations_are_read() -> None:
    found = read_bypass(real_data("surgical", "gastric_bypass_labels"))
    assert len(found) == 140
    assert {int(c) for o in found for c in np.unique(o.phase)} == set(range(12))


def test_views_of_a_frame_differ_and_have_the_encoders_size() -> None:
    views = [view_of(tissue(1), np.random.default_rng(seed)) for seed in range(4)]
    assert {v.shape for v in views} == {(224, 224, 3)}
    means = np.array([v.mean(axis=(0, 1)) for v in views])
    assert np.ptp(means, axis=0).min() > 5


@pytest.fixture
def separable() -> LabelledFeatures:
    """Return features of three videos in which two phases lie apart."""
    rng = np.random.default_rng(0)
    phase = np.tile([0, 1], 60)
    video = np.repeat([1, 2, 3], 40)
    features = rng.normal(0, 1, (2, 120, 1280)).astype(np.float32)
    features[:, :, :64] += (2 * phase - 1)[:, None]
    return LabelledFeatures(features=features, phase=phase, video=video)


def test_a_head_is_judged_on_videos_that_it_has_not_seen(separable: LabelledFeatures) -> None:
    held_out = leave_one_out(separable, 7)
    temperature = best_temperature(held_out)
    told = report(held_out, temperature, load_procedure("cholecystectomy"))
    assert set(told["accuracy_percent"]) == {"1", "2", "3"}  # type: ignore[call-overload]
    assert np.sum(told["confusion"]) == 120
    assert np.mean(list(told["accuracy_percent"].values())) > 90  # type: ignore[attr-defined]
    mislabelled = LabelledFeatures(
        features=separable.features,
        phase=np.where(separable.video == 3, 1 - separable.phase, separable.phase),
        video=separable.video,
    )
    logits = leave_one_out(mislabelled, 7).logits
    assert np.mean(logits[:, :2].argmax(axis=1)[separable.video == 3] == separable.phase[80:]) > 0.9


def test_a_head_works_on_features_as_they_come(separable: LabelledFeatures) -> None:
    head = fit_head(separable, 7, np.ones(120, dtype=bool))
    with torch.no_grad():
        found = head(torch.from_numpy(separable.features[0])).argmax(dim=1).numpy()
    assert np.mean(found == separable.phase) > 0.95
