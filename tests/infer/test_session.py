"""Sessions open what the bundle listed, where they were told to, and hold networks to contracts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from pipeline.errors import BundleRejected, ModelContractBroken, UnusableCall
from pipeline.identity import digest_file
from pipeline.infer.bundle import Member, load_bundle
from pipeline.infer.session import Network, check_contract, open_network, open_session
from pipeline.infer.terms import Contract

MEMBER = Contract(
    input_name="beats",
    input_shape=(None, 30, 64, 64),
    output_name="probabilities",
    output_shape=(None, 3, 64, 64),
)
LOCATOR = Contract(
    input_name="maps",
    input_shape=(1, 6, None, None),
    output_name="likelihood",
    output_shape=(1, 1, None, None),
)


@pytest.fixture
def member(sound_bundle: Path) -> Member:
    return load_bundle(sound_bundle).members[0]


def written(tmp_path: Path, operator: str, shape: list[int | str]) -> Member:
    """Write a network of one operator from ``x`` to ``y``."""
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(operator, ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    path = tmp_path / "network.onnx"
    onnx.save(model, path)
    return Member(name="network", path=path, sha256=digest_file(path))


def plain(*shape: int | None) -> Contract:
    return Contract(input_name="x", input_shape=shape, output_name="y", output_shape=shape)


@pytest.mark.parametrize("batch", [1, 5])
def test_probabilities_sum_to_one_for_any_batch(member: Member, batch: int) -> None:
    network = open_network(member, MEMBER, threads=1)
    beats = np.random.default_rng(0).random((batch, 30, 64, 64), dtype=np.float32)
    found = network(beats)
    assert found.shape == (batch, 3, 64, 64)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)


def test_a_patch_gives_the_same_bytes_alone_and_in_a_batch(member: Member) -> None:
    network = open_network(member, MEMBER, threads=2)
    beats = np.random.default_rng(1).random((7, 30, 64, 64), dtype=np.float32)
    alone = np.concatenate([network(b[None]) for b in beats])
    assert alone.tobytes() == network(beats).tobytes()


def test_one_and_two_threads_give_the_same_bytes(member: Member) -> None:
    beats = np.random.default_rng(2).random((4, 30, 64, 64), dtype=np.float32)
    one, two = (open_network(member, MEMBER, threads=n)(beats) for n in (1, 2))
    assert one.tobytes() == two.tobytes()


def test_the_locator_takes_any_field_of_view(sound_bundle: Path) -> None:
    locator = open_network(load_bundle(sound_bundle).network("locator"), LOCATOR, threads=1)
    for height, width in ((40, 64), (72, 48)):
        assert locator(np.zeros((1, 6, height, width), np.float32)).shape == (1, 1, height, width)


def test_a_file_that_changed_after_loading_is_refused(folder: Path) -> None:
    member = load_bundle(folder).members[0]
    member.path.write_bytes((folder / "models/member_2.onnx").read_bytes())
    with pytest.raises(BundleRejected, match="altered since"):
        open_session(member, threads=1)


def test_a_graph_that_the_runtime_cannot_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRejected, match="cannot run it"):
        open_session(written(tmp_path, "NoSuchOperator", [1, 2]), threads=1)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(BundleRejected, match="cannot run it"):
        open_session(Member(name="n", path=path, sha256=digest_file(path)), threads=1)


@pytest.mark.parametrize("providers", [("CUDAExecutionProvider",), ("NoSuchProvider",), ()])
def test_a_missing_provider_is_refused_and_not_replaced(
    member: Member, providers: tuple[str, ...]
) -> None:
    with pytest.raises(UnusableCall, match=r"available: .*CPUExecutionProvider"):
        open_session(member, threads=1, providers=providers)


@pytest.mark.parametrize(
    "other",
    [
        {"input_name": "image"},
        {"output_name": "logits"},
        {"input_shape": (None, 25, 64, 64)},
        {"input_shape": (1, 30, 64, 64)},
        {"input_shape": (None, 30, 64)},
        {"output_shape": (None, 2, 64, 64)},
        {"output_shape": (None, 3, None, 64)},
    ],
)
def test_another_contract_is_refused(member: Member, other: dict[str, object]) -> None:
    with pytest.raises(ModelContractBroken, match=r"member_1: (in|out)put"):
        open_network(member, replace(MEMBER, **other), threads=1)  # type: ignore[arg-type]


def test_a_batch_that_was_frozen_at_export_is_refused(tmp_path: Path) -> None:
    session = open_session(written(tmp_path, "Relu", [1, 4]), threads=1)
    check_contract(session, plain(1, 4), name="network")
    with pytest.raises(ModelContractBroken):
        check_contract(session, plain(None, 4), name="network")


def test_an_output_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    network = open_network(written(tmp_path, "Log", ["batch", 2]), plain(None, 2), threads=1)
    assert np.isfinite(network(np.ones((3, 2), np.float32))).all()
    with pytest.raises(ModelContractBroken, match="not finite"):
        network(-np.ones((3, 2), np.float32))


def test_an_output_of_another_shape_than_declared_is_refused(tmp_path: Path) -> None:
    opened = open_network(written(tmp_path, "Relu", ["a", "b"]), plain(None, None), threads=1)
    lying = Network(name="network", session=opened.session, contract=plain(None, 2))
    with pytest.raises(ModelContractBroken, match=r"output float32 \(3, 4\)"):
        lying(np.ones((3, 4), np.float32))
