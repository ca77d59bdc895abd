"""Large kernels by Fourier transforms give what the graph gives, and what torch gives."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper

from models.reconstruction.disco import Disco
from models.reconstruction.graph import write_operator
from pipeline.analyses.reconstruction import discfourier
from pipeline.analyses.reconstruction.basis import disc_basis
from pipeline.analyses.reconstruction.discfourier import (
    LEAST_POINTS,
    DiscFunctions,
    DiscGraph,
    Part,
    convolved,
    run_steps,
)
from pipeline.analyses.reconstruction.discgraph import steps_of
from pipeline.analyses.reconstruction.networks import UnrolledNetworks, open_networks
from pipeline.errors import Interrupted, ModelContractBroken
from pipeline.infer.bundle import load_bundle
from pipeline.infer.interrupt import Interrupt, Reason, interruptible
from pipeline.infer.onnxnodes import read_nodes
from pipeline.infer.terms import Compute
from tests.support.reconstruction import tiny_network, write_tiny_reconstruction

SHAPES = [(37, 52), (6, 40)]
"""The second is smaller than the largest kernels."""

RADII = [(1.5, 1.5), (3.2, 3.2), (6.4, 6.4), (3.1, 5.2), (9.3, 2.2)]


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> UnrolledNetworks:
    folder = write_tiny_reconstruction(tmp_path_factory.mktemp("tiny") / "bundle", head=0.3)
    return open_networks(load_bundle(folder), "operator", Compute(threads=2))


def planes(rows: int, columns: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((1, 3, rows, columns), dtype=np.float32)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("radii", RADII, ids=str)
def test_a_convolution_is_that_of_torch_also_at_the_edges(
    radii: tuple[float, float], shape: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    layer, basis = Disco(5, 4), disc_basis(*radii)
    image = planes(*shape)[0, :1] * np.arange(1, 6, dtype=np.float32)[:, None, None]
    with torch.no_grad():
        tensor = layer(torch.from_numpy(image[None]), torch.from_numpy(basis.copy()))
        expected = torch.nn.functional.leaky_relu(tensor, 0.2)[0].numpy()
    weights = layer.weight.detach().numpy()
    with ThreadPoolExecutor(2) as executor:
        found = convolved((Part(channels=image),), weights, DiscFunctions(basis), 0.2, executor)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(64, 80), (48, 112)], ids=str)
def test_the_steps_give_what_the_graph_gives(
    networks: UnrolledNetworks, shape: tuple[int, int]
) -> None:
    basis = disc_basis(5.4, 4.2)
    for operator in networks.cascades:
        assert isinstance(operator, DiscGraph)
        expected = operator.graph(planes(*shape), basis)
        found = operator(planes(*shape), basis)
        assert found.shape == expected.shape
        assert not np.array_equal(found, expected)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_pieces_do_not_depend_on_threads(
    networks: UnrolledNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discfourier, "CHANNELS", 3)
    monkeypatch.setattr(discfourier, "CACHED", 2000)
    operator, basis = networks.cascades[0], disc_basis(3.3, 3.3)
    assert isinstance(operator, DiscGraph)
    one, three = (run_steps(operator.steps, planes(64, 48), basis, n) for n in (1, 3))
    assert one.tobytes() == three.tobytes()
    expected = operator.graph(planes(64, 48), basis)
    np.testing.assert_allclose(one, expected, atol=1e-5 * np.abs(expected).max())


def test_small_kernels_and_batches_are_the_graphs_own(networks: UnrolledNetworks) -> None:
    operator = networks.cascades[0]
    assert isinstance(operator, DiscGraph)
    small, large = disc_basis(2.0, 2.0), disc_basis(3.2, 3.2)
    assert small[0].size < LEAST_POINTS <= large[0].size
    batch = np.concatenate((planes(32, 32), planes(32, 32)))
    for image, basis in ((planes(32, 32), small), (batch, large)):
        np.testing.assert_array_equal(operator(image, basis), operator.graph(image, basis))


def test_a_job_that_is_to_end_ends_between_steps(networks: UnrolledNetworks) -> None:
    interrupt = Interrupt()
    interrupt.stop(Reason.CANCELLED)
    operator = networks.cascades[0]
    assert isinstance(operator, DiscGraph)
    with interruptible(interrupt), pytest.raises(Interrupted):
        run_steps(operator.steps, planes(32, 32), disc_basis(3.2, 3.2), 1)


def test_what_is_not_finite_is_refused(networks: UnrolledNetworks) -> None:
    image = planes(32, 32)
    image[0, 0, 3, 3] = np.nan
    with pytest.raises(ModelContractBroken, match="not finite"):
        networks.cascades[0](image, disc_basis(3.2, 3.2))


def test_a_network_of_plain_convolutions_has_no_steps(tmp_path: Path) -> None:
    content = write_operator(tiny_network("varnet").cascades[0])
    assert steps_of(read_nodes(tmp_path, content)) is None


def _stride(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.output[0] == "down_0_first_sum")
    node.attribute.append(helper.make_attribute("strides", [1, 1]))


def _nearest(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Resize")
    next(a for a in node.attribute if a.name == "mode").s = b"nearest"


def _another(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("Tanh", ["before"], ["change"]))


def _pooled(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "AveragePool")
    node.input[0] = "nothing"


def _beside(model: onnx.ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Abs", ["basis"], ["unused"]))


@pytest.mark.parametrize("alter", [_stride, _nearest, _another, _pooled, _beside])
def test_a_graph_that_holds_anything_else_is_run_as_it_is(
    alter: Callable[[onnx.ModelProto], None], tmp_path: Path
) -> None:
    model = onnx.load_from_string(write_operator(tiny_network("operator").cascades[0]))
    assert steps_of(read_nodes(tmp_path, model.SerializeToString())) is not None
    alter(model)
    assert steps_of(read_nodes(tmp_path, model.SerializeToString())) is None
