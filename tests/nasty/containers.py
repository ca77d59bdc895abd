"""NIfTI, raw data and video that are not what they promise."""

import gzip
import struct
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import nibabel
import numpy as np

from pipeline.mr.fourier import fft2c
from tests.ingest.raw.test_twix import oversampled, write_twix
from tests.nasty.case import Case, Verdict, single
from tests.support.rawfiles import Mrd, coil_images
from tests.support.videos import write_video

REFUSED, ACCEPTED, SKIPPED, ANY = Verdict.REFUSED, Verdict.ACCEPTED, Verdict.SKIPPED, Verdict.ANY


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _nifti()
    yield from _bart()
    yield from _numpy()
    yield from _hdf5()
    yield from _mrd()
    yield from _twix()
    yield from _video()


def _nifti() -> Iterator[Case]:
    values = np.arange(5 * 4 * 2 * 3, dtype=np.float32).reshape(5, 4, 2, 3)
    image = nibabel.Nifti1Image(values, np.diag([2.0, 3.0, 8.0, 1.0]))
    plain = image.to_bytes()
    for name, (form, at, value), verdict in (
        ("header size", ("<i", 0, 0), ANY),
        ("axes 0", ("<h", 40, 0), REFUSED),
        ("axes 8", ("<h", 40, 8), REFUSED),
        ("axes 32767", ("<h", 40, 32767), REFUSED),
        ("axes -1", ("<h", 40, -1), REFUSED),
        ("first axis 0", ("<h", 42, 0), REFUSED),
        ("first axis -5", ("<h", 42, -5), REFUSED),
        ("first axis 32767", ("<h", 42, 32767), REFUSED),
        ("type 0", ("<h", 70, 0), REFUSED),
        ("type 1", ("<h", 70, 1), REFUSED),
        ("type 128 colour", ("<h", 70, 128), REFUSED),
        ("type 1536", ("<h", 70, 1536), REFUSED),
        ("type 31000", ("<h", 70, 31000), REFUSED),
        ("bits 7", ("<h", 72, 7), ANY),
        ("offset 0", ("<f", 108, 0.0), ANY),
        ("offset nan", ("<f", 108, float("nan")), REFUSED),
        ("offset beyond", ("<f", 108, 1e9), REFUSED),
        ("offset -1e30", ("<f", 108, -1e30), REFUSED),
        ("slope nan", ("<f", 112, float("nan")), ANY),
        ("slope inf", ("<f", 112, float("inf")), ANY),
        ("slope 0", ("<f", 112, 0.0), ANY),
        ("slope 1e38", ("<f", 112, 1e38), ANY),
        ("units 7", ("<B", 123, 7), REFUSED),
        ("units 255", ("<B", 123, 255), REFUSED),
        ("step nan", ("<f", 92, float("nan")), ANY),
        ("affine nan", ("<f", 280, float("nan")), REFUSED),
        ("affine inf", ("<f", 280, float("inf")), REFUSED),
        ("affine singular", ("<f", 280, 0.0), REFUSED),
        ("affine sheared", ("<f", 284, 2.0), REFUSED),
        ("magic", ("<4s", 344, b"xxxx"), REFUSED),
        ("magic of a pair", ("<4s", 344, b"ni1\0"), ANY),
        ("extension", ("<4s", 348, b"\1\0\0\0"), ANY),
    ):
        content = bytearray(plain)
        struct.pack_into(form, content, at, value)
        yield single("nifti", name, bytes(content), verdict, ending=".nii")
    packed = gzip.compress(plain, mtime=0)
    for name, content in {
        "empty": b"",
        "header only": plain[:352],
        "half a header": plain[:100],
        "one value less": plain[:-4],
        "text": b"not an image" * 40,
    }.items():
        yield single("nifti", name, content, REFUSED, ending=".nii")
    for name, content in {
        "packed, cut": packed[:-20],
        "packed, no trailer": packed[:-8],
        "packed, damaged": packed[:60] + bytes(8) + packed[68:],
        "packed twice": gzip.compress(packed, mtime=0),
        "packed nothing": gzip.compress(b"", mtime=0),
        "not packed": plain,
        "packed zeros": gzip.compress(bytes(64 << 20), mtime=0),
        "packed behind a lie": gzip.compress(_promising(32767) + bytes(8 << 20), mtime=0),
    }.items():
        verdict = (
            ANY if name in ("not packed", "packed, no trailer", "packed, damaged") else REFUSED
        )
        yield single("nifti", name, content, verdict, ending=".nii.gz")
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        odd = values.copy()
        odd[1, 1, 1, 1] = value
        content = nibabel.Nifti1Image(odd, np.eye(4)).to_bytes()
        yield single("nifti", f"value {name}", content, REFUSED, ending=".nii")


def _promising(side: int) -> bytes:
    """Return a header of an image of so many values on each axis."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    content = bytearray(header.binaryblock)
    struct.pack_into("<8h", content, 40, 4, side, side, side, side, 1, 1, 1)
    struct.pack_into("<f", content, 108, 352.0)
    content[344:348] = b"n+1\0"
    return bytes(content) + bytes(4)


def _bart() -> Iterator[Case]:
    plane = fft2c(coil_images(n_coils=2, shape=(6, 4)))[0, 0].transpose(2, 1, 0)
    values = plane.astype("<c8").ravel(order="F").tobytes()
    for name, header, content in (
        ("zero", b"# Dimensions\n0 6 1 2\n", values),
        ("negative", b"# Dimensions\n-4 6 1 2\n", values),
        ("fractions", b"# Dimensions\n4.0 6 1 2\n", values),
        ("huge", b"# Dimensions\n99999999999 99999999999\n", values),
        ("product", b"# Dimensions\n65536 65536 65536\n", values),
        ("too many", b"# Dimensions\n" + b"1 " * 40, values),
        ("none", b"# Dimensions\n\n", values),
        ("no title", b"4 6 1 2\n", values),
        ("empty header", b"", values),
        ("binary header", bytes(range(256)), values),
        ("foreign digits", "# Dimensions\n\u0664 6 1 2\n".encode(), values),
        ("short", b"# Dimensions\n4 6 1 2\n", values[:-8]),
        ("long", b"# Dimensions\n4 6 1 2\n", values + bytes(8)),
        ("no values", b"# Dimensions\n4 6 1 2\n", b""),
        ("not finite", b"# Dimensions\n4 6 1 2\n", b"\xff" * len(values)),
        ("zeros", b"# Dimensions\n4 6 1 2\n", bytes(len(values))),
    ):
        files = {"file.hdr": header, "file.cfl": content}
        yield Case(kind="bart", name=name, files=files, verdict=REFUSED)
    yield Case(kind="bart", name="no header", files={"file.cfl": values}, verdict=REFUSED)
    alone = {"file.hdr": b"# Dimensions\n4 6 1 2\n"}
    yield Case(kind="bart", name="header alone", files=alone, verdict=REFUSED)


def _numpy() -> Iterator[Case]:
    small = fft2c(coil_images(n_coils=2, shape=(8, 6)))[0, 0]
    packed = BytesIO()
    np.save(packed, small)
    whole = packed.getvalue()
    dictionary = b"{'descr': '<c8', 'fortran_order': False, 'shape': (2, 8, 6), }"

    def told(text: bytes, body: bytes = whole[128:]) -> bytes:
        padded = text.ljust(117) + b"\n"
        return b"\x93NUMPY\1\0" + struct.pack("<H", len(padded)) + padded + body

    for name, content, verdict in (
        ("objects", told(dictionary.replace(b"<c8", b"|O")), ANY),
        ("code for a type", told(dictionary.replace(b"'<c8'", b"__import__('os')")), ANY),
        ("huge", told(dictionary.replace(b"(2, 8, 6)", b"(2, 99999999999)")), REFUSED),
        ("negative", told(dictionary.replace(b"(2, 8, 6)", b"(2, -8, 6)")), REFUSED),
        ("cut", whole[:-8], REFUSED),
        ("header only", whole[:128], REFUSED),
        ("not finite", told(dictionary, b"\xff" * len(whole[128:])), REFUSED),
        ("zeros", told(dictionary, bytes(len(whole[128:]))), REFUSED),
        ("version 9", whole[:6] + b"\x09\0" + whole[8:], ANY),
        ("empty", b"", ANY),
        ("text", b"not an array", ANY),
    ):
        yield single("numpy", name, content, verdict, ending=".npy")


@cache
def _made() -> dict[str, bytes]:
    """Return files that their own packages write, made once."""
    small = fft2c(coil_images(n_coils=1, shape=(8, 6)))
    with TemporaryDirectory() as name:
        folder = Path(name)
        Mrd(kspace=small).write(folder / "whole.mrd")
        for which, xml in XML.items():
            Mrd(kspace=small, xml=xml).write(folder / f"{which}.xml.mrd")
        write_twix(folder / "whole.dat", oversampled(coil_images(n_coils=1)[0, 0]))
        write_video(folder / "whole.mp4", 6)
        write_video(folder / "whole.mkv", 6)
        with h5py.File(folder / "external.h5", "w") as file:
            file.create_dataset(
                "kspace", (1, 1, 8, 6), np.complex64, external=[("/etc/hostname", 0, 384)]
            )
        with h5py.File(folder / "link.h5", "w") as file:
            file["kspace"] = h5py.ExternalLink("/etc/hostname", "/kspace")
        with h5py.File(folder / "soft.h5", "w") as file:
            file["kspace"] = h5py.SoftLink("/kspace")
        with h5py.File(folder / "bomb.h5", "w") as file:
            file.create_dataset(
                "kspace",
                (64, 4, 512, 512),
                np.complex64,
                compression="gzip",
                chunks=(1, 1, 512, 512),
            )
        with h5py.File(folder / "huge.h5", "w") as file:
            file.create_dataset(
                "kspace", (1 << 20, 16, 512, 512), np.complex64, chunks=(1, 1, 8, 8)
            )
        with h5py.File(folder / "text.h5", "w") as file:
            file["kspace"] = "not samples"
        with h5py.File(folder / "flat.h5", "w") as file:
            file["kspace"] = np.ones(8, np.complex64)
        with h5py.File(folder / "zeros.h5", "w") as file:
            file["kspace"] = np.zeros((1, 1, 8, 6), np.complex64)
        with h5py.File(folder / "nan.h5", "w") as file:
            file["kspace"] = np.full((1, 1, 8, 6), np.nan, np.complex64)
        with h5py.File(folder / "nothing.h5", "w"):
            pass
        return {path.name: path.read_bytes() for path in folder.iterdir()}


XML = {
    "laughs": "<!DOCTYPE a [<!ENTITY b 'haha'><!ENTITY c '&b;&b;&b;'>]>"
    "<ismrmrdHeader>&c;</ismrmrdHeader>",
    "foreign": "<!DOCTYPE a [<!ENTITY b SYSTEM '/etc/passwd'>]><ismrmrdHeader>&b;</ismrmrdHeader>",
    "none": "not xml",
    "empty": " ",
    "open": "<ismrmrdHeader><encoding>",
    "deep": "<ismrmrdHeader>" + "<a>" * 5000 + "</a>" * 5000 + "</ismrmrdHeader>",
    "no encoding": "<ismrmrdHeader></ismrmrdHeader>",
    "matrix of 0": "<ismrmrdHeader><encoding><encodedSpace><matrixSize><x>0</x><y>0</y><z>0</z>"
    "</matrixSize></encodedSpace></encoding></ismrmrdHeader>",
    "other root": "<html><body/></html>",
}


def _hdf5() -> Iterator[Case]:
    for name in ("external", "link", "soft", "bomb", "huge", "text", "flat", "zeros", "nan"):
        yield single("hdf5", name, _made()[f"{name}.h5"], REFUSED, ending=".h5")
    yield single("hdf5", "nothing in it", _made()["nothing.h5"], ANY, ending=".h5")
    whole = _made()["whole.mrd"]
    for name, content in {
        "signature only": whole[:8],
        "half": whole[: len(whole) // 2],
        "last byte": whole[:-1],
        "empty": b"",
        "no signature": b"not HDF5" * 20,
        "end of file lies": whole[:40] + b"\xff" * 8 + whole[48:],
        "root lies": whole[:56] + b"\xff" * 8 + whole[64:],
    }.items():
        verdict = ANY if name == "root lies" else REFUSED
        yield single("hdf5", name, content, verdict, ending=".h5")


def _mrd() -> Iterator[Case]:
    for name in XML:
        yield single("mrd", f"XML {name}", _made()[f"{name}.xml.mrd"], REFUSED, ending=".mrd")


def _twix() -> Iterator[Case]:
    whole = _made()["whole.dat"]
    size = struct.pack("<I", 0xFFFFFFFF)
    for name, content, verdict in (
        ("half", whole[: len(whole) // 2], REFUSED),
        ("no last block", whole[:-600], REFUSED),
        (
            "protocol of no length",
            whole.replace(b"lPhaseEncodingLines = 32", b"lPhaseEncodingLines = 0 "),
            REFUSED,
        ),
        (
            "lines negative",
            whole.replace(b"lPhaseEncodingLines = 32", b"lPhaseEncodingLines =-32"),
            REFUSED,
        ),
        (
            "lines of text",
            whole.replace(b"lPhaseEncodingLines = 32", b"lPhaseEncodingLines = xx"),
            REFUSED,
        ),
        (
            "lines without end",
            whole.replace(b"lPhaseEncodingLines = 32", b"lPhaseEncodingLines =9e9"),
            REFUSED,
        ),
        ("view nan", whole.replace(b"dReadoutFOV = 48.0", b"dReadoutFOV = nan "), ANY),
        ("oversampling -1", whole.replace(b"ForDialog = 0.6", b"ForDialog = -1 "), ANY),
        ("header lies", whole[:16] + size + whole[20:], ANY),
        ("zeros behind", whole[: len(whole) // 2] + bytes(len(whole) // 2), REFUSED),
    ):
        yield single("twix", name, content, verdict, ending=".dat")
    deep = whole.replace(b"asSlice[0].dThickness", b"asSlice[999999].dThick")
    yield single("twix", "index without end", deep, REFUSED, ending=".dat")


def _video() -> Iterator[Case]:
    film, other = _made()["whole.mp4"], _made()["whole.mkv"]
    for name, content, verdict in (
        ("empty", b"", REFUSED),
        ("text", b"not a film" * 50, REFUSED),
        ("half", film[: len(film) // 2], ANY),
        ("no index", film.replace(b"moov", b"free"), ANY),
        ("no data", film.replace(b"mdat", b"free"), ANY),
        ("box of no length", film[:32] + bytes(4) + film[36:], ANY),
        ("huge box", film[:32] + b"\x7f\xff\xff\xff" + film[36:], ANY),
        ("playlist", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", REFUSED),
        ("concatenation", b"ffconcat version 1.0\nfile /etc/passwd\n", REFUSED),
        ("picture", b"\x89PNG\r\n\x1a\n" + bytes(100), REFUSED),
    ):
        yield single("video", name, content, verdict, ending=".mp4")
    yield single("video", "mkv, half", other[: len(other) // 2], ANY, ending=".mkv")
    yield single(
        "video",
        "mkv, no tracks",
        other.replace(b"\x16\x54\xae\x6b", b"\xec\xec\xec\xec"),
        ANY,
        ending=".mkv",
    )
    times = {
        "a.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "b.png": b"",
        "times.csv": b"file,t\na.png,0\nb.png,nan\n",
    }
    yield Case(kind="video", name="pictures that are none", files=times, verdict=ANY)
