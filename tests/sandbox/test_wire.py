"""What goes over the wire is what comes out; what was made up is refused."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pipeline.sandbox.wire import HEAD, BrokenMessage, name_of, packed, unpacked


class Side(Enum):
    LEFT = "left"


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    name: str
    values: tuple[object, ...]
    side: Side = Side.LEFT


KNOWN = {name_of(kind): kind for kind in (Held, Side)}

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=20,
)


def there_and_back(value: object) -> object:
    head, *buffers = packed(value)
    n_document, n_content = HEAD.unpack(bytes(head[: HEAD.size]))
    content = bytearray(b"".join(bytes(b) for b in buffers))
    assert len(content) == n_content
    assert len(head) == HEAD.size + n_document
    return unpacked(bytes(head[HEAD.size :]), content, KNOWN.__getitem__)


@given(plain)
def test_plain_values_come_out_as_they_went_in(value: object) -> None:
    assert there_and_back(value) == value
    assert type(there_and_back(value)) is type(value)


@given(name=st.text(), values=st.lists(plain, max_size=3))
def test_records_come_out_as_they_went_in(name: str, values: list[object]) -> None:
    held = Held(name=name, values=tuple(values))
    assert there_and_back(held) == held


@pytest.mark.parametrize("kind", ["<f4", "<c8", "|u1", "|b1", ">i2", "<i8"])
def test_arrays_come_out_as_they_went_in(kind: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    for one in (array, array[:, ::-1], array.T, array[:0], np.array(3, dtype=kind)):
        found = there_and_back(one)
        assert isinstance(found, np.ndarray)
        assert found.dtype == one.dtype
        np.testing.assert_array_equal(found, one)


def test_an_axis_that_repeats_takes_no_room() -> None:
    array = np.broadcast_to(np.arange(8.0), (1000, 1000, 8))
    assert sum(len(piece) for piece in packed(array)) < 1000
    found = there_and_back(array)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, array)
    assert found.strides[:2] == (0, 0)


def test_a_data_set_keeps_its_texts() -> None:
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName, header.RepetitionTime = "Ζωή^Ελένη", "2.50"
    found = there_and_back(header)
    assert found == header
    assert isinstance(found, Dataset)
    assert str(found.RepetitionTime) == "2.50"


def test_paths_are_paths() -> None:
    assert there_and_back(Path("a/b")) == Path("a/b")


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([None]), 1j])
def test_what_has_no_form_is_not_sent(value: object) -> None:
    with pytest.raises(TypeError, match="cannot go on the wire"):
        packed(value)


@pytest.mark.parametrize(
    "tree",
    [
        '{"~": "record", "name": "subprocess:Popen", "fields": {"args": "true"}}',
        '{"~": "enum", "name": "tests.sandbox.test_wire:Held", "value": 1}',
        '{"~": "record", "name": "tests.sandbox.test_wire:Side", "fields": {}}',
        '{"~": "record", "name": "tests.sandbox.test_wire:Held", "fields": {"other": 1}}',
        '{"~": "array", "type": "|O", "stored": [1], "shape": [1], "buffer": 0}',
        '{"~": "array", "type": "<f8", "stored": [9], "shape": [9], "buffer": 0}',
        '{"~": "array", "type": "|u1", "stored": [-8], "shape": [8], "buffer": 0}',
        '{"~": "array", "type": "|u1", "stored": [8], "shape": [7], "buffer": 0}',
        '{"~": "bytes", "buffer": 7}',
        '{"~": "else"}',
        '{"a": 1}',
        "[" * 100_000,
        "",
    ],
)
def test_what_was_made_up_is_refused(tree: str) -> None:
    document = f'{{"tree": {tree}, "sizes": [8]}}'.encode()
    with pytest.raises(BrokenMessage):
        unpacked(document, bytearray(8), KNOWN.__getitem__)


@pytest.mark.parametrize("sizes", ["[9]", "[-1]", "[4, 5]", '["a"]', "3"])
def test_bytes_that_have_not_come_are_refused(sizes: str) -> None:
    with pytest.raises(BrokenMessage):
        unpacked(f'{{"tree": null, "sizes": {sizes}}}'.encode(), bytearray(8), KNOWN.__getitem__)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(document: bytes) -> None:
    with pytest.raises(BrokenMessage):
        unpacked(document, bytearray(), KNOWN.__getitem__)
