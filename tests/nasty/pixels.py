"""Images whose pixels are not as they are described, and encapsulated ones that are none."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from tests.nasty.case import (
    PIXEL_DATA,
    Case,
    Verdict,
    body,
    changed,
    file_of,
    head,
    short,
    single,
    sound,
    text,
    without,
)
from tests.support.encoded import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element

REFUSED, ACCEPTED, ANY = Verdict.REFUSED, Verdict.ACCEPTED, Verdict.ANY

NUMBERS = {
    0x00280002: ("samples", (0, 2, 3, 4, 255, 65535)),
    0x00280010: ("rows", (0, 1, 4097, 65535)),
    0x00280011: ("columns", (0, 1, 4097, 65535)),
    0x00280100: ("bits allocated", (0, 1, 7, 12, 24, 64, 65535)),
    0x00280101: ("bits stored", (0, 17, 65535)),
    0x00280103: ("representation", (2, 255, 65535)),
}
PHOTOMETRICS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "PALETTE COLOR", "HSV", "", "X" * 16)
SYNTAXES = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless 14",
    "1.2.840.10008.1.2.4.70": "JPEG lossless",
    "1.2.840.10008.1.2.4.80": "JPEG-LS",
    "1.2.840.10008.1.2.4.90": "JPEG 2000",
    "1.2.840.10008.1.2.4.92": "JPEG 2000 part 2",
    "1.2.840.10008.1.2.4.94": "JPIP",
    "1.2.840.10008.1.2.4.100": "MPEG2",
    "1.2.840.10008.1.2.4.102": "MPEG4",
    "1.2.840.10008.1.2.4.107": "HEVC",
    "1.2.840.10008.1.2.4.110": "JPEG XL",
    "1.2.840.10008.1.2.4.201": "HTJ2K",
    "1.2.840.10008.1.2.5": "RLE",
    "1.2.840.10008.1.2.8.1": "deflated frames",
    "1.2.840.10008.1.2.6.1": "RFC 2557",
    "1.2.840.10008.1.20": "Papyrus",
    "1.2.3.4": "unknown",
    "../../etc": "no UID",
    "": "empty",
}
SLOPES = ("0", "nan", "NaN", "inf", "-inf", "1e400", "x", "1,5", "--1", "1\\2", "0x10", "1e-400")


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _described()
    yield from _values()
    yield from _scaled()
    yield from _syntaxes()
    yield from _encapsulated()
    yield from _bombs()


def _described() -> Iterator[Case]:
    """Change one number or word of the pixel module."""
    for tag, (name, values) in NUMBERS.items():
        for value in values:
            elements = changed(sound(f"pixels {name} {value}"), short(tag, value))
            yield single("pixels", f"{name} {value}", file_of(elements), REFUSED)
        yield single(
            "pixels", f"no {name}", file_of(without(sound(f"pixels no {name}"), tag)), REFUSED
        )
        odd = changed(sound(f"pixels short {name}"), Element(tag, "US", b""))
        yield single("pixels", f"empty {name}", file_of(odd), REFUSED)
    for word in PHOTOMETRICS:
        elements = changed(sound(f"pixels {word}"), text(0x00280004, "CS", word))
        yield single("pixels", f"photometric {word[:12] or 'none'}", file_of(elements), REFUSED)
    for frames in ("0", "-1", "2", "20001", "2147483647", "99999999999", "nan", "1.5", "x", "1\\2"):
        elements = changed(sound(f"pixels frames {frames}"), text(0x00280008, "IS", frames))
        yield single("pixels", f"frames {frames.replace(chr(92), ' ')}", file_of(elements), REFUSED)


def _values() -> Iterator[Case]:
    """Change what there is of pixel data."""
    elements = sound("pixels none")
    pixels = bytes(elements[PIXEL_DATA].value)
    yield single("pixels", "none", file_of(without(elements, PIXEL_DATA)), REFUSED)
    for name, value in {
        "empty": b"",
        "one byte": b"\0",
        "one less": pixels[:-1],
        "half": pixels[: len(pixels) // 2],
    }.items():
        one = changed(sound(f"pixels {name}"), Element(PIXEL_DATA, "OW", value))
        yield single("pixels", name, file_of(one), REFUSED)
    more = changed(sound("pixels more"), Element(PIXEL_DATA, "OW", pixels + bytes(64)))
    yield single("pixels", "more than described", file_of(more), ANY)
    for tag, kind, name in ((0x7FE00008, "OF", "float"), (0x7FE00009, "OD", "double")):
        both = changed(sound(f"pixels {name}"), Element(tag, kind, bytes(336)))
        yield single("pixels", f"{name} beside", file_of(both), ANY)
        alone = without(both, PIXEL_DATA)
        yield single("pixels", f"{name} alone", file_of(alone), REFUSED)
    tailed = file_of(sound("pixels tail"))
    yield single("pixels", "bytes behind", tailed + b"PK\x03\x04 behind", ANY)
    padded = tailed + b"\xfc\xff\xfc\xffOB\0\0" + struct.pack("<L", 64) + bytes(64)
    yield single("pixels", "padding behind", padded, ACCEPTED)


def _scaled() -> Iterator[Case]:
    """Change slope and intercept."""
    for value in SLOPES:
        for tag, name in ((0x00281053, "slope"), (0x00281052, "intercept")):
            if name == "intercept" and value == "0":
                continue
            other = {0x00281053: 0x00281052, 0x00281052: 0x00281053}[tag]
            elements = changed(
                sound(f"scale {name} {value}"), text(tag, "DS", value), text(other, "DS", "1")
            )
            shown = value.replace("\\", " ")
            verdict = (
                ANY if value in ("1e-400", "1e400") or (name, value) == ("slope", "") else REFUSED
            )
            yield single("scale", f"{name} {shown}", file_of(elements), verdict)


def _syntaxes() -> Iterator[Case]:
    """Claim another transfer syntax for native pixels."""
    for syntax, name in SYNTAXES.items():
        elements = sound(f"syntax {name}")
        yield single("syntaxes", name, file_of(elements, told=syntax), REFUSED)
    for told in (BIG, DEFLATED, IMPLICIT):
        elements = sound(f"syntax native {told}")
        yield single(
            "syntaxes", f"explicit told as {told[-3:]}", file_of(elements, told=told), REFUSED
        )
    for syntax in (BIG, DEFLATED, IMPLICIT):
        elements = sound(f"syntax other {syntax}")
        numbers = {
            tag: Element(
                tag, one.kind, np.frombuffer(bytes(one.value), "<u2").astype(">u2").tobytes()
            )
            for tag, one in elements.items()
            if one.kind in ("US", "OW")
        }
        whole = elements | (numbers if syntax == BIG else {})
        yield single("syntaxes", f"sound {syntax[-5:]}", file_of(whole, syntax), ACCEPTED)
    no_syntax = file_of(sound("syntax missing"))
    at = no_syntax.index(b"\x02\0\x10\0UI")
    length = struct.unpack_from("<H", no_syntax, at + 6)[0]
    yield single("syntaxes", "missing", no_syntax[:at] + no_syntax[at + 8 + length :], ACCEPTED)


def _encapsulated() -> Iterator[Case]:
    """Encapsulate what no decoder can read."""
    item = b"\xfe\xff\x00\xe0"
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    noise = np.random.default_rng(5).bytes(256)
    streams = {
        "nothing": b"",
        "no table": end,
        "table only": item + bytes(4) + end,
        "empty fragment": item + bytes(4) + item + bytes(4) + end,
        "no end": item + bytes(4) + item + struct.pack("<L", 256) + noise,
        "fragment claims more": item + bytes(4) + item + struct.pack("<L", 1 << 30) + noise + end,
        "table beyond": item
        + struct.pack("<LL", 4, 1 << 30)
        + item
        + struct.pack("<L", 256)
        + noise
        + end,
        "table of a million": item + struct.pack("<L", 0x7FFFFFF0) + noise + end,
        "noise": item + bytes(4) + item + struct.pack("<L", 256) + noise + end,
        "zeros": item + bytes(4) + item + struct.pack("<L", 256) + bytes(256) + end,
    }
    for syntax in (
        "1.2.840.10008.1.2.5",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.70",
    ):
        for name, stream in streams.items():
            title = f"{SYNTAXES[syntax]} {name}"
            elements = sound(f"encapsulated {title}")
            opening = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
            content = (
                head(elements, syntax) + body(without(elements, PIXEL_DATA)) + opening + stream
            )
            yield single("encapsulated", title, content, REFUSED)
    for name, size in (("JPEG 2000 of 65535", 65535), ("JPEG 2000 of 4294967295", 0xFFFFFFFF)):
        stream = _code_stream(size)
        elements = sound(f"encapsulated {name}")
        content = (
            head(elements, "1.2.840.10008.1.2.4.90")
            + body(without(elements, PIXEL_DATA))
            + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
            + item
            + bytes(4)
            + item
            + struct.pack("<L", len(stream))
            + stream
            + end
        )
        yield single("encapsulated", name, content, REFUSED)


def _code_stream(size: int) -> bytes:
    """Return the beginning of a JPEG 2000 code stream that promises so many rows and columns."""
    sizes = struct.pack(">HLLLLLLLLH", 0, size, size, 0, 0, size, size, 0, 0, 1) + b"\x0f\x01\x01"
    coding = b"\xff\x52\x00\x0c\x00\x00\x00\x01\x00\x05\x04\x04\x00\x01"
    quant = b"\xff\x5c\x00\x13\x40" + bytes(16)
    tile = b"\xff\x90\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x01\xff\x93\xff\xd9"
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(sizes) + 2) + sizes + coding + quant + tile


def _bombs() -> Iterator[Case]:
    """Say little and mean much."""
    for size in (20, 64):
        elements = sound(f"bomb deflate {size}")
        padding = b"\xfc\xff\xfc\xffOB\0\0" + struct.pack("<L", size << 20) + bytes(size << 20)
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = packer.compress(body(elements, EXPLICIT) + padding) + packer.flush()
        yield single("bombs", f"deflate {size} MiB", head(elements, DEFLATED) + packed, REFUSED)
    for cut in (3, 10, 200):
        elements = sound(f"bomb cut {cut}")
        yield single("bombs", f"deflate cut {cut}", file_of(elements, DEFLATED)[:-cut], REFUSED)
    elements = changed(sound("bomb run length"), short(0x00280010, 4096), short(0x00280011, 4096))
    segments = struct.pack("<16L", 2, 64, 66, *([0] * 13)) + b"\x81\0" * 2
    item = b"\xfe\xff\x00\xe0"
    content = (
        head(elements, "1.2.840.10008.1.2.5")
        + body(without(elements, PIXEL_DATA))
        + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
        + item
        + bytes(4)
        + item
        + struct.pack("<L", len(segments))
        + segments
        + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    yield single("bombs", "run length 4096", content, REFUSED)
    elements = changed(
        sound("bomb frames"), text(0x00280008, "IS", "20000"), short(0x00280010, 4096)
    )
    yield single("bombs", "twenty thousand frames", file_of(elements), REFUSED)
