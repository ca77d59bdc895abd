"""Each graph is measured over itself in other ways, and another result ends the area."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from benchmarks import models, torchways
from benchmarks.daugs import OtherResult
from benchmarks.graphs import (
    APART,
    GRAPHS,
    apart,
    at_level,
    check_near,
    check_same,
    example,
    served,
)
from benchmarks.halfgraphs import KINDS, write_in
from benchmarks.models import LEVELS, measure
from benchmarks.row import Missing, Row, Terms
from benchmarks.torchreference import graph_of
from benchmarks.unrounded import EIGHT_BITS


def test_every_graph_is_measured_in_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchways, "processor_flags", lambda: frozenset({torchways.BFLOAT16}))
    found = list(measure(Terms(rounds=1, is_small=True, place=tmp_path)))
    eager = [r for r in found if isinstance(r, Row) and r.against.endswith("eager")]
    assert len(eager) == len(GRAPHS)
    single = [r for r in found if isinstance(r, Row) and "single precision" in r.against]
    assert len(single) == len(EIGHT_BITS)
    assert len(found) == len(GRAPHS) * (len(LEVELS) + 1 + 1 + len(KINDS)) + len(EIGHT_BITS)


def test_no_processor_imitates_bfloat16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchways, "processor_flags", frozenset)
    terms = Terms(rounds=1, is_small=True, place=tmp_path)
    (found,) = torchways.bfloat16_rows(terms)
    assert isinstance(found, Missing)
    assert torchways.BFLOAT16 in found.reason


def test_another_result_of_openvino_is_told_and_costs_no_other_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(
        _python: Path, _script: str, graph: Path, given: Path, output: Path, *_: int
    ) -> float:
        session = onnxruntime.InferenceSession(graph)
        found = session.run(None, dict(np.load(given)))[0]
        np.save(output, found + np.abs(found).max() * (graph.stem == "member_1"))
        return 0.001

    monkeypatch.setattr(models, "python_of", lambda _: Path("python"))
    monkeypatch.setattr(models, "ask", answer)
    found = list(models.openvino_rows(Terms(rounds=1, is_small=True, place=tmp_path)))
    assert len(found) == len(GRAPHS)
    (other,) = (one for one in found if isinstance(one, Missing))
    assert other.against.endswith("member_1")
    assert "from what is served" in other.reason


def test_what_does_not_compile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_compiler(_: object) -> object:
        def run(*_: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no C++ compiler\nat a place")

        return run

    monkeypatch.setattr(torch, "compile", without_compiler)
    found = list(torchways.compiled_rows(Terms(rounds=1, is_small=True, place=tmp_path)))
    assert [one.reason for one in found if isinstance(one, Missing)] == ["no C++ compiler"] * len(
        GRAPHS
    )


def test_a_graph_in_half_precision_takes_and_gives_what_it_did(tmp_path: Path) -> None:
    which = ("reconstruction", "varnet_cascade_1")
    write_in(KINDS["float16"], graph_of(*which), tmp_path / "half.onnx")
    level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    feed = example(which)
    half = at_level(tmp_path / "half.onnx", 1, level)(feed)
    assert apart(served(*which, 1)(feed), half) < APART


def test_another_result_is_noticed() -> None:
    values = np.ones((2, 2), np.float32)
    check_same("a graph", values, values * np.float32(1 + 1e-5))
    with pytest.raises(OtherResult, match="a graph"):
        check_same("a graph", values, values * np.float32(1.01))


def test_steps_of_eight_bits_may_differ_at_some_points_and_not_on_average() -> None:
    values = np.ones((100, 100), np.float32)
    other = values.copy()
    other[0, 0] = 0.5
    check_near("a graph", values, other)
    with pytest.raises(OtherResult, match="on average"):
        check_near("a graph", values, values * np.float32(1.02))
