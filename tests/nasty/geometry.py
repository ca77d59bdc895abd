"""Images whose place in the patient is none, and series that look sound and are not."""

from collections.abc import Iterator
from copy import deepcopy
from io import BytesIO

from pydicom.dataset import Dataset

from pipeline.demo import add_file_meta
from tests.nasty.case import Case, Verdict, changed, file_of, single, sound, text, without
from tests.support.encoded import Element
from tests.support.traps import (
    ACCEPTED as HARMLESS,
)
from tests.support.traps import REFUSED as TRAPS
from tests.support.traps import instances_of, stack, with_each, with_one
from tests.support.traps import without as lacking

REFUSED, ACCEPTED, ANY = Verdict.REFUSED, Verdict.ACCEPTED, Verdict.ANY

SPACING, POSITION, ORIENTATION = 0x00280030, 0x00200032, 0x00200037

SPACINGS = (
    "0\\0",
    "-1\\1",
    "1\\-1",
    "nan\\1",
    "1\\nan",
    "inf\\1",
    "1e400\\1",
    "1",
    "1\\1\\1",
    "",
    "\\",
    "a\\b",
    "1,5\\1,5",
    "1\\0",
    "0x1\\0x1",
)
POSITIONS = (
    "nan\\0\\0",
    "0\\inf\\0",
    "0\\0\\1e400",
    "0\\0",
    "0\\0\\0\\0",
    "",
    "\\\\",
    "a\\b\\c",
    "0;0;0",
)
ORIENTATIONS = (
    "0\\0\\0\\0\\0\\0",
    "1\\0\\0\\1\\0\\0",
    "1\\0\\0\\-1\\0\\0",
    "2\\0\\0\\0\\2\\0",
    "1\\0\\0\\0.5\\1\\0",
    "nan\\0\\0\\0\\1\\0",
    "inf\\0\\0\\0\\1\\0",
    "1\\0\\0\\0\\1",
    "1\\0\\0\\0\\1\\0\\0",
    "",
    "R\\A",
    "1e400\\0\\0\\0\\1\\0",
)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _places()
    yield from _odd_numbers()
    yield from _traps()


def _places() -> Iterator[Case]:
    """Change one attribute of the place of an image."""
    for tag, name, values in (
        (SPACING, "spacing", SPACINGS),
        (POSITION, "position", POSITIONS),
        (ORIENTATION, "orientation", ORIENTATIONS),
    ):
        for value in values:
            elements = changed(sound(f"geometry {name} {value}"), text(tag, "DS", value))
            shown = value.replace("\\", " ").strip() or f"{len(value)} backslashes"
            yield single("geometry", f"{name} {shown}", file_of(elements), REFUSED)
        missing = without(sound(f"geometry no {name}"), tag)
        yield single("geometry", f"no {name}", file_of(missing), REFUSED)
        binary = changed(sound(f"geometry binary {name}"), Element(tag, "DS", b"\xff\xfe\0\x80"))
        yield single("geometry", f"{name} binary", file_of(binary), REFUSED)
    for name, value in (("tiny", "1e-300\\1e-300"), ("huge", "1e300\\1e300")):
        elements = changed(sound(f"geometry {name}"), text(SPACING, "DS", value))
        yield single("geometry", f"spacing {name}", file_of(elements), ANY)
    far = changed(sound("geometry far"), text(POSITION, "DS", "1e300\\1e300\\1e300"))
    yield single("geometry", "position far", file_of(far), ANY)


def _odd_numbers() -> Iterator[Case]:
    """Change numbers and times beside the place, which alone must not stop an image."""
    for tag, kind, name, values in (
        (0x00200013, "IS", "instance number", ("", "-1", "99999999999999", "x", "1.5")),
        (0x00180050, "DS", "thickness", ("", "0", "-1", "nan", "x")),
        (0x00180088, "DS", "slice distance", ("", "0", "-1", "nan", "x")),
        (0x00201041, "DS", "slice location", ("", "nan", "x")),
        (0x00080032, "TM", "time", ("", "240000", "x", "-1", "256199")),
        (0x00080022, "DA", "date", ("", "20261332", "x", "-1")),
        (0x00181060, "DS", "trigger", ("", "nan", "-1", "1e400", "x")),
        (0x00200100, "IS", "temporal position", ("", "-1", "0", "99999999999", "x")),
        (0x00200105, "IS", "temporal positions", ("", "-1", "0", "99999999999", "x")),
        (0x00201002, "IS", "images in acquisition", ("", "-1", "0", "99999999999", "x")),
    ):
        for value in values:
            elements = changed(sound(f"numbers {name} {value}"), text(tag, kind, value))
            yield single("numbers", f"{name} {value or 'empty'}", file_of(elements), ANY)


def _traps() -> Iterator[Case]:
    """Series of which each file is sound."""
    for name, trap in TRAPS.items():
        yield _series(name, trap.change(_images(name)), REFUSED)
    for name, change in HARMLESS.items():
        yield _series(name, change(_images(name)), ACCEPTED)
    for name, change, verdict in (
        ("02 first slice missing", lacking(0), ACCEPTED),
        ("every other slice", lacking(1, 3, 5, 7), REFUSED),
        ("two left of nine", lacking(0, 1, 2, 3, 5, 6, 7), ANY),
        ("13 slope of each slice", with_each(RescaleSlope=lambda i: str(1 + i)), ACCEPTED),
        ("14 one without slope", with_one(3, RescaleSlope=None), ANY),
        ("15 another modality", with_one(3, Modality="CT"), ANY),
        ("16 another photometric", with_one(3, PhotometricInterpretation="MONOCHROME1"), ANY),
        ("17 position of each the same", with_each(ImagePositionPatient=lambda _: [0, 0, 0]), ANY),
        ("20 another birth date", with_one(3, PatientBirthDate="19010101"), REFUSED),
        ("21 no frame of reference", with_each(FrameOfReferenceUID=lambda _: ""), ANY),
        ("spacing of each another", with_each(PixelSpacing=lambda i: [1 + i, 1 + i]), REFUSED),
        ("one that is not MR", with_one(3, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), ANY),
        ("locations not in order", with_each(SliceLocation=lambda i: float((7 * i) % 9)), ACCEPTED),
    ):
        yield _series(name, change(_images(name)), verdict)
    copies = _images("copies")
    yield _series("every file twice", copies + deepcopy(copies), ACCEPTED)


def _images(name: str) -> list[Dataset]:
    return instances_of(stack(), f"nasty {name}")


def _series(name: str, images: list[Dataset], verdict: Verdict) -> Case:
    """Return a series as a case."""
    files = {}
    for number, image in enumerate(images):
        for element in list(image):
            if element.value is None and element.keyword != "PixelData":
                del image[element.tag]
        content = BytesIO()
        add_file_meta(image)
        image.save_as(content, enforce_file_format=True)
        files[f"{(number * 7) % 97:03d}-{number}"] = content.getvalue()
    return Case(kind="series", name=name, files=files, verdict=verdict)
