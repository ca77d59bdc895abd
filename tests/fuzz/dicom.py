"""Files of DICOM: one alone, a stack whose elements are changed, and pixels for the decoders."""

from copy import deepcopy
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from pipeline.demo import add_file_meta
from pipeline.errors import PipelineError
from pipeline.ingest.decoding import Decoder
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.limits import Limits
from pipeline.ingest.pixelmodule import COMPRESSED
from tests.fuzz.target import Target
from tests.ingest.test_syntaxes import write_compressed, write_jpeg_lossless
from tests.support.encoded import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element, encoded, meta
from tests.support.geometry import affine_of, series_on
from tests.support.traps import AXIAL, instances_of, stack
from tests.support.vendors import write_enhanced, write_ge_style, write_philips_style
from tests.support.videos import write_dicom_video

LIMITS = Limits(max_pixel_bytes=64 << 20, max_inflated_bytes=32 << 20, free_inflated_bytes=1 << 20)
"""Smaller than a site's, so that an input that is let in is read within a moment."""

CHANGED = (
    (0x00080008, "CS"),
    (0x00080018, "UI"),
    (0x00080022, "DA"),
    (0x00080032, "TM"),
    (0x00100010, "PN"),
    (0x00100020, "LO"),
    (0x00180050, "DS"),
    (0x00181060, "DS"),
    (0x0020000D, "UI"),
    (0x0020000E, "UI"),
    (0x00200012, "IS"),
    (0x00200013, "IS"),
    (0x00200032, "DS"),
    (0x00200037, "DS"),
    (0x00200052, "UI"),
    (0x00200100, "IS"),
    (0x00200105, "IS"),
    (0x00201002, "IS"),
    (0x00201041, "DS"),
    (0x00280002, "US"),
    (0x00280004, "CS"),
    (0x00280008, "IS"),
    (0x00280010, "US"),
    (0x00280011, "US"),
    (0x00280030, "DS"),
    (0x00280100, "US"),
    (0x00280101, "US"),
    (0x00280102, "US"),
    (0x00280103, "US"),
    (0x00281052, "DS"),
    (0x00281053, "DS"),
)
"""Elements that decide where an image of a stack lies, and how they are represented."""

N_IMAGES = 4


def read_file(content: bytes, folder: Path) -> None:
    """Take stock of one file, and read its pixels where no decoder is needed for them."""
    path = folder / "input.dcm"
    path.write_bytes(content)
    inventory = take_inventory([path], limits=LIMITS)
    for candidate in inventory.candidates:
        if candidate.modality != "ES" and not _is_compressed(content):
            try:
                candidate.load()
            except PipelineError:
                continue


def files(folder: Path) -> list[bytes]:
    """Return sound files of several kinds and makers, in each encoding."""
    paths = [
        *write_enhanced(stack(2, n_slices=2), folder / "enhanced", name="enhanced"),
        write_ge_style(stack(2, n_slices=1), folder / "ge", name="ge")[0],
        write_philips_style(stack(2, n_slices=1), folder / "philips", name="philips")[0],
        write_dicom_video(folder / "video.dcm", 5),
    ]
    elements = _elements(instances_of(stack(1, n_slices=1))[0])
    encodings = [
        meta("2.25.1", syntax) + encoded(list(elements.values()), syntax)
        for syntax in (EXPLICIT, IMPLICIT, BIG, DEFLATED)
    ]
    return [path.read_bytes() for path in paths] + encodings


def read_stack(edits: bytes, folder: Path) -> None:
    """Change elements of a small stack as an input says, and take stock of it.

    An edit is the number of an image, that of an element, the length of a value and the value.
    """
    images = [dict(elements) for elements in _stack()]
    at = 0
    while at + 3 <= len(edits):
        image, element, length = edits[at : at + 3]
        value = edits[at + 3 : at + 3 + length]
        tag, kind = CHANGED[element % len(CHANGED)]
        targets = images if image == 0xFF else [images[image % N_IMAGES]]
        for changed in targets:
            changed[tag] = Element(tag, kind, value + bytes(len(value) % 2))
        at += 3 + length
    for number, elements in enumerate(images):
        ordered = [elements[tag] for tag in sorted(elements)]
        content = meta(f"2.25.{number + 1}", EXPLICIT) + encoded(ordered, EXPLICIT)
        (folder / f"{number}").write_bytes(content)
    take_inventory([folder], limits=LIMITS)


def edits(_: Path) -> list[bytes]:
    """Return edits that change nothing, one for each element of each image, and odd values."""
    found = [
        bytes((number, index, len(one.value))) + bytes(one.value)
        for number, elements in enumerate(_stack())
        for index, (tag, _) in enumerate(CHANGED)
        if (one := elements.get(tag)) is not None
    ]
    odd = (b"", b"nan", b"1e400", b"-0", b"0\\0\\0", b"1\\0\\0\\0\\1\\0", b"\xff\xff", b"240000")
    found += [
        bytes((1, index, len(value))) + value for index in range(len(CHANGED)) for value in odd
    ]
    return found


def read_pixels(content: bytes, folder: Path) -> None:
    """Give a file to the process that decodes, which may be lost on it."""
    try:
        _decoder().decode(content, LIMITS.max_pixel_bytes)
    except PipelineError as problem:
        if "the process that reads it" in str(problem):
            _DECODERS.pop().close()


def pixels(folder: Path) -> list[bytes]:
    """Return files whose pixels each decoder reads."""
    affine = affine_of(AXIAL, (8.0, 2.0, 1.5), (0.0, 0.0, 0.0))
    instance = instances_of(series_on(affine, (1, 1, 40, 36)))[0]
    writers = {
        JPEG2000Lossless: write_compressed,
        JPEGLSLossless: write_compressed,
        RLELossless: write_compressed,
        JPEGLosslessSV1: write_jpeg_lossless,
    }
    found = []
    for syntax, write in writers.items():
        write(deepcopy(instance), folder / "compressed.dcm", syntax)
        found.append((folder / "compressed.dcm").read_bytes())
    return found


_DECODERS: list[Decoder] = []


def _decoder() -> Decoder:
    """Return the process that decodes; another one after it was lost."""
    if not _DECODERS:
        _DECODERS.append(Decoder())
    return _DECODERS[0]


def _is_compressed(content: bytes) -> bool:
    """Tell whether a file names a compressed transfer syntax."""
    return any(str(syntax).encode() in content[:600] for syntax in COMPRESSED)


_STACK: list[dict[int, Element]] = []


def _stack() -> list[dict[int, Element]]:
    """Return the elements of each image of a stack, made once."""
    if not _STACK:
        _STACK.extend(_elements(one) for one in instances_of(stack(1, n_slices=N_IMAGES)))
    return _STACK


def _elements(instance: Dataset) -> dict[int, Element]:
    """Return the elements of an instance, sequences left out, encoded one by one."""
    content = BytesIO()
    add_file_meta(instance)
    instance.save_as(content, enforce_file_format=True)
    found = {}
    for element in dcmread(BytesIO(content.getvalue())).values():
        if isinstance(element, RawDataElement) and element.VR not in (None, "SQ"):
            found[int(element.tag)] = Element(
                int(element.tag), str(element.VR), element.value or b""
            )
    return found


TARGETS = {
    "dicom": Target(read=read_file, seeds=files, brought="pydicom", n_tried=200),
    "series": Target(read=read_stack, seeds=edits, longest=1024, n_tried=50),
    "decoder": Target(read=read_pixels, seeds=pixels, brought="pydicom", n_tried=30),
}
