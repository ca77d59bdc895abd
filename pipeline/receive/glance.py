"""What an instance says it is, from the beginning of its encoded data set; nothing is decoded.

Elements come in the order of their tags (PS3.5, 7.1), so that all up to Series Instance UID
(0020,000E) lie before the pixels. Values are skipped by their lengths, sequences of undefined
length item by item.

References
----------
.. [P7] DICOM PS3.5, 7 The Data Set.
"""

import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import NewType

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from pipeline.errors import UnreadableFile
from pipeline.ingest.uids import is_uid

Tag = NewType("Tag", int)

SOP_CLASS_UID, SOP_INSTANCE_UID = Tag(0x00080016), Tag(0x00080018)
STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = Tag(0x0020000D), Tag(0x0020000E)

FAR_ENOUGH = 1 << 24
"""What is looked at of a data set [byte]: before Series Instance UID there may be references to all
instances of a study, and what a manufacturer puts into group 0019."""

LOOKS_AT, LOOKS_FURTHER = 1 << 16, 16
"""What of a data set that comes is looked at first [byte], and how many times as much after."""

DEEPEST = 64
"""Nesting beyond which a data set is refused: parsers of others crash on it."""

IDENTITY = (SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)
"""What is looked for."""

LENGTH_OF_4 = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN"}) | {
    b"UR",
    b"UT",
    b"UV",
}
"""Value representations whose length takes four bytes after two that are reserved [P7]_."""

UNDEFINED = 0xFFFFFFFF
ITEM, END_OF_ITEM, END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The UIDs of an instance and of what it belongs to."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""

    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""

    study_instance_uid: str
    """Study Instance UID (0020,000D)."""

    series_instance_uid: str
    """Series Instance UID (0020,000E)."""


class TooShort(UnreadableFile):
    """The identity lies beyond what was given."""


def glance(beginning: bytes, transfer_syntax_uid: str) -> Identity:
    """Return what an instance says it is.

    Parameters
    ----------
    beginning
        The beginning of the encoded data set, without preamble and meta information.
    transfer_syntax_uid
        How it is encoded.

    Raises
    ------
    TooShort
        If the data set ends, or the beginning does, before the identity is complete.
    UnreadableFile
        If it is no data set, lacks one of the UIDs, or one is none.
    """
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        beginning = _inflated(beginning)
    found = _Walk(
        beginning,
        is_explicit=transfer_syntax_uid != ImplicitVRLittleEndian,
        order=">" if transfer_syntax_uid == ExplicitVRBigEndian else "<",
    ).uids()
    return Identity(
        sop_class_uid=_uid(found, SOP_CLASS_UID, "SOP Class UID (0008,0016)"),
        sop_instance_uid=_uid(found, SOP_INSTANCE_UID, "SOP Instance UID (0008,0018)"),
        study_instance_uid=_uid(found, STUDY_INSTANCE_UID, "Study Instance UID (0020,000D)"),
        series_instance_uid=_uid(found, SERIES_INSTANCE_UID, "Series Instance UID (0020,000E)"),
    )


class Look:
    """A look at a data set while it comes, which holds no more of it than is needed.

    Parameters
    ----------
    transfer_syntax_uid
        How it is encoded.
    """

    def __init__(self, transfer_syntax_uid: str) -> None:
        self.identity: Identity | None = None
        self._syntax, self._until = transfer_syntax_uid, LOOKS_AT
        self._beginning = bytearray()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is needed, or looked at."""
        return self.identity is not None or len(self._beginning) >= FAR_ENOUGH

    def take(self, part: bytes | bytearray | memoryview) -> None:
        """Take the next part, and look at what has come now and then.

        Raises
        ------
        UnreadableFile
            If it is no data set, lacks one of the UIDs, or one is none.
        """
        if self.is_over:
            return
        self._beginning += part[: FAR_ENOUGH - len(self._beginning)]
        if len(self._beginning) >= self._until:
            self._until *= LOOKS_FURTHER
            with suppress(TooShort):
                self.end()

    def end(self) -> Identity:
        """Return what the data set says it is; nothing more of it comes.

        Raises
        ------
        UnreadableFile
            If it is no data set, lacks one of the UIDs, or one is none.
        """
        if self.identity is None:
            try:
                self.identity = glance(bytes(self._beginning), self._syntax)
            except TooShort:
                if len(self._beginning) < FAR_ENOUGH:
                    raise
                raise UnreadableFile(
                    f"Series Instance UID (0020,000E) is not within the first {FAR_ENOUGH} bytes"
                ) from None
            self._beginning.clear()
        return self.identity


def _uid(found: dict[int, bytes], tag: Tag, name: str) -> str:
    """Return a UID that must be there and well-formed."""
    if tag not in found:
        raise UnreadableFile(f"{name} is missing")
    text = found[tag].rstrip(b"\0 ").decode("ascii", "replace")
    if not is_uid(text):
        raise UnreadableFile(f"{name} is no UID")
    return text


def _inflated(deflated: bytes) -> bytes:
    """Return the beginning of a deflated data set, never more than is looked at."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, FAR_ENOUGH)
    except zlib.error:
        raise UnreadableFile("the data set is not deflated, as its transfer syntax says") from None


class _Walk:
    """A walk over the elements of a data set."""

    def __init__(self, data: bytes, *, is_explicit: bool, order: str) -> None:
        self._data, self._at, self._is_explicit = data, 0, is_explicit
        self._is_unknown = False
        self._tag = struct.Struct(f"{order}HH").unpack_from
        self._short = struct.Struct(f"{order}H").unpack_from
        self._long = struct.Struct(f"{order}L").unpack_from

    def uids(self) -> dict[int, bytes]:
        """Return the values of the identity that are there."""
        found: dict[int, bytes] = {}
        last = -1
        while last < SERIES_INSTANCE_UID and self._at < len(self._data):
            tag, length = self._header()
            if tag <= last:
                raise UnreadableFile("elements are not in the order of their tags")
            last = tag
            if length == UNDEFINED:
                self._skip_sequence(1)
                continue
            if tag in IDENTITY:
                found[tag] = self._data[self._at : self._at + length]
            self._at += length
        if last < SERIES_INSTANCE_UID or (last in IDENTITY and self._at > len(self._data)):
            raise TooShort("the data set ends before Series Instance UID (0020,000E)")
        return found

    def _header(self) -> tuple[int, int]:
        """Read the tag and the length of an element, and go to its value."""
        at, data = self._at, self._data
        try:
            group, element = self._tag(data, at)
            tag = group << 16 | element
            if not self._is_explicit or group == 0xFFFE:
                self._at = at + 8
                return tag, self._long(data, at + 4)[0]
            (representation,) = struct.unpack_from("2s", data, at + 4)
            self._is_unknown = representation == b"UN"
            if not (representation.isalpha() and representation.isupper()):
                raise UnreadableFile(
                    f"element ({group:04X},{element:04X}) has no value representation"
                )
            if representation in LENGTH_OF_4:
                self._at = at + 12
                return tag, self._long(data, at + 8)[0]
            self._at = at + 8
            return tag, self._short(data, at + 6)[0]
        except struct.error:
            raise TooShort("the data set ends before Series Instance UID (0020,000E)") from None

    def _skip_sequence(self, depth: int) -> None:
        """Go behind a sequence of undefined length; one of VR UN is implicit (PS3.5, 6.2.2)."""
        if depth > DEEPEST:
            raise UnreadableFile(f"sequences are nested more than {DEEPEST} deep")
        outside, self._is_explicit = self._is_explicit, self._is_explicit and not self._is_unknown
        self._skip_items(depth)
        self._is_explicit = outside

    def _skip_items(self, depth: int) -> None:
        """Go behind the items of a sequence of undefined length, and its end."""
        while True:
            tag, length = self._header()
            if tag == END_OF_SEQUENCE:
                return
            if tag != ITEM:
                raise UnreadableFile("a sequence holds something that is no item")
            if length == UNDEFINED:
                self._skip_item(depth)
            else:
                self._at += length

    def _skip_item(self, depth: int) -> None:
        """Go behind an item of undefined length."""
        while True:
            tag, length = self._header()
            if tag == END_OF_ITEM:
                return
            if length == UNDEFINED:
                self._skip_sequence(depth + 1)
            else:
                self._at += length
