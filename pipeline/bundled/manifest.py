"""A manifest: which series an imported model takes, and what its labels are.

TOML, parsed once. The import writes it into the bundle, whose digest then covers it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pipeline.encode.labels import Coded, LabelledStructure
from pipeline.errors import UnusableCall
from pipeline.routing.attributes import Attributes
from pipeline.routing.rules import Condition, conditions
from pipeline.tomlrecords import read_toml, refuse_unknown

NAME = re.compile(r"[a-z][a-z0-9]{1,31}")
"""Name of an analysis: it begins the names of folders."""

TAKEN = ("perfusion", "reconstruction", "phases")
"""Names of the analyses that ship."""

OUTPUTS = ("segmentation", "report", "nifti")
"""Kinds of files that can be asked for."""

LARGEST_LABEL = 255
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LABEL_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LABEL_KEYS = ("value", "name", "label", "category", "type", "region", "colour")


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteManifest:
    """What a site says of a model."""

    analysis: str
    """Name of the analysis."""

    takes: tuple[Condition, ...]
    """Conditions on a series that must all hold."""

    leaves: tuple[Condition, ...]
    """Conditions on a series of which none may hold."""

    labels: tuple[LabelledStructure, ...]
    """What the labels are, in the order of the segments."""

    outputs: tuple[str, ...]
    """Some of ``OUTPUTS``."""

    def why_not(self, found: Attributes) -> str | None:
        """Return which condition a series does not meet; None if it meets all."""
        for condition in self.takes:
            if not condition.holds(found):
                return f"{self.analysis} takes a series only where {condition}"
        for condition in self.leaves:
            if condition.holds(found):
                return f"{self.analysis} takes no series where {condition}"
        return None


def read_manifest(path: Path) -> dict[str, object]:
    """Return the document of a manifest, checked.

    Raises
    ------
    UnusableCall
        If the file cannot be read, or holds a key or a value that is not possible.
    """
    document = read_toml(path)
    try:
        parse_manifest(document)
    except UnusableCall as problem:
        raise UnusableCall(f"{path}: {problem}") from problem
    return document


def parse_manifest(document: Mapping[str, object]) -> SiteManifest:
    """Return the manifest that a document holds.

    Raises
    ------
    UnusableCall
        If it holds a key or a value that is not possible.
    """
    known = dict.fromkeys(("name", "takes", "unless", "labels", "outputs"))
    refuse_unknown(document, known, "")
    analysis = document.get("name")
    if not isinstance(analysis, str) or not NAME.fullmatch(analysis) or analysis in TAKEN:
        raise UnusableCall(
            f"name is {analysis!r}, needed are lower-case letters and digits, and not "
            f"{', '.join(TAKEN)}"
        )
    takes = conditions(document.get("takes", {}), "takes")
    if not any(c.attribute == "modality" for c in takes):
        raise UnusableCall("takes.modality is missing: which modality is the model made for?")
    return SiteManifest(
        analysis=analysis,
        takes=takes,
        leaves=conditions(document.get("unless", {}), "unless"),
        labels=_labels(document.get("labels")),
        outputs=_outputs(document.get("outputs", list(OUTPUTS))),
    )


def _labels(value: object) -> tuple[LabelledStructure, ...]:
    """Return what the labels are."""
    if not isinstance(value, list) or not value:
        raise UnusableCall("labels is no list of tables: write [[labels]]")
    found = tuple(_label(_table(item, at), at) for at, item in _numbered("labels", value))
    for what, values in (
        ("value", [str(f.value) for f in found]),
        ("name", [f.name for f in found]),
    ):
        if len(set(values)) < len(values):
            raise UnusableCall(f"labels: two have the same {what}")
    return found


def _label(table: Mapping[str, object], at: str) -> LabelledStructure:
    """Return what one label is."""
    refuse_unknown(table, dict.fromkeys(_LABEL_KEYS), f"{at}.")
    value, name = table.get("value"), table.get("name")
    if type(value) is not int or not 1 <= value <= LARGEST_LABEL:
        raise UnusableCall(f"{at}.value is {value!r}, needed is a whole number from 1 to 255")
    if not isinstance(name, str) or not _LABEL_NAME.fullmatch(name):
        raise UnusableCall(
            f"{at}.name is {name!r}, needed are lower-case letters, digits and underscores"
        )
    region = table.get("region")
    return LabelledStructure(
        value=value,
        name=name,
        label=_text(table.get("label", name.replace("_", " ").capitalize()), f"{at}.label"),
        category=_coded(table.get("category"), f"{at}.category"),
        kind=_coded(table.get("type"), f"{at}.type"),
        region=None if region is None else _coded(region, f"{at}.region"),
        colour=_colour(table.get("colour", "#2ca02c"), f"{at}.colour"),
    )


def _coded(value: object, at: str) -> Coded:
    """Return a code: ``{ code, meaning }``, of SNOMED CT if no scheme is named."""
    table = _table(value, at)
    refuse_unknown(table, dict.fromkeys(("code", "meaning", "scheme")), f"{at}.")
    return Coded(
        value=_text(table.get("code"), f"{at}.code", longest=16),
        scheme=_text(table.get("scheme", "SCT"), f"{at}.scheme", longest=16),
        meaning=_text(table.get("meaning"), f"{at}.meaning"),
    )


def _colour(value: object, at: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255."""
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise UnusableCall(f"{at} is {value!r}, needed is a colour such as #2ca02c")
    red, green, blue = bytes.fromhex(value[1:])
    return red, green, blue


def _outputs(value: object) -> tuple[str, ...]:
    """Return which kinds of files are written."""
    if not isinstance(value, list) or not value or not all(v in OUTPUTS for v in value):
        raise UnusableCall(f"outputs is {value!r}, possible is a list of {', '.join(OUTPUTS)}")
    if "report" in value and "segmentation" not in value:
        raise UnusableCall("outputs has a report without the segmentation that it refers to")
    return tuple(str(v) for v in value)


def _text(value: object, at: str, longest: int = 64) -> str:
    """Return a text that a DICOM attribute can hold."""
    possible = isinstance(value, str) and value.strip() == value and value.isprintable()
    if not isinstance(value, str) or not possible or not 1 <= len(value) <= longest:
        raise UnusableCall(f"{at} is {value!r}, needed is a text of up to {longest} characters")
    if "\\" in value:
        raise UnusableCall(f"{at} has a backslash, which divides values in DICOM")
    return value


def _table(value: object, at: str) -> Mapping[str, object]:
    """Return a table."""
    if not isinstance(value, dict):
        raise UnusableCall(f"{at} is no table")
    return cast("dict[str, object]", value)


def _numbered(name: str, values: Sequence[object]) -> list[tuple[str, object]]:
    """Return values with how messages name them."""
    return [(f"{name}[{number}]", value) for number, value in enumerate(values, start=1)]
