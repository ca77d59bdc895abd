"""The gate: tells whether one DICOM object is fit to leave.

A problem names the attribute by keyword and tag, the rule and its source, and never a value.
Nothing is repaired here. What is checked: the file and its meta information (PS3.10), the encoding
of every element (PS3.5), the attributes of types 1 and 2 of the mandatory modules (PS3.3), pixel
data against their description, derived objects by reading them back, and dciodvfy's judgement.
"""

from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID

from pipeline.config import GateSettings
from pipeline.deliver.dciodvfy import errors
from pipeline.deliver.elementrules import broken_rules, named
from pipeline.deliver.wholeness import incomplete_structure, wrong_meta, wrong_pixels
from pipeline.encode.readback import unreadable
from pipeline.encode.standard import Lack, is_known, lacks
from pipeline.ingest.attributes import tag_text
from pipeline.ingest.dicomfile import PARSE_ERRORS, PREAMBLE
from pipeline.quiet import quietly

MOST = 50
"""Problems that are told of one object."""

_DEFAULT = GateSettings()


def check(path: Path, settings: GateSettings = _DEFAULT) -> tuple[str, ...]:
    """Return the problems of one DICOM object; empty if it may leave.

    Parameters
    ----------
    path
        Its file.
    settings
        How strict the gate is.

    Raises
    ------
    UnusableCall
        If dciodvfy is required and not installed.
    """
    try:
        with quietly():
            found = list(dict.fromkeys(_problems(path, settings)))
    except OSError as problem:
        return (f"the file cannot be read ({problem.strerror})",)
    if len(found) > MOST:
        found[MOST:] = [f"{len(found) - MOST} more problems"]
    return tuple(found)


def _problems(path: Path, settings: GateSettings) -> Iterator[str]:
    """Yield the problems of an object; what cannot be read is not judged further."""
    with path.open("rb") as file:
        if file.read(PREAMBLE + 4)[PREAMBLE:] != b"DICM":
            yield "no DICOM file: no preamble with DICM at byte 128 [PS3.10 7.1]"
            return
    dataset = _read(path)
    if dataset is None:
        yield "the file cannot be parsed [PS3.10 7.1]"
        return
    cut = list(incomplete_structure(path, UID(dataset.file_meta.get("TransferSyntaxUID", ""))))
    yield from cut
    if cut:
        return
    try:
        yield from broken_rules(dataset)
        yield from broken_rules(dataset.file_meta)
        yield from wrong_meta(dataset)
        yield from _wrong_modules(dataset)
        yield from wrong_pixels(path, dataset)
        yield from unreadable(path, dataset)
    except PARSE_ERRORS:
        # Not chained: pydicom's text quotes values.
        yield "an element cannot be parsed [PS3.5 7.1]"
        return
    yield from errors(path, dataset, settings.dciodvfy)


def _read(path: Path) -> Dataset | None:
    """Return the data set of a file, read without force; None if that cannot be done."""
    try:
        return pydicom.dcmread(path, force=False)
    except PARSE_ERRORS:
        return None


def _wrong_modules(dataset: Dataset) -> Iterator[str]:
    """Yield attributes of types 1 and 2 that are missing, or empty where they must not be."""
    uid = str(dataset.get("SOPClassUID", ""))
    if not uid:
        yield f"{tag_text('SOPClassUID')}: type 1 and missing or empty [PS3.3 C.12.1]"
    elif not is_known(uid) and UID(uid).name == uid:
        yield f"{tag_text('SOPClassUID')}: no SOP class of PS3.6, A [PS3.4 B.5]"
    for lack in lacks(dataset):
        yield _told(lack)


def _told(lack: Lack) -> str:
    """Return what an attribute lacks, in words."""
    tag = pydicom.datadict.tag_for_keyword(lack.keyword) or 0
    how = "empty" if lack.is_empty else "missing"
    return f"{named(tag, lack.path)}: type {lack.kind} and {how} [PS3.3 module {lack.module}]"
