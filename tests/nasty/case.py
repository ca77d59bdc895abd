"""A nasty input and its verdict, and the sound instance that most are made from."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from io import BytesIO
from uuid import NAMESPACE_OID, uuid5

from pydicom import dcmread
from pydicom.dataelem import RawDataElement

from pipeline.demo import add_file_meta
from pipeline.identity import derived_uid
from pipeline.receive.glance import is_uid
from pipeline.receive.part10 import file_beginning
from tests.support.encoded import EXPLICIT, Element, encoded
from tests.support.traps import instances_of, stack

MR = "1.2.840.10008.5.1.4.1.1.4"
PIXEL_DATA = 0x7FE00010
Elements = dict[int, Element]


class Verdict(StrEnum):
    """What must become of an input."""

    REFUSED = "refused"
    """It is named in a refusal, at once or when its pixels are read."""

    ACCEPTED = "accepted"
    """It is read: what is odd about it does no harm."""

    SKIPPED = "skipped"
    """It is listed as no image of a volume, or left aside as no input at all."""

    ANY = "any"
    """Nothing but that it is survived: files of others, whose oddness is not ours to judge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A nasty input."""

    kind: str
    """What sort of nastiness it is."""

    name: str
    """Its name, which no other of the kind has."""

    files: Mapping[str, bytes]
    """Its files, by their names."""

    verdict: Verdict
    """What must become of it."""

    @property
    def folder(self) -> str:
        """Name of its folder among the others."""
        return f"{self.kind}/{self.name}"


def single(kind: str, name: str, content: bytes, verdict: Verdict, *, ending: str = ".dcm") -> Case:
    """Return a case of one file."""
    return Case(kind=kind, name=name, files={f"file{ending}": content}, verdict=verdict)


def sound(name: str) -> Elements:
    """Return the elements of a sound MR image, alone in a study of its own."""
    root = uuid5(NAMESPACE_OID, name)
    uids = {
        0x00080018: "instance",
        0x0020000D: "study",
        0x0020000E: "series",
    }
    return changed(_plain(), *(text(tag, "UI", derived_uid(root, uids[tag])) for tag in uids))


@cache
def _plain() -> Elements:
    """Return the elements of an image, made once; sequences are left out."""
    instance = instances_of(stack(1, n_slices=1))[0]
    content = BytesIO()
    add_file_meta(instance)
    instance.save_as(content, enforce_file_format=True)
    found = {}
    for element in dcmread(BytesIO(content.getvalue())).values():
        if isinstance(element, RawDataElement) and element.VR not in (None, "SQ"):
            tag = int(element.tag)
            found[tag] = Element(tag, str(element.VR), element.value or b"")
    return found


def changed(elements: Elements, *changes: Element) -> Elements:
    """Return elements of which some are others, or are there as well."""
    return elements | {one.tag: one for one in changes}


def without(elements: Elements, *tags: int) -> Elements:
    """Return elements of which some are missing."""
    return {tag: one for tag, one in elements.items() if tag not in tags}


def body(elements: Elements | Iterable[Element], syntax: str = EXPLICIT) -> bytes:
    """Return the encoded data set of elements, in the order of tags, or as they are listed."""
    listed = [elements[t] for t in sorted(elements)] if isinstance(elements, dict) else elements
    return encoded(list(listed), syntax)


def file_of(elements: Elements, syntax: str = EXPLICIT, *, told: str | None = None) -> bytes:
    """Return the file of elements; ``told`` is the transfer syntax that it claims."""
    return head(elements, syntax if told is None else told) + body(elements, syntax)


def head(elements: Elements, syntax: str = EXPLICIT) -> bytes:
    """Return preamble and meta information of elements, whose own UIDs may be none."""
    uids = []
    for tag in (0x00080016, 0x00080018):
        value = elements[tag].value if tag in elements else b""
        told = bytes(value).rstrip(b"\0 ").decode("ascii", "replace") if value else ""
        uids.append(told if is_uid(told) else "2.25.1")
    return file_beginning(*uids, syntax)


def text(tag: int, kind: str, value: str | bytes) -> Element:
    """Return an element of a text, padded as it must be."""
    content = value.encode() if isinstance(value, str) else value
    padding = b"\0" if kind == "UI" else b" "
    return Element(tag, kind, content + padding * (len(content) % 2))


def short(tag: int, *values: int) -> Element:
    """Return an element of VR US."""
    return Element(tag, "US", struct.pack(f"<{len(values)}H", *values))
