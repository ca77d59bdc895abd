"""A bundle from outside is tried in a process of its own, under limits."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from pipeline.errors import BundleRejected
from pipeline.infer import trial
from pipeline.infer.bundle import load_bundle, write_file_list
from pipeline.infer.trial import try_bundle


def holding(folder: Path, nodes: list[onnx.NodeProto], *initializers: onnx.TensorProto) -> Path:
    """Give a bundle another network, and list it."""
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [], [output], list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (folder / "models" / "locator.onnx").write_bytes(model.SerializeToString())
    write_file_list(folder)
    return folder


def test_a_sound_bundle_passes(sound_bundle: Path) -> None:
    try_bundle(sound_bundle)


def test_what_the_check_refuses_is_told_in_its_words(folder: Path) -> None:
    (folder / "LICENSE").write_text("another")
    with pytest.raises(BundleRejected, match="LICENSE: altered"):
        try_bundle(folder)
    with pytest.raises(BundleRejected, match="no such folder"):
        try_bundle(folder / "none")


def test_what_the_runtime_cannot_open_is_refused(folder: Path) -> None:
    holding(folder, [helper.make_node("NoSuchOperator", [], ["y"])])
    load_bundle(folder)
    with pytest.raises(BundleRejected, match=r"locator\.onnx: ONNX Runtime cannot run it"):
        try_bundle(folder)


def test_metadata_that_are_too_large_are_refused(folder: Path) -> None:
    metadata = folder / "configs" / "metadata.json"
    document = json.loads(metadata.read_text())
    document["description"] = "x" * (2**24 + 1)
    metadata.write_text(json.dumps(document))
    write_file_list(folder)
    with pytest.raises(BundleRejected, match="more than 16777216 bytes"):
        try_bundle(folder)


def test_a_file_that_takes_too_long_to_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten million fields without content.
    network = folder / "models" / "locator.onnx"
    network.write_bytes(network.read_bytes() + bytes([15 << 3 | 2, 0]) * 10_000_000)
    write_file_list(folder)
    monkeypatch.setattr(trial, "LONGEST_S", 2)
    with pytest.raises(BundleRejected, match=r"cannot be opened within .* and 2 s"):
        try_bundle(folder)


def test_a_bundle_that_takes_too_much_memory_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Five million fields without content, of which a parser makes objects.
    network = folder / "models" / "locator.onnx"
    network.write_bytes(network.read_bytes() + bytes([15 << 3 | 2, 0]) * 5_000_000)
    write_file_list(folder)
    monkeypatch.setattr(trial, "MEMORY_BYTES", 200 * 2**20)
    with pytest.raises(BundleRejected, match="cannot be opened within 200 MiB"):
        try_bundle(folder)
