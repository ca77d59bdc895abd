"""Networks of fixed shapes keep their memory from run to run, and a job's end gives it back."""

import gc
from pathlib import Path

import numpy as np
import onnx
import psutil  # type: ignore[import-untyped]
import pytest
from onnx import TensorProto, helper

from pipeline.identity import digest_file
from pipeline.infer.arena import NOTHING
from pipeline.infer.bundle import Member
from pipeline.infer.session import open_network
from pipeline.infer.terms import Contract
from pipeline.memory import give_back

MIB = 1 << 20
SIDE = 4096
"""A tensor of this side takes 64 MiB."""


def written(place: Path, shape: list[int | str]) -> Member:
    """Write a network that holds a tensor as large as its input while it runs, and gives a sum."""
    nodes = [
        helper.make_node("Exp", ["x"], ["large"]),
        helper.make_node("ReduceSum", ["large", "axes"], ["y"], keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 1])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = place / "network.onnx"
    onnx.save(model, path)
    return Member(name="network", path=path, sha256=digest_file(path))


def resident_mib() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / MIB


def test_the_file_that_computes_nothing_is_what_onnx_writes() -> None:
    number = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    same = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [number], [same])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    assert model.SerializeToString(deterministic=True) == NOTHING


@pytest.mark.parametrize(
    ("shape", "kept_mib"), [(["batch", SIDE * SIDE], 64), (["batch", "length"], 0)]
)
def test_what_is_kept_is_that_of_fixed_lengths_and_is_given_back(
    shape: list[int | str], kept_mib: int, tmp_path: Path
) -> None:
    lengths = tuple(length if isinstance(length, int) else None for length in shape)
    contract = Contract(
        input_name="x", input_shape=lengths, output_name="y", output_shape=(None, 1)
    )
    network = open_network(written(tmp_path, shape), contract, threads=1)
    array = np.zeros((1, SIDE * SIDE), np.float32)
    give_back()
    before = resident_mib()
    assert network(array) == pytest.approx(SIDE * SIDE)
    assert resident_mib() - before == pytest.approx(kept_mib, abs=16)
    give_back()
    assert resident_mib() - before == pytest.approx(0, abs=16)
