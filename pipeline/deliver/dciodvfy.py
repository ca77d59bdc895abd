"""What dicom3tools' dciodvfy says of an object, where it is installed.

Its lines may quote values. Every value of the object that can identify somebody is cut out, and so
is whatever stands between quotes or angle brackets that is no name of an attribute.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydicom.datadict import dictionary_description, keyword_dict, tag_for_keyword
from pydicom.dataset import Dataset

from pipeline.config import DCIODVFY
from pipeline.errors import UnusableCall

_IF_INSTALLED, ALWAYS, NEVER = DCIODVFY

TIMEOUT_S = 120.0
"""Longest time that one object may take [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FalseError:
    """An error of the program that is none."""

    line: re.Pattern[str]
    """What its line looks like."""

    reason: str
    """Why it is none."""

    character_set: str = ""
    """Only under a Specific Character Set (0008,0005) with this term; else under all."""


FALSE_ERRORS = (
    FalseError(
        line=re.compile(
            r"Value invalid for this VR .* (PN|LO|SH|ST|LT|UC|UT) .*"
            r"Character invalid for (this VR|character repertoire .*) = .*"
            r"\(0x(a[1-9a-f]|[bcd][0-9a-f])\)"
        ),
        reason="half-width katakana are characters of ISO_IR 13 (PS3.3, C.12.1.1.2)",
        character_set="IR 13",
    ),
    FalseError(
        line=re.compile("Dicom dataset contains invalid data values for Value Representations"),
        reason="a summary of errors that have lines of their own",
    ),
)
"""Errors that were seen on objects that the standard allows, with the reason."""

TEXT = frozenset(
    {"AE", "AS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
"""VRs whose values are cut out of what is told."""

_NAME = re.compile(r"</?([^<>()/]+)(\([0-9a-fA-F]{4},[0-9a-fA-F]{4}\)[^<>\s]*)?>")
_QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'( \(0x\w+\))?|<[^<>]*>")


def program() -> Path | None:
    """Return the program: on the path, or beside the interpreter; None if there is none."""
    found = shutil.which("dciodvfy")
    beside = Path(sys.executable).with_name("dciodvfy")
    return Path(found) if found else beside if beside.exists() else None


def errors(path: Path, dataset: Dataset, when: str) -> Iterator[str]:
    """Yield the errors that dciodvfy finds in an object, without its values.

    Parameters
    ----------
    path
        Its file.
    dataset
        As read from it.
    when
        One of ``DCIODVFY``.

    Raises
    ------
    UnusableCall
        If it is required and not installed.
    """
    if when == NEVER:
        return
    found = program()
    if found is None:
        if when == ALWAYS:
            raise UnusableCall("gate.dciodvfy is required, and dciodvfy is not installed")
        return
    try:
        ran = subprocess.run(  # noqa: S603 - a program of the installation, a path as argument
            [found, path], capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        yield f"dciodvfy: no answer within {TIMEOUT_S:.0f} s"
        return
    hidden = _values(dataset)
    declared = str(dataset.get("SpecificCharacterSet", ""))
    false = [e.line for e in FALSE_ERRORS if e.character_set in declared]
    for line in (ran.stdout + ran.stderr).decode("latin-1").splitlines():
        if line.startswith("Error") and not any(known.search(line) for known in false):
            yield f"dciodvfy: {without_values(line, hidden)}"


def without_values(line: str, hidden: list[str]) -> str:
    """Return a line without the values of an object, and without what is quoted."""
    names: list[str] = []

    def keep(match: re.Match[str]) -> str:
        if match[1] not in _attribute_names():
            return match[0]
        names.append(match[0])
        return f"\0{len(names) - 1}\0"

    line = _NAME.sub(keep, line)
    for value in hidden:
        line = line.replace(value, "...")
    line = _QUOTED.sub("...", line)
    return re.sub(r"\0(\d+)\0", lambda match: names[int(match[1])], line)


@lru_cache(maxsize=1)
def _attribute_names() -> frozenset[str]:
    """Return the keywords and the names of all attributes, which are no values."""
    tags = (tag_for_keyword(keyword) for keyword in keyword_dict)
    found = {dictionary_description(tag) for tag in tags if tag is not None}
    return frozenset(found | set(keyword_dict))


def _values(dataset: Dataset) -> list[str]:
    """Return the text of an object as it may stand in a line, the longest first."""
    found = set()
    for element in dataset.iterall():
        if element.VR in TEXT and element.value:
            values = element.value if isinstance(element.value, list) else [element.value]
            for value in (str(v) for v in values):
                parts = [value, *re.split(r"[\^=]", value)]
                forms = {p.encode("utf-8", "replace").decode("latin-1") for p in parts}
                found |= {p for p in (*parts, *forms) if len(p) > 1}
    return sorted(found, key=len, reverse=True)
