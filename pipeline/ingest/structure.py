"""Walk the structure of a DICOM data set before any parser does.

Every length must fit into what holds it and sequences may nest only so deep, so that what follows
can neither run past the end of a file nor recurse without bound. The walk itself does not recurse
and reads no values but the UIDs that name a broken file's series.

References
----------
.. [P357] DICOM PS3.5, 7.1 data elements, 7.5 nesting of data sets, A.4 encapsulated pixel data.
"""

import struct
from dataclasses import dataclass, field
from mmap import mmap

from pydicom.datadict import dictionary_VR

from pipeline.errors import UnreadableFile

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float Pixel Data, Double Float Pixel Data, Pixel Data."""

IDENTITY_TAGS = frozenset({0x00080018, 0x0020000D, 0x0020000E})
"""SOP Instance, Study Instance and Series Instance UID."""

LONG_VRS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
"""Value representations with a 32-bit length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelElement:
    """Where the pixel data of a data set lies."""

    tag: int
    """Which of ``PIXEL_TAGS``."""

    length: int | None
    """Length in bytes as stated; None where it is encapsulated."""

    available: int
    """Bytes between its start and the end of the data set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """How a data set is encoded."""

    implicit: bool
    """Implicit VR."""

    little_endian: bool = True
    """Byte order."""


@dataclass(kw_only=True, slots=True)
class Structure:
    """What a walk has found so far; filled even if the walk then fails."""

    pixels: PixelElement | None = None
    """The pixel data at the top level."""

    identity: dict[int, str] = field(default_factory=dict)
    """UIDs at the top level, by tag."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Level:
    """An open data set, sequence or row of fragments."""

    kind: str
    end: int | None
    implicit: bool

    bound: int
    """Where the innermost level of stated length ends that holds this one, or is it."""


def walk(
    data: bytes | mmap, start: int, encoding: Encoding, max_nesting: int, found: Structure
) -> None:
    """Walk a data set up to its pixel data.

    Parameters
    ----------
    data
        The file, or an inflated data set.
    start
        Where the data set begins.
    encoding
        How it is encoded.
    max_nesting
        Deepest nesting of sequences that is allowed.
    found
        Where findings go.

    Raises
    ------
    UnreadableFile
        If a length does not fit, an item is out of place, or sequences nest too deep.
    """
    _Walk(data, encoding, max_nesting, found).run(start)


def count_fragments(data: bytes | mmap, pixels: PixelElement, most: int) -> int:
    """Return how many fragments encapsulated pixel data have, the offset table left out.

    Parameters
    ----------
    data
        The file.
    pixels
        Its pixel data.
    most
        So many are allowed.

    Raises
    ------
    UnreadableFile
        If there are more, an item is out of place, or one runs past the end.
    """
    head, end = struct.Struct("<HHL"), len(data)
    position, n_items = end - pixels.available, 0
    while position + head.size <= end:
        group, element, length = head.unpack_from(data, position)
        tag = group << 16 | element
        if tag == SEQUENCE_END:
            return max(n_items - 1, 0)
        if tag != ITEM:
            raise UnreadableFile(f"{_named(tag)} where a fragment of pixel data was expected")
        n_items += 1
        position += head.size + length
        if n_items - 1 > most:
            raise UnreadableFile(f"(7FE0,0010) Pixel Data has over {most} fragments, the limit")
        if position > end:
            raise UnreadableFile(f"truncated: a fragment runs {position - end} bytes past the end")
    # Some writers leave the delimiter out; a cut through a fragment was seen above.
    return max(n_items - 1, 0)


class _Walk:
    """One walk: the data, and the stack of what is open."""

    def __init__(
        self, data: bytes | mmap, encoding: Encoding, max_nesting: int, found: Structure
    ) -> None:
        self.data = data
        self.found = found
        self.max_nesting = max_nesting
        order = "<" if encoding.little_endian else ">"
        self.short = struct.Struct(order + "H")
        self.long = struct.Struct(order + "L")
        self.tag = struct.Struct(order + "HH")
        self.last = 0
        end = len(data)
        self.stack = [_Level(kind="data set", end=end, implicit=encoding.implicit, bound=end)]

    def run(self, position: int) -> None:
        """Step through everything that is open until nothing is, or the pixel data begins."""
        while self.stack and self.found.pixels is None:
            level = self.stack[-1]
            if level.end is not None and position >= level.end:
                self.stack.pop()
            elif level.kind == "data set":
                position = self._element(position, level)
            else:
                position = self._item(position, level)

    def _element(self, position: int, level: _Level) -> int:
        """Step over one element, or into it if it is a sequence."""
        end = self._end()
        if end - position < 8:
            return self._tail(position, end)
        group, element = self.tag.unpack_from(self.data, position)
        tag = group << 16 | element
        if tag == ITEM_END:
            self.stack.pop()
            return position + 8
        if tag == 0:
            return self._tail(position, end)
        if len(self.stack) == 1:
            self._check_order(tag)
        vr, length, value = self._prefix(position, level, tag)
        if tag in PIXEL_TAGS and len(self.stack) == 1:
            stated = None if length == UNDEFINED else length
            self.found.pixels = PixelElement(tag=tag, length=stated, available=end - value)
            return value
        return self._value(tag, vr, (value, length), level)

    def _check_order(self, tag: int) -> None:
        """Refuse an element that comes again or too early: two readers would read two data sets."""
        if tag <= self.last:
            again = "twice" if tag == self.last else f"after {_named(self.last)}"
            raise UnreadableFile(f"element {_named(tag)} comes {again}, out of the order of tags")
        self.last = tag

    def _prefix(self, position: int, level: _Level, tag: int) -> tuple[bytes, int, int]:
        """Return VR, length and start of value of an element."""
        vr = self.data[position + 4 : position + 6]
        if level.implicit or not (vr.isalpha() and vr.isupper()):
            length = self.long.unpack_from(self.data, position + 4)[0]
            return _implied_vr(tag), length, position + 8
        if vr not in LONG_VRS:
            return vr, self.short.unpack_from(self.data, position + 6)[0], position + 8
        if position + 12 > self._end():
            raise UnreadableFile(f"truncated within element {_named(tag)}")
        return vr, self.long.unpack_from(self.data, position + 8)[0], position + 12

    def _value(self, tag: int, vr: bytes, extent: tuple[int, int], level: _Level) -> int:
        """Step over a value, or into it if it holds items."""
        value, length = extent
        end = None if length == UNDEFINED else value + length
        if end is not None and end > self._end():
            over = end - self._end()
            raise UnreadableFile(f"truncated: element {_named(tag)} runs {over} bytes past the end")
        if vr != b"SQ" and end is not None:
            if tag in IDENTITY_TAGS and len(self.stack) == 1 and length <= 64:
                text = bytes(self.data[value:end]).decode("ascii", "replace")
                self.found.identity[tag] = text.rstrip("\0 ")
            return end
        kind = "fragments" if vr in (b"OB", b"OW", b"OF", b"OD") else "sequence"
        # A UN element of undefined length holds a sequence in implicit VR (PS3.5, 6.2.2, note).
        implicit = level.implicit or vr == b"UN"
        self._push(kind, end, tag, implicit=implicit)
        return value

    def _item(self, position: int, level: _Level) -> int:
        """Step into an item, over a fragment, or out of a sequence."""
        end = self._end()
        if end - position < 8:
            raise UnreadableFile("truncated within a sequence")
        group, element = self.tag.unpack_from(self.data, position)
        tag = group << 16 | element
        length = self.long.unpack_from(self.data, position + 4)[0]
        if tag == SEQUENCE_END:
            self.stack.pop()
            return position + 8
        if tag != ITEM:
            raise UnreadableFile(f"{_named(tag)} where an item of a sequence was expected")
        item_end = None if length == UNDEFINED else position + 8 + length
        if item_end is not None and item_end > end:
            raise UnreadableFile(f"truncated: an item runs {item_end - end} bytes past the end")
        if level.kind == "fragments":
            return position + 8 if item_end is None else item_end
        self._push("data set", item_end, tag, implicit=level.implicit)
        return position + 8

    def _push(self, kind: str, end: int | None, tag: int, *, implicit: bool) -> None:
        """Open a level. Two levels of the stack, sequence and item, are one of nesting."""
        if len(self.stack) > 2 * self.max_nesting:
            raise UnreadableFile(
                f"sequences nest deeper than {self.max_nesting} levels at {_named(tag)}"
            )
        bound = self._end() if end is None else end
        self.stack.append(_Level(kind=kind, end=end, implicit=implicit, bound=bound))

    def _end(self) -> int:
        """Return where the innermost level of stated length ends."""
        return self.stack[-1].bound

    def _tail(self, position: int, end: int) -> int:
        """Step over zeros that pad the end, or report a cut."""
        if any(self.data[position:end]) or len(self.stack) > 1:
            raise UnreadableFile(f"truncated within the element at byte {position}")
        return end


def _implied_vr(tag: int) -> bytes:
    """Return the VR of an element in implicit VR, where it matters here: SQ or not."""
    if tag in PIXEL_TAGS:
        return b"OW"
    try:
        return dictionary_VR(tag)[:2].encode()
    except KeyError:
        return b"UN"


def _named(tag: int) -> str:
    """Return a tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
