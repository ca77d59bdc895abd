"""What an instance says it is: as pydicom reads it, and nothing else raised than is said."""

import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UnreadableFile
from pipeline.receive.glance import DEEPEST, FAR_ENOUGH, Identity, TooShort, glance
from tests.support.encoded import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    MR,
    Element,
    Item,
    encoded,
    identity,
    instance,
    read_by_pydicom,
    uid,
    uids_of,
)

SYNTAXES = (EXPLICIT, IMPLICIT, BIG, DEFLATED)

VALUES = {
    0x00080008: "CS",
    0x00080020: "DA",
    0x00081030: "LO",
    0x00100010: "PN",
    0x00100020: "LO",
    0x0018002A: "SQ",
    0x00181030: "LO",
    0x00204000: "LT",
    0x00280010: "US",
}
"""Elements around the identity, of the standard's VR."""

SEQUENCES = (0x00081110, 0x00081115, 0x00081140, 0x00082112, 0x00101002, 0x0018002A, 0x00400275)

PRIVATE = (0x00091001, 0x00091002, 0x00131010, 0x00191008, 0x00191029, 0x00211001)

UIDS = st.from_regex(r"\A[12](\.(0|[1-9][0-9]{0,9})){2,4}\Z")


def even(text: bytes) -> bytes:
    return text + b" " * (len(text) % 2)


BYTES = st.binary(max_size=40).map(even)
LETTERS = st.text("ABC abc^=", max_size=20).map(lambda text: even(text.encode()))
FLAGS = st.booleans()


def fields(children: st.SearchStrategy[list[Element]]) -> st.SearchStrategy[list[Element]]:
    """Return elements in the order of their tags, the sequences with others within."""
    items = st.lists(st.builds(Item, children, FLAGS), max_size=3)
    plain = [
        st.builds(Element, st.just(tag), st.just(kind), LETTERS)
        for tag, kind in VALUES.items()
        if kind not in ("SQ", "US")
    ]
    private = st.builds(Element, st.sampled_from(PRIVATE), st.sampled_from(("OB", "UN")), BYTES)
    sequences = st.builds(Element, st.sampled_from(SEQUENCES), st.just("SQ"), items, FLAGS)
    unknown = st.builds(
        Element, st.sampled_from(PRIVATE), st.just("UN"), items, st.just(value=False)
    )
    lists = st.lists(st.one_of(*plain, private, sequences, unknown), max_size=5)
    return lists.map(in_order)


def in_order(elements: list[Element]) -> list[Element]:
    """Return elements in the order of their tags, each tag once, all of private creators."""
    once = {element.tag: element for element in elements}
    for group in {tag >> 16 for tag in once if (tag >> 16) % 2}:
        once[group << 16 | 0x10] = Element(group << 16 | 0x10, "LO", b"TEST")
    return [once[tag] for tag in sorted(once)]


TREES = st.recursive(st.just([]), fields, max_leaves=8)


@st.composite
def told(draw: st.DrawFn) -> tuple[list[Element], str]:
    """Return an instance and a transfer syntax."""
    syntax = draw(st.sampled_from(SYNTAXES))
    ours = [uid(tag, draw(UIDS)) for tag in (0x00080016, 0x00080018, 0x0020000D, 0x0020000E)]
    return in_order([*draw(fields(TREES)), *ours]), syntax


@given(told())
@settings(max_examples=200, deadline=None)
def test_the_uids_are_those_that_pydicom_reads(case: tuple[list[Element], str]) -> None:
    elements, syntax = case
    data = encoded(elements, syntax)
    found = glance(data, syntax)
    expected = uids_of(read_by_pydicom(data, syntax))
    assert expected == (
        found.sop_class_uid,
        found.sop_instance_uid,
        found.study_instance_uid,
        found.series_instance_uid,
    )


@given(told())
@settings(max_examples=60, deadline=None)
def test_a_data_set_that_ends_early_is_too_short_or_unreadable(
    case: tuple[list[Element], str],
) -> None:
    elements, syntax = case
    elements = [element for element in elements if element.tag <= 0x0020000E]
    data = encoded(elements, syntax)
    whole = glance(data, syntax)
    for end in range(len(data)):
        try:
            found = glance(data[:end], syntax)
        except UnreadableFile:
            continue
        # The end of what is deflated comes before the end of its last byte.
        assert syntax == DEFLATED
        assert found == whole


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_what_is_cut_off_is_too_short_at_every_byte(syntax: str) -> None:
    data = instance(1, syntax=syntax)
    series_end = data.index(b"2.25.3000001") + 12
    for end in range(series_end):
        with pytest.raises(TooShort):
            glance(data[:end], syntax)
    assert glance(data[:series_end], syntax).series_instance_uid == "2.25.3000001"


@given(st.binary(max_size=300), st.sampled_from(SYNTAXES))
@settings(max_examples=1000, deadline=None)
def test_anything_else_is_unreadable(data: bytes, syntax: str) -> None:
    with pytest.raises(UnreadableFile):
        glance(data, syntax)


@given(told(), st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_byte_raises_nothing_else(
    case: tuple[list[Element], str], data: st.DataObject
) -> None:
    elements, syntax = case
    content = bytearray(encoded(elements, syntax))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = glance(bytes(content), syntax)
    except UnreadableFile:
        return
    assert isinstance(found, Identity)


def nested(depth: int, syntax: str, kind: str) -> bytes:
    """Return a data set whose sequences are nested so deep."""
    inner: list[Element] = []
    for _ in range(depth):
        inner = [Element(0x00081140, kind, [Item(inner, is_defined=False)], is_defined=False)]
    return encoded(in_order([*identity(), *inner]), syntax)


@pytest.mark.parametrize("kind", ["SQ", "UN"])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_nesting_is_bounded(syntax: str, kind: str) -> None:
    assert glance(nested(DEEPEST, syntax, kind), syntax).sop_class_uid == MR
    with pytest.raises(UnreadableFile, match="more than 64 deep"):
        glance(nested(DEEPEST + 1, syntax, kind), syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize(
    "pattern",
    [bytes(8), b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff", b"\xfe\xff\x00\xe0\0\0\0\0", b"\xff" * 8],
)
def test_what_is_long_and_no_data_set_ends_quickly(pattern: bytes, syntax: str) -> None:
    began = time.monotonic()
    with pytest.raises(UnreadableFile):
        glance(pattern * (FAR_ENOUGH // len(pattern)), syntax)
    assert time.monotonic() - began < 2.0


def test_a_bomb_is_inflated_to_its_beginning_only() -> None:
    deflating = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(deflating.compress(bytes(1 << 20)) for _ in range(500)) + deflating.flush()
    began = time.monotonic()
    with pytest.raises(UnreadableFile):
        glance(bomb, DEFLATED)
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    "wrong", ["", "1..2", "1.2.", "a.b", "1.2 .3", "1" * 65, "../../etc", "1.2\n"]
)
@pytest.mark.parametrize("tag", [0x00080016, 0x00080018, 0x0020000D, 0x0020000E])
def test_a_uid_must_be_one(tag: int, wrong: str) -> None:
    elements = [uid(tag, wrong) if one.tag == tag else one for one in identity()]
    with pytest.raises(UnreadableFile, match="is no UID"):
        glance(encoded(elements, EXPLICIT), EXPLICIT)


@pytest.mark.parametrize("tag", [0x00080016, 0x00080018, 0x0020000D])
def test_a_uid_must_be_there(tag: int) -> None:
    elements = [one for one in identity() if one.tag != tag]
    with pytest.raises(UnreadableFile, match="is missing"):
        glance(encoded(elements, EXPLICIT), EXPLICIT)


def test_the_order_of_tags_is_kept() -> None:
    first, second, *rest = identity()
    with pytest.raises(UnreadableFile, match="order of their tags"):
        glance(encoded([second, first, *rest], EXPLICIT), EXPLICIT)
