"""What every data element keeps to: length, characters, form, number of values.

References
----------
.. [P562] DICOM PS3.5, 6.2 value representations; 9 unique identifiers; 6.1 character repertoires.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydicom.charset import decode_bytes, python_encoding
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pipeline.encode.context import is_date, is_time

CHARACTER_SET = 0x00080005

DECLARED = frozenset({"SH", "LO", "ST", "LT", "PN", "UC", "UT"})
"""VRs whose characters Specific Character Set (0008,0005) declares."""

ONE_VALUE = frozenset({"ST", "LT", "UT", "UR"})
"""VRs whose values may hold a backslash, so that there is one."""

CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
"""Control characters that no text may hold; TAB, LF, FF, CR and ESC may be."""

ROOM = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "PN": 64}
"""Characters of a value at most; of a component group for PN."""

FORM = {
    "AE": re.compile(r"[\x20-\x5b\x5d-\x7e]{0,16}"),
    "AS": re.compile(r"\d{3}[DWMY]"),
    "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
    "DS": re.compile(r" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *"),
    "IS": re.compile(r" *[+-]?\d{1,11} *"),
    "DT": re.compile(r"\d{4}(\d{2}){0,5}(\.\d{1,6})?([+-]\d{4})?"),
    "UI": re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+"),
    "UR": re.compile(r"[\x21-\x7e]*"),
}
"""How a value is written."""

LONGEST = {"DS": 16, "IS": 12, "UI": 64, "DT": 26}
"""Bytes of a value at most."""

SIZE = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4, "SV": 8, "UV": 8}
SIZE |= {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""Bytes of one value of a binary VR."""

_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where elements lie, and how their text is encoded."""

    path: tuple[str, ...] = ()
    """Keywords of the sequences around them, with numbers of items."""

    encodings: tuple[str, ...] | None = None
    """Python's names of the declared character sets; None declares none: ASCII."""


def named(tag: int, path: tuple[str, ...] = ()) -> str:
    """Return an attribute as messages name it."""
    where = f" in {'.'.join(path)}" if path else ""
    known = keyword_for_tag(tag) or ("private attribute" if tag >> 16 & 1 else "attribute")
    return f"{known} ({tag >> 16:04X},{tag & 0xFFFF:04X}){where}"


def broken_rules(dataset: Dataset, place: Place | None = None) -> Iterator[str]:
    """Yield the elements of a data set, at any depth, that break a rule of PS3.5 [P562]_.

    Parameters
    ----------
    dataset
        As it was read, its values not yet converted.
    place
        Where it lies.
    """
    place = place or Place()
    declared, problem = _encodings(dataset, place)
    if problem:
        yield problem
    place = replace(place, encodings=declared)
    for tag in sorted(dataset.keys()):
        element = dataset.get_item(tag)
        if int(tag) in _PIXELS:
            continue
        vr = _vr(element)
        if vr == "SQ":
            for number, item in enumerate(dataset[tag].value, start=1):
                inner = (*place.path, f"{keyword_for_tag(tag) or _hex(tag)}[{number}]")
                yield from broken_rules(item, replace(place, path=inner))
        elif isinstance(element, RawDataElement) and element.value:
            for rule in _broken(tag, vr, bytes(element.value), place):
                yield f"{named(tag, place.path)}: {rule}"


def _encodings(dataset: Dataset, place: Place) -> tuple[tuple[str, ...] | None, str | None]:
    """Return the character sets that hold in a data set, and what is wrong with them."""
    if CHARACTER_SET not in dataset:
        return place.encodings, None
    raw = dataset.get_item(CHARACTER_SET).value or b""
    if isinstance(raw, bytes):
        raw = raw.decode("ascii", "replace").split("\\")
    terms = [str(term).strip() for term in ([raw] if isinstance(raw, str) else raw)]
    if any(term not in python_encoding for term in terms):
        told = named(CHARACTER_SET, place.path)
        return place.encodings, f"{told}: no defined term [PS3.3 C.12.1.1.2]"
    if terms in ([""], ["ISO_IR 6"]):
        return None, None
    return tuple(python_encoding[term] for term in terms), None


def _vr(element: DataElement | RawDataElement) -> str:
    """Return the VR of an element; the dictionary's where the file states none."""
    if element.VR and element.VR != "UN":
        return str(element.VR)
    try:
        return dictionary_VR(element.tag)
    except KeyError:
        return "UN"


def _broken(tag: BaseTag, vr: str, raw: bytes, place: Place) -> Iterator[str]:
    """Yield the rules that a value breaks."""
    if len(raw) % 2:
        yield "its length is odd [PS3.5 7.1.1]"
    if vr in SIZE:
        if len(raw) % SIZE[vr]:
            yield f"{len(raw)} bytes are no multiple of {SIZE[vr]} [PS3.5 6.2, {vr}]"
        elif not vr.startswith("O"):
            yield from _wrong_number(tag, vr, len(raw) // SIZE[vr])
    elif vr in DECLARED:
        yield from _broken_text(tag, vr, raw, place)
    elif vr in FORM or vr in ("DA", "TM"):
        yield from _broken_form(tag, vr, raw)


def _broken_text(tag: BaseTag, vr: str, raw: bytes, place: Place) -> Iterator[str]:
    """Yield what is wrong with text in the declared character sets."""
    text = _decoded(raw, place.encodings, vr)
    if text is None:
        declared = "is declared" if place.encodings else "is declared (none: ASCII)"
        yield f"characters are not those of the set that {declared} [PS3.5 6.1.2.3]"
        return
    if CONTROL.search(text.rstrip("\0")):
        yield f"a control character that {vr} excludes [PS3.5 6.1.3]"
    values = [text] if vr in ONE_VALUE else text.split("\\")
    room = ROOM.get(vr)
    if room is not None:
        parts = [p for v in values for p in (v.split("=") if vr == "PN" else [v])]
        longest = max(len(part.rstrip(" \0")) for part in parts)
        if longest > room:
            yield f"{longest} characters, {room} fit [PS3.5 6.2, {vr}]"
    if vr not in ONE_VALUE:
        yield from _wrong_number(tag, vr, len(values))


def _decoded(raw: bytes, encodings: tuple[str, ...] | None, vr: str) -> str | None:
    """Return text; None if it is none in its character sets."""
    try:
        if encodings is None:
            return raw.decode("ascii")
        if len(encodings) == 1:
            return raw.decode(encodings[0])
        delimiters = {0x5E, 0x3D, 0x5C} if vr == "PN" else {0x5C, 0x0A, 0x0C, 0x0D, 0x09}
        text = decode_bytes(raw, list(encodings), delimiters)
    except (UnicodeError, LookupError):
        return None
    # What it cannot decode it replaces, or leaves its escape sequence in.
    return None if "�" in text or "\x1b" in text else text


def _broken_form(tag: BaseTag, vr: str, raw: bytes) -> Iterator[str]:
    """Yield what is wrong with values that are written in ASCII."""
    try:
        text = raw.decode("ascii")
    except UnicodeError:
        yield f"bytes that are no ASCII [PS3.5 6.2, {vr}]"
        return
    text = text.rstrip("\0" if vr == "UI" else " ")
    values = [text] if vr in ONE_VALUE else text.split("\\")
    if any(value and not _has_form(vr, value) for value in values):
        yield f"not of the form of its VR [PS3.5 {'9.1' if vr == 'UI' else f'6.2, {vr}'}]"
    longest = max(len(value) for value in values)
    if longest > LONGEST.get(vr, longest):
        yield f"{longest} bytes, {LONGEST[vr]} fit [PS3.5 6.2, {vr}]"
    if vr not in ONE_VALUE:
        yield from _wrong_number(tag, vr, len(values))


def _has_form(vr: str, value: str) -> bool:
    """Tell whether one value is written as its VR asks."""
    if vr == "DA":
        return is_date(value)
    if vr == "TM":
        return is_time(value.rstrip(" "))
    value = value.rstrip(" ") if vr in ("CS", "DT", "AS") else value
    return FORM[vr].fullmatch(value) is not None


def _wrong_number(tag: BaseTag, vr: str, count: int) -> Iterator[str]:
    """Yield that an attribute has more or fewer values than the dictionary allows."""
    try:
        allowed = dictionary_VM(tag)
    except KeyError:
        return
    least, _, most = allowed.partition("-")
    step = re.match(r"(\d+)n", most)
    if step:
        fits = count >= int(least) and not (count % int(step[1]))
    elif most == "n":
        fits = count >= int(least)
    else:
        fits = int(least) <= count <= int(most or least)
    if not fits:
        yield f"{count} values, {allowed} are allowed [PS3.6 6, {vr}]"


def _hex(tag: BaseTag) -> str:
    """Return a tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
