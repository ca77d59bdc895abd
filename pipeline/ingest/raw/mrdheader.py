"""The XML header of an MRD (ISMRMRD) file.

Document type declarations are refused, so no entity is ever expanded. Elements are found by their
local name, since files with and without the namespace exist.

References
----------
.. [MRD] ISMRM Raw Data format, schema/ismrmrd.xsd.
"""

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from pipeline.errors import UnreadableFile
from pipeline.ingest.limits import Limits

Triple = tuple[int, int, int]
"""Sizes along x, y and z."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """An encoded or reconstructed space."""

    matrix: Triple
    """Samples or pixels along readout, first and second phase encoding."""

    fov_mm: tuple[float, float, float] | None
    """Field of view [mm]; None where it is not positive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """How one encoding space was sampled."""

    encoded: Space
    """What was sampled, with oversampling."""

    recon: Space
    """What an image of it covers."""

    trajectory: str
    """``cartesian``, ``epi``, ``radial`` and so on, in lower case."""

    centre_1: int | None
    """Counter of the line at the origin of k-space, first phase encoding; None if not stated."""

    centre_2: int | None
    """The same for the second phase encoding."""

    calibration: str
    """Calibration mode of parallel imaging: ``embedded``, ``separate``; empty if not stated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MrdHeader:
    """The header, as far as it is used."""

    encodings: tuple[Encoding, ...]
    """Encoding spaces, at least one."""

    texts: dict[str, str]
    """Text of each element under subject, study, measurement and system information and sequence
    parameters, the first of each name, by its local name. Identifies a patient: never logged."""


def parse_header(content: bytes, name: str, limits: Limits) -> MrdHeader:
    """Parse a header.

    Parameters
    ----------
    content
        The XML.
    name
        The file's name, for messages.
    limits
        How long it may be.

    Raises
    ------
    UnreadableFile
        If it is longer than allowed, no XML in UTF-8, declares a document type, or lacks what every
        header has.
    """
    root = _parsed(content, name, limits.max_xml_bytes)
    encodings = [_encoding(e, name) for e in _children(root, "encoding")]
    if not encodings:
        raise UnreadableFile(f"{name}: the MRD header has no encoding")
    texts: dict[str, str] = {}
    for section in (
        "subjectInformation",
        "studyInformation",
        "measurementInformation",
        "acquisitionSystemInformation",
        "sequenceParameters",
    ):
        for element in _children(root, section):
            for leaf in element:
                if len(leaf) == 0 and leaf.text and leaf.text.strip():
                    texts.setdefault(_local(leaf), leaf.text.strip())
    return MrdHeader(encodings=tuple(encodings), texts=texts)


def _parsed(content: bytes, name: str, max_bytes: int) -> ET.Element:
    """Parse XML that has no document type."""
    if len(content) > max_bytes:
        raise UnreadableFile(f"{name}: an XML header of {len(content)} bytes, limit {max_bytes}")
    try:
        text = content.decode("utf-8-sig").strip("\0 \r\n\t")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{name}: the MRD header is not UTF-8") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UnreadableFile(f"{name}: the MRD header declares a document type or an entity")
    try:
        return ET.fromstring(text)  # noqa: S314 - without a document type there is no entity
    except ET.ParseError as error:
        raise UnreadableFile(f"{name}: the MRD header is no XML") from error


def _encoding(element: ET.Element, name: str) -> Encoding:
    """Return an encoding."""
    limits = _child(element, "encodingLimits")
    parallel = _child(element, "parallelImaging")
    return Encoding(
        encoded=_space(element, "encodedSpace", name),
        recon=_space(element, "reconSpace", name),
        trajectory=(_text(element, "trajectory") or "cartesian").lower(),
        centre_1=_centre(limits, "kspace_encoding_step_1"),
        centre_2=_centre(limits, "kspace_encoding_step_2"),
        calibration=(_text(parallel, "calibrationMode") or "").lower(),
    )


def _space(element: ET.Element, which: str, name: str) -> Space:
    """Return a space."""
    found = _child(element, which)
    size, view = _child(found, "matrixSize"), _child(found, "fieldOfView_mm")
    matrix = tuple(int(_number(size, axis) or 0) for axis in "xyz")
    fov = tuple(_number(view, axis) or 0.0 for axis in "xyz")
    if min(matrix) < 1:
        raise UnreadableFile(f"{name}: the MRD header has no positive matrix size in {which}")
    return Space(
        matrix=(matrix[0], matrix[1], matrix[2]),
        fov_mm=(fov[0], fov[1], fov[2]) if min(fov[:2]) > 0.0 else None,
    )


def _centre(limits: ET.Element | None, which: str) -> int | None:
    """Return the centre of a limit."""
    value = _number(_child(limits, which), "center")
    return None if value is None else int(value)


def _number(element: ET.Element | None, name: str) -> float | None:
    """Return the number that a child holds; None if it holds none that is finite."""
    text = _text(element, name)
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < 1e9 else None


def _text(element: ET.Element | None, name: str) -> str | None:
    """Return the text of a child."""
    child = _child(element, name)
    return child.text.strip() if child is not None and child.text else None


def _child(element: ET.Element | None, name: str) -> ET.Element | None:
    """Return the first child of a local name."""
    return next(iter(_children(element, name)), None) if element is not None else None


def _children(element: ET.Element, name: str) -> list[ET.Element]:
    """Return the children of a local name."""
    return [child for child in element if _local(child) == name]


def _local(element: ET.Element) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rsplit("}", 1)[-1]
