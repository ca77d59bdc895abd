"""Networks of fixed shapes keep their memory from run to run, and a job's end gives it back."""

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from pipeline.identity import digest_file
from pipeline.infer.arena import NOTHING
from pipeline.infer.bundle import Member

SIDE = 4096
"""A tensor of this side takes 64 MiB."""

SCRIPT = """
import sys
from ast import literal_eval
from pathlib import Path
import numpy as np
import psutil
from pipeline.infer.bundle import Member
from pipeline.infer.session import open_network
from pipeline.infer.terms import Contract
from pipeline.memory import give_back

path, digest, lengths = sys.argv[1:]
contract = Contract(
    input_name="x", input_shape=literal_eval(lengths), output_name="y", output_shape=(None, 1)
)
network = open_network(Member(name="n", path=Path(path), sha256=digest), contract, threads=1)
array = np.zeros((1, 4096 * 4096), np.float32)
resident = [psutil.Process().memory_info().rss]
assert network(array) == 4096 * 4096
resident.append(psutil.Process().memory_info().rss)
give_back()
resident.append(psutil.Process().memory_info().rss)
print(*((after - resident[0]) >> 20 for after in resident[1:]))
"""
"""Prints what is resident more after a run, and after it was given back [MiB]."""


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
    member = written(tmp_path, shape)
    lengths = tuple(length if isinstance(length, int) else None for length in shape)
    call = [sys.executable, "-c", SCRIPT, str(member.path), member.sha256, repr(lengths)]
    ended = subprocess.run(call, capture_output=True, text=True, check=True)
    after_run, given_back = map(int, ended.stdout.split())
    assert after_run == pytest.approx(kept_mib, abs=16)
    assert given_back == pytest.approx(0, abs=16)
