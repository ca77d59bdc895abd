"""Files whose structure lies: preambles, cuts, lengths, nesting, order."""

import struct
from collections.abc import Iterator

from tests.nasty.case import (
    PIXEL_DATA,
    Case,
    Elements,
    Verdict,
    body,
    file_of,
    head,
    single,
    sound,
)
from tests.support.encoded import EXPLICIT, IMPLICIT, LONG, Element, Item

REFUSED, ACCEPTED = Verdict.REFUSED, Verdict.ACCEPTED

MAGICS = {
    "dos program": b"MZ\x90\0",
    "linux program": b"\x7fELF\x02\x01\x01",
    "mac program": b"\xcf\xfa\xed\xfe",
    "script": b"#!/bin/sh\ntouch harmed\n",
    "zip": b"PK\x03\x04",
    "pdf": b"%PDF-1.7\n",
    "tiff little": b"II*\0\x08\0\0\0",
    "tiff big": b"MM\0*",
    "gif": b"GIF89a",
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "gzip": b"\x1f\x8b\x08",
    "riff": b"RIFF\0\0\0\0AVI ",
    "html": b"<html><script>alert(1)</script>",
    "php": b"<?php system('id'); ?>",
    "java class": b"\xca\xfe\xba\xbe",
    "hdf5": b"\x89HDF\r\n\x1a\n",
    "pickle": b"\x80\x04\x95",
    "ones": b"\xff" * 128,
}
"""Beginnings that another program would take for its own."""

PICTURES = frozenset(
    {"tiff little", "tiff big", "gif", "png", "jpeg", "riff", "hdf5", "pickle", "ones"}
)
"""Those that nothing runs or opens by itself: they are let in, the others refused."""

DEPTHS = (10, 30, 33, 64, 100, 500, 1000, 5000)
DEEPEST_READ = 30


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _preambles()
    yield from _cuts()
    yield from _lengths()
    yield from _nesting()
    yield from _order()


def _preambles() -> Iterator[Case]:
    for name, magic in MAGICS.items():
        content = file_of(sound(f"preamble {name}"))
        verdict = ACCEPTED if name in PICTURES else REFUSED
        yield single("preambles", name, magic.ljust(128, b"\0")[:128] + content[128:], verdict)
    elements = sound("preamble others")
    content = file_of(elements)
    yield single("preambles", "none, meta first", content[132:], ACCEPTED)
    yield single("preambles", "none, no meta", body(sound("preamble bare")), ACCEPTED)
    bare = body(sound("preamble bare implicit"), IMPLICIT)
    yield single("preambles", "none, no meta, implicit", bare, ACCEPTED)
    for name, damaged in {
        "lower case prefix": content[:128] + b"dicm" + content[132:],
        "one byte less": content[1:],
        "one byte more": b"\0" + content,
        "twice": bytes(128) + b"DICM" + content,
        "prefix only": bytes(128) + b"DICM",
        "preamble only": bytes(128),
        "one byte": b"D",
        "empty": b"",
        "zeros": bytes(4096),
        "all ones": b"\xff" * 4096,
    }.items():
        yield single("preambles", name, damaged, REFUSED)


def _cuts() -> Iterator[Case]:
    """Cut a file at each element: before it, in its header, and in its value."""
    elements = sound("cuts")
    content, at = file_of(elements), len(head(elements))
    for tag in sorted(elements):
        length = len(body({tag: elements[tag]}))
        header = 12 if elements[tag].kind in LONG else 8
        for name, where in (("before", 0), ("in header", 5), ("in value", header + 1)):
            if where < length:
                yield single("cuts", f"{name} {tag:08x}", content[: at + where], REFUSED)
        at += length
    for where in (4, 100, 131, 132, 136, 140, 150, 180, 200):
        yield single("cuts", f"at byte {where}", content[:where], REFUSED)
    yield single("cuts", "last byte", content[:-1], REFUSED)


def _lengths() -> Iterator[Case]:
    """Write lengths that are not so into several elements."""
    for tag in (0x00080060, 0x00100010, 0x0020000D, 0x00200032, 0x00280010, 0x00280030):
        elements = sound(f"lengths {tag:08x}")
        content = file_of(elements)
        at = len(head(elements)) + len(body({t: e for t, e in elements.items() if t < tag}))
        for length in (0xFFFE, 0xFFFF, 0x7FFF):
            damaged = content[: at + 6] + struct.pack("<H", length) + content[at + 8 :]
            yield single("lengths", f"{tag:08x} claims {length:x}", damaged, REFUSED)
    for length in (0xFFFFFFFF, 0xFFFFFFFE, 0x80000000, 0x7FFFFFFE, 1 << 20, 2, 0):
        elements = sound(f"lengths of pixels {length}")
        content = file_of(elements)
        at = len(content) - len(elements[PIXEL_DATA].value) - 4
        damaged = content[:at] + struct.pack("<L", length) + content[at + 4 :]
        yield single("lengths", f"pixels claim {length:x}", damaged, REFUSED)
    for length in (0xFFFFFFFF, 0xFFFFFFF0, 0x10000000):
        unknown = Element(0x00091001, "UN", b"")
        elements = sound(f"lengths of unknown {length}") | {unknown.tag: unknown}
        content = file_of(elements)
        at = content.index(struct.pack("<HH2s", 9, 0x1001, b"UN")) + 8
        damaged = content[:at] + struct.pack("<L", length) + content[at + 4 :]
        yield single("lengths", f"unknown claims {length:x}", damaged, REFUSED)
    yield from _meta_lengths()
    yield from _item_lengths()


def _meta_lengths() -> Iterator[Case]:
    """Lie about the length of the meta information: the elements say themselves where it ends."""
    for length in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
        content = file_of(sound(f"meta length {length}"))
        damaged = content[:140] + struct.pack("<L", length) + content[144:]
        yield single("lengths", f"meta claims {length:x}", damaged, Verdict.ANY)
    elements = sound("meta value")
    content = file_of(elements)
    at = content.index(b"\x02\0\x10\0UI") + 6
    yield single(
        "lengths", "syntax claims ffff", content[:at] + b"\xff\xff" + content[at + 2 :], REFUSED
    )


def _item_lengths() -> Iterator[Case]:
    """Lie about the lengths of a sequence and of its items."""
    inner = Element(0x00081150, "UI", b"1.2\0")
    for name, kind, damage in (
        ("item claims more", "item", 0x7FFFFFF0),
        ("item claims one more", "item", 13),
        ("sequence claims more", "sequence", 0x7FFFFFF0),
        ("sequence claims less", "sequence", 9),
    ):
        elements = sound(f"items {name}")
        sequence = Element(0x00081140, "SQ", [Item([inner])])
        content = file_of(elements | {sequence.tag: sequence})
        at = content.index(struct.pack("<HH2s", 8, 0x1140, b"SQ")) + 8
        at += 8 if kind == "item" else 0
        damaged = content[:at] + struct.pack("<L", damage) + content[at + 4 :]
        yield single("lengths", name, damaged, REFUSED)
    endless = Element(0x00081140, "SQ", [Item([inner], is_defined=False)], is_defined=False)
    for name, end, cut in (
        ("item without end", b"\xfe\xff\x0d\xe0\0\0\0\0", 8),
        ("sequence without end", b"\xfe\xff\xdd\xe0\0\0\0\0", 8),
    ):
        content = file_of(sound(name) | {endless.tag: endless})
        at = content.index(end)
        yield single("lengths", name, content[:at] + content[at + cut :], REFUSED)


def _nesting() -> Iterator[Case]:
    for depth in DEPTHS:
        verdict = ACCEPTED if depth <= DEEPEST_READ else REFUSED
        for is_defined in (True, False):
            if is_defined and depth > 1000:
                continue
            name = f"{depth} {'defined' if is_defined else 'undefined'}"
            content = _nested(sound(f"nesting {name}"), depth, is_defined=is_defined)
            yield single("nesting", name, content, verdict)
        opening = _nested(sound(f"nesting {depth} open"), depth, is_defined=False, is_closed=False)
        yield single("nesting", f"{depth} never closed", opening, REFUSED)


def _nested(elements: Elements, depth: int, *, is_defined: bool, is_closed: bool = True) -> bytes:
    """Return a file whose first sequence holds itself over and over; written without recursion."""
    undefined = b"\xff\xff\xff\xff"
    inner = b""
    if is_defined:
        for _ in range(depth):
            item = b"\xfe\xff\x00\xe0" + struct.pack("<L", len(inner)) + inner
            inner = b"\x08\x00\x40\x11SQ\0\0" + struct.pack("<L", len(item)) + item
    else:
        opening = b"\x08\x00\x40\x11SQ\0\0" + undefined + b"\xfe\xff\x00\xe0" + undefined
        closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" if is_closed else b""
        inner = depth * opening + depth * closing
    before = body({t: e for t, e in elements.items() if t < 0x00081140})
    after = body({t: e for t, e in elements.items() if t > 0x00081140})
    return head(elements) + before + inner + after


def _order() -> Iterator[Case]:
    """Break the order of elements, double them, and mix encodings."""
    elements = sound("order reversed")
    listed = [elements[tag] for tag in sorted(elements, reverse=True)]
    yield single("order", "reversed", head(elements) + body(listed), REFUSED)
    for name, tag, other in (
        ("patient id twice", 0x00100020, b"OTHER "),
        ("study twice", 0x0020000D, b"2.25.9"),
        ("rows twice", 0x00280010, b"\x01\0"),
        ("position twice", 0x00200032, b"0\\0\\99"),
    ):
        elements = sound(f"order {name}")
        listed = []
        for one in (elements[t] for t in sorted(elements)):
            listed.append(one)
            if one.tag == tag:
                listed.append(Element(tag, one.kind, other))
        yield single("order", name, head(elements) + body(listed), REFUSED)
    # Some write implicit elements and say explicit; each element shows which it is.
    content = file_of(sound("order implicit"), IMPLICIT, told=EXPLICIT)
    yield single("order", "implicit told as explicit", content, ACCEPTED)
    content = file_of(sound("order explicit"), EXPLICIT, told=IMPLICIT)
    yield single("order", "explicit told as implicit", content, REFUSED)
    for kind in ("??", "\0\0", "zz", "XX"):
        elements = sound(f"order kind {kind!r}")
        content = file_of(elements)
        at = content.index(struct.pack("<HH2s", 0x10, 0x10, b"PN")) + 4
        damaged = content[:at] + kind.encode() + content[at + 2 :]
        yield single("order", f"representation {kind.encode().hex()}", damaged, Verdict.ANY)
