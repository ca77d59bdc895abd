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


@pytest.mark.parametrize("wrap", [lambda n: helper.make_model(graph([n])), in_a_branch])
@pytest.mark.parametrize("domain", ["com.microsoft", "ai.onnx.ml", "évil"])
def test_a_foreign_operator_is_refused_wherever_it_stands(
    wrap: Callable[[onnx.NodeProto], onnx.ModelProto], domain: str
) -> None:
    check_onnx(FILE, wrap(helper.make_node("Relu", ["w"], ["y"], domain="")).SerializeToString())
    foreign = helper.make_node("Relu", ["w"], ["y"], domain=domain)
    with pytest.raises(BundleRejected, match="foreign domain"):
        check_onnx(FILE, wrap(foreign).SerializeToString())


def test_operators_of_the_files_own_are_refused_even_by_a_standard_name() -> None:
    with pytest.raises(BundleRejected, match="operators of its own"):
        check_onnx(FILE, in_a_function(helper.make_node("Relu", ["w"], ["y"])).SerializeToString())


@pytest.mark.parametrize(
    ("versions", "reason"),
    [([6], "operator set 6, needed is 7"), ([18, 18], "2 versions"), ([0], "operator set 0")],
)
def test_operator_sets_that_nothing_is_promised_of_are_refused(
    versions: list[int], reason: str
) -> None:
    made = helper.make_model(graph([helper.make_node("Relu", ["w"], ["y"])]))
    del made.opset_import[:]
    made.opset_import.extend(helper.make_opsetid("", version) for version in versions)
    made.opset_import.append(helper.make_opsetid("any.other", 1))
    with pytest.raises(BundleRejected, match=reason):
        check_onnx(FILE, made.SerializeToString())


def claiming(name: str, shape: list[int], *, by: str) -> onnx.ModelProto:
    """Return a model in which a node makes a tensor of a shape that is a constant."""
    numbers = numpy_helper.from_array(np.array(shape, np.int64), "shape")
    inputs = ["shape"] if name == "ConstantOfShape" else ["x", "shape"]
    node = helper.make_node(name, inputs, ["y"])
    if by == "initializer":
        return helper.make_model(graph([node], initializer=[numbers]))
    if by == "constant":
        constant = helper.make_node("Constant", [], ["shape"], value=numbers)
        return helper.make_model(graph([constant, node]))
    constant = helper.make_node("Constant", [], ["shape"], value_ints=shape)
    branch = graph([helper.make_node("If", ["c"], ["y"], then_branch=graph([node]))])
    branch.node.append(constant)
    return helper.make_model(branch)


@pytest.mark.parametrize("by", ["initializer", "constant", "outside a branch"])
@pytest.mark.parametrize("name", ["ConstantOfShape", "Expand", "Tile"])
def test_a_few_bytes_that_stand_for_much_are_refused(name: str, by: str) -> None:
    check_onnx(FILE, claiming(name, [2**14, 2**14], by=by).SerializeToString())
    with pytest.raises(BundleRejected, match=f"{name} of shape .*a few bytes for much"):
        check_onnx(FILE, claiming(name, [2**14, 2**15], by=by).SerializeToString())


@pytest.mark.parametrize("name", ["RandomNormal", "RandomUniform"])
def test_a_huge_random_tensor_is_refused(name: str) -> None:
    def made(shape: list[int]) -> bytes:
        node = helper.make_node(name, [], ["y"], shape=shape)
        return bytes(helper.make_model(graph([node])).SerializeToString())

    check_onnx(FILE, made([4, 4]))
    with pytest.raises(BundleRejected, match="a few bytes for much"):
        check_onnx(FILE, made([2**40]))


def test_a_sparse_tensor_that_would_fill_the_memory_is_refused() -> None:
    indices = numpy_helper.from_array(np.arange(3), "i")
    wide = helper.make_sparse_tensor(tensor(external=False), indices, [2**40])
    with pytest.raises(BundleRejected, match="a sparse tensor of shape"):
        check_onnx(
            FILE, helper.make_model(graph([], sparse_initializer=[wide])).SerializeToString()
        )


@pytest.mark.parametrize("dims", [[2**40], [-1], [1] * 65])
def test_a_tensor_that_claims_more_than_it_holds_is_refused(dims: list[int]) -> None:
    inner = tensor(external=False)
    inner.dims[:] = dims
    with pytest.raises(BundleRejected, match=r"a tensor of shape|axes"):
        check_onnx(FILE, as_initializer(inner).SerializeToString())


@pytest.mark.parametrize(
    "values",
    [
        np.ones(3, np.float16),
        np.ones((2, 3), np.int8),
        np.zeros((0, 4), np.float32),
        np.array(["a", ""], object),
        np.float64(1),
        np.array([True, False]),
    ],
)
def test_tensors_of_all_kinds_are_taken(values: np.ndarray) -> None:
    check_onnx(
        FILE, as_initializer(numpy_helper.from_array(np.asarray(values), "w")).SerializeToString()
    )
    flat = np.asarray(values).ravel().tolist()
    kind = helper.np_dtype_to_tensor_dtype(np.asarray(values).dtype)
    typed = helper.make_tensor("w", kind, np.shape(values), flat)
    check_onnx(FILE, as_initializer(typed).SerializeToString())


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
