"""ONNX files with foreign operators or data elsewhere are refused, wherever these hide."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from pipeline.errors import BundleRejected
from pipeline.infer.onnxfile import check_onnx
from tests.support.bundles import tiny_networks

FILE = Path("network.onnx")


def tensor(*, external: bool) -> TensorProto:
    made = numpy_helper.from_array(np.ones(3, np.float32), "w")
    if external:
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value="weights.bin")
        made.ClearField("raw_data")
    return made


def graph(nodes: list[onnx.NodeProto], **more: object) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    return helper.make_graph(nodes, "g", [], [output], **more)  # type: ignore[arg-type]


def constant(*, external: bool) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["y"], value=tensor(external=external))


def sparse(*, external: bool) -> onnx.SparseTensorProto:
    indices = numpy_helper.from_array(np.arange(3), "i")
    return helper.make_sparse_tensor(tensor(external=external), indices, [9])


def as_initializer(inner: onnx.TensorProto) -> onnx.ModelProto:
    return helper.make_model(
        graph([helper.make_node("Identity", ["w"], ["y"])], initializer=[inner])
    )


def in_a_branch(node: onnx.NodeProto) -> onnx.ModelProto:
    deep = helper.make_node(
        "If", ["c"], ["y"], then_branch=graph([node]), else_branch=graph([node])
    )
    loop = helper.make_node("Loop", ["", "c"], ["y"], body=graph([deep]))
    return helper.make_model(graph([loop]))


def in_a_function(node: onnx.NodeProto) -> onnx.ModelProto:
    function = helper.make_function("", "F", [], ["y"], [node], [helper.make_opsetid("", 18)])
    return helper.make_model(graph([helper.make_node("F", [], ["y"])]), functions=[function])


EXTERNAL: dict[str, Callable[[bool], onnx.ModelProto]] = {
    "initializer": lambda e: as_initializer(tensor(external=e)),
    "constant": lambda e: helper.make_model(graph([constant(external=e)])),
    "branch": lambda e: in_a_branch(constant(external=e)),
    "function": lambda e: in_a_function(constant(external=e)),
    "sparse initializer": lambda e: helper.make_model(
        graph([], sparse_initializer=[sparse(external=e)])
    ),
    "sparse constant": lambda e: helper.make_model(
        graph([helper.make_node("Constant", [], ["y"], sparse_value=sparse(external=e))])
    ),
    "list of tensors": lambda e: helper.make_model(
        graph([helper.make_node("Identity", ["w"], ["y"], things=[tensor(external=e)])])
    ),
}


@pytest.mark.parametrize("place", sorted(EXTERNAL))
def test_data_in_another_file_are_refused_wherever_they_are_named(place: str) -> None:
    check_onnx(FILE, EXTERNAL[place](False).SerializeToString())
    with pytest.raises(BundleRejected, match="keeps its data in another file"):
        check_onnx(FILE, EXTERNAL[place](True).SerializeToString())


@pytest.mark.parametrize(
    "wrap", [lambda n: helper.make_model(graph([n])), in_a_branch, in_a_function]
)
@pytest.mark.parametrize("domain", ["com.microsoft", "ai.onnx.ml", "évil"])
def test_a_foreign_operator_is_refused_wherever_it_stands(
    wrap: Callable[[onnx.NodeProto], onnx.ModelProto], domain: str
) -> None:
    check_onnx(FILE, wrap(helper.make_node("Relu", ["w"], ["y"], domain="")).SerializeToString())
    foreign = helper.make_node("Relu", ["w"], ["y"], domain=domain)
    with pytest.raises(BundleRejected, match="foreign domain"):
        check_onnx(FILE, wrap(foreign).SerializeToString())


def test_a_location_that_only_looks_like_none_is_refused() -> None:
    # The number 2**32 + 1 is read as 1, external, by parsers that keep 32 bits of an enumeration.
    location = bytes([14 << 3, 0x81, 0x80, 0x80, 0x80, 0x10])
    initializer = bytes([5 << 3 | 2, len(location)]) + location
    model = bytes([7 << 3 | 2, len(initializer)]) + initializer
    with pytest.raises(BundleRejected, match="another file"):
        check_onnx(FILE, model)


def test_endless_nesting_is_refused_and_does_not_exhaust_the_stack() -> None:
    node = constant(external=False)
    for _ in range(30):
        node = helper.make_node("If", ["c"], ["y"], then_branch=graph([node]))
    with pytest.raises(BundleRejected, match="deep"):
        check_onnx(FILE, helper.make_model(graph([node])).SerializeToString())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04\x95", b"\xff" * 20, b"text\n"])
def test_what_is_no_onnx_file_is_refused(content: bytes) -> None:
    with pytest.raises(BundleRejected, match=r"network\.onnx: "):
        check_onnx(FILE, content)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.data())
def test_damage_is_refused_or_harmless_and_never_an_accident(data: st.DataObject) -> None:
    content = bytearray(tiny_networks()["locator"][:4000])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, 300))] = data.draw(st.integers(0, 255))
    try:
        check_onnx(FILE, bytes(content[: data.draw(st.integers(0, len(content)))]))
    except BundleRejected as refusal:
        assert str(refusal).startswith("network.onnx")  # noqa: PT017 - accepted is fine, too


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.binary(max_size=200))
def test_noise_is_refused_or_harmless_and_never_an_accident(content: bytes) -> None:
    try:
        check_onnx(FILE, content)
    except BundleRejected as refusal:
        assert str(refusal).startswith("network.onnx")  # noqa: PT017 - accepted is fine, too
