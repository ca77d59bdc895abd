"""Hostile UIDs, names and character sets, and objects that are no images."""

from collections.abc import Iterator

from tests.nasty.case import (
    Case,
    Verdict,
    body,
    changed,
    file_of,
    head,
    single,
    sound,
    text,
    without,
)
from tests.support.encoded import EXPLICIT, Element, Item

REFUSED, ACCEPTED, SKIPPED, ANY = Verdict.REFUSED, Verdict.ACCEPTED, Verdict.SKIPPED, Verdict.ANY

UIDS = {
    "climbing": b"../../../../etc/passwd",
    "dots": b"..",
    "rooted": b"/etc/passwd",
    "windows": b"C:\\Windows\\x",
    "empty": b"",
    "spaces": b"    ",
    "65 long": b"1." + b"2" * 63,
    "4000 long": b"1." + b"2" * 3998,
    "zero byte inside": b"1.2\x003.4",
    "line": b"1.2\n3.4",
    "format": b"%s%n%x",
    "wildcard": b"1.2.*",
    "query": b"1.2?a=b",
    "script": b"<script>alert(1)</script>",
    "sql": b"1.2'; DROP TABLE jobs;--",
    "arabic digits": "\u0661.\u0662".encode(),
    "minus": b"1.-2",
    "letters": b"abc",
    "two values": b"1.2\\3.4",
}
WORDS = {
    "script": b"<script>alert(1)</script>",
    "image": b"<img src=x onerror=alert(1)>",
    "sql": b"'; DROP TABLE studies;--",
    "shell": b"$(touch /tmp/harmed)`id`",
    "template": b"{{7*7}}${7*7}",
    "format": b"%s%s%s%n",
    "escape": b"\x1b[2J\x1b]0;x\x07",
    "lines": b"a\r\nSet-Cookie: x=y\r\n\r\n",
    "right to left": "\u202egnp.exe".encode(),
    "formula": b"=cmd|'/c calc'!A1",
    "zeros": b"a\0b\0c",
    "all bytes": bytes(range(256)),
    "64 kB": b"A" * 65000,
    "invalid utf": b"\xc3\x28\xff\xfe",
    "lone escape": b"\x1b",
    "climbing": b"../../../../etc/passwd",
    "caret storm": b"^" * 500,
    "equals storm": b"=" * 500,
}
CHARSETS = (
    "ISO_IR 192",
    "ISO_IR 100",
    "ISO 2022 IR 87",
    "ISO 2022 IR 149",
    "GB18030",
    "GBK",
    "\\ISO 2022 IR 13\\ISO 2022 IR 87",
    "utf-7",
    "idna",
    "rot13",
    "../../x",
    "ISO_IR 99999",
    "\\" * 50,
)
NO_TEXT = "rot13"
"""A character set that turns no bytes into text: the name cannot be read."""

PLACES = {
    0x00080018: "instance",
    0x0020000D: "study",
    0x0020000E: "series",
    0x00080016: "class",
}
CLASSES = {
    "1.2.840.10008.5.1.4.1.1.7": "secondary capture",
    "1.2.840.10008.5.1.4.1.1.88.11": "report",
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.104.1": "PDF",
    "1.2.840.10008.5.1.4.1.1.9.1.1": "ECG",
    "1.2.840.10008.5.1.4.1.1.66": "raw",
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.6.1": "US",
    "1.2.840.10008.5.1.4.1.1.481.3": "structures",
    "1.2.3.4.5": "private",
}


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _uids()
    yield from _words()
    yield from _classes()
    yield from _directories()
    yield from _disguised()


def _uids() -> Iterator[Case]:
    for tag, place in PLACES.items():
        for name, value in UIDS.items():
            elements = changed(sound(f"uid {place} {name}"), text(tag, "UI", value))
            yield single("uids", f"{place} {name}", file_of(elements), REFUSED)
        missing = without(sound(f"uid {place} missing"), tag)
        yield single("uids", f"{place} missing", file_of(missing), REFUSED)
    for name, value in (("leading zeros", b"1.02.003"), ("one digit", b"1")):
        elements = changed(sound(f"uid {name}"), text(0x00080018, "UI", value))
        yield single("uids", name, file_of(elements), ACCEPTED)


def _words() -> Iterator[Case]:
    for tag, kind, place in (
        (0x00100010, "PN", "name"),
        (0x0008103E, "LO", "description"),
        (0x00080070, "LO", "maker"),
    ):
        for name, value in WORDS.items():
            elements = changed(sound(f"words {place} {name}"), text(tag, kind, value))
            yield single("words", f"{place} {name}", file_of(elements), ACCEPTED)
    for number, value in enumerate(CHARSETS):
        elements = changed(
            sound(f"charset {number}"),
            text(0x00080005, "CS", value),
            text(0x00100010, "PN", b"\xcc\xfe\xb5\xc8^\x1b$B\x1b(\xb1\xff=\xe9"),
        )
        verdict = REFUSED if value == NO_TEXT else ACCEPTED
        yield single("words", f"charset {number}", file_of(elements), verdict)


def _classes() -> Iterator[Case]:
    for uid, name in CLASSES.items():
        elements = changed(sound(f"class {name}"), text(0x00080016, "UI", uid))
        yield single("classes", name, file_of(elements), SKIPPED)
    for uid, name in (
        ("1.2.840.10008.5.1.4.1.1.4.1", "enhanced without groups"),
        ("1.2.840.10008.5.1.4.1.1.77.1.1.1", "video without video"),
    ):
        elements = changed(sound(f"class {name}"), text(0x00080016, "UI", uid))
        yield single("classes", name, file_of(elements), REFUSED)
    yield from _groups()


def _groups() -> Iterator[Case]:
    """Enhanced MR whose functional groups lack what they promise."""
    enhanced = text(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4.1")
    for name, shared, frames in (
        ("empty groups", [Item([])], [Item([])]),
        ("no items", [], []),
        ("thousand groups", [Item([])], [Item([])] * 1000),
        ("position of text", [Item([])], [Item([_sequence(0x00209113, POSITION_OF_TEXT)])]),
        ("group that is no sequence", [Item([Element(0x00289110, "UN", b"abcd")])], [Item([])]),
    ):
        elements = changed(
            sound(f"class {name}"),
            enhanced,
            text(0x00280008, "IS", "1"),
            Element(0x52009229, "SQ", shared),
            Element(0x52009230, "SQ", frames),
        )
        yield single("classes", f"enhanced, {name}", file_of(elements), REFUSED)


POSITION_OF_TEXT = Element(0x00200032, "DS", b"a\\b\\c ")


def _sequence(tag: int, inner: Element) -> Element:
    return Element(tag, "SQ", [Item([inner])])


def _directories() -> Iterator[Case]:
    """DICOMDIRs that reference what they must not; lying among files, they are left aside."""
    for name, reference in (
        ("climbing", b"..\\..\\..\\etc\\passwd"),
        ("rooted", b"\\etc\\passwd"),
        ("itself", b"DICOMDIR"),
        ("missing", b"A\\B\\C"),
        ("zero byte", b"A\0B"),
    ):
        record = Item([Element(0x00041500, "CS", reference + b" " * (len(reference) % 2))])
        elements = [
            text(0x00041130, "CS", "NASTY"),
            Element(0x00041220, "SQ", [record]),
        ]
        identity = {0x00080016: text(0x00080016, "UI", "1.2.840.10008.1.3.10")}
        content = head(identity, EXPLICIT) + body(elements)
        files = {"DICOMDIR": content}
        yield Case(kind="directories", name=name, files=files, verdict=SKIPPED)


def _disguised() -> Iterator[Case]:
    """Files of other kinds under a name that says DICOM."""
    for name, content in {
        "zip": b"PK\x03\x04" + bytes(200),
        "program": b"MZ" + bytes(300),
        "text": b"Patient report\n" * 30,
        "xml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>" * 4,
        "json": b'{"00100010": {"vr": "PN"}}' * 10,
        "picture": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(300),
        "tar": b"../../evil".ljust(100, b"\0") + b"0000644\0" + bytes(404),
        "pickle": b"\x80\x04\x95cposix\nsystem\n(S'id'\ntR." + bytes(200),
        "sqlite": b"SQLite format 3\0" + bytes(300),
        "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(200),
    }.items():
        yield single("disguised", name, content, REFUSED)
        yield single("disguised", f"{name} under its own name", content, SKIPPED, ending=".bin")
