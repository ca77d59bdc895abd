"""What a site sets: one TOML file, parsed once into frozen records.

A key that is not known is an error, as is a value of another type: a misspelt setting that falls
back to its default would go unnoticed. The environment is not read here; the command line does.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard, TypeVar, get_type_hints

from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.analyses.reconstruction.settings import ReconstructionSettings
from pipeline.errors import UnusableCall

SEGMENTATION_TYPES = ("BINARY", "LABELMAP")
"""Values of Segmentation Type (0062,0001) that can be written."""

MR_IMAGE_TYPES = ("CLASSIC", "ENHANCED")
"""Forms of reconstructed MR images: an instance a frame, or one instance of all frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSettings:
    """What is written."""

    segmentation_types: tuple[str, ...] = ("BINARY",)
    """Segmentation Types (0062,0001): one DICOM object for each."""

    mr_image_types: tuple[str, ...] = ("CLASSIC",)
    """Forms of reconstructed MR images: ``CLASSIC``, ``ENHANCED`` or both."""

    complex_nifti: bool = False
    """Whether reconstructed images are also written with their phase, as complex NIfTI."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If a type is unknown or named twice.
        """
        named = (
            ("segmentation_types", self.segmentation_types, SEGMENTATION_TYPES),
            ("mr_image_types", self.mr_image_types, MR_IMAGE_TYPES),
        )
        for name, types, possible in named:
            if not types or len(set(types)) < len(types) or not set(types) <= set(possible):
                raise UnusableCall(
                    f"{name} is {list(types)}, possible is one or more of {', '.join(possible)}"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """Where the model bundles are."""

    path: Path | None = None
    """A bundle, or a folder that holds ``<analysis>/bundle``; None takes the installed models."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerSettings:
    """Where the ledger is."""

    url: str | None = None
    """URL, or path of a SQLite file; None takes the user's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """All that a site sets."""

    perfusion: PerfusionSettings = field(default_factory=PerfusionSettings)
    """The perfusion analysis."""

    reconstruction: ReconstructionSettings = field(default_factory=ReconstructionSettings)
    """The reconstruction analysis."""

    phases: PhasesSettings = field(default_factory=PhasesSettings)
    """The analysis of surgical phases."""

    output: OutputSettings = field(default_factory=OutputSettings)
    """What is written."""

    models: ModelSettings = field(default_factory=ModelSettings)
    """Where the model bundles are."""

    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    """Where the ledger is."""


Record = TypeVar("Record")


def read_configuration(path: Path | None) -> Configuration:
    """Return the configuration of a file; the defaults without one.

    Parameters
    ----------
    path
        A TOML file. Paths in it start from its folder.

    Raises
    ------
    UnusableCall
        If the file cannot be read, or holds a key or a value that is not possible.
    """
    if path is None:
        return Configuration()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UnusableCall(f"{path}: cannot be read ({problem.strerror})") from problem
    except ValueError as problem:
        raise UnusableCall(f"{path}: not TOML ({problem})") from problem
    try:
        return _configuration(document, path.parent)
    except UnusableCall as problem:
        raise UnusableCall(f"{path}: {problem}") from problem


def _configuration(document: Mapping[str, object], folder: Path) -> Configuration:
    """Return the configuration that a TOML document holds."""
    sections: dict[str, type] = get_type_hints(Configuration)
    _refuse_unknown(document, sections, "")
    for name, table in document.items():
        if not isinstance(table, dict):
            raise UnusableCall(f"{name} is no table: write [{name}]")
    return Configuration(
        **{
            name: _record(sections[name], name, table, folder)
            for name, table in document.items()
            if isinstance(table, dict)
        }
    )


def _record(kind: type[Record], section: str, table: Mapping[str, object], folder: Path) -> Record:
    """Return the record of one table."""
    hints = get_type_hints(kind)
    _refuse_unknown(table, hints, f"{section}.")
    return kind(
        **{key: _value(f"{section}.{key}", hints[key], v, folder) for key, v in table.items()}
    )


def _refuse_unknown(found: Mapping[str, object], known: Mapping[str, object], at: str) -> None:
    """Refuse a key that is not known, by its name."""
    for key in found:
        if key not in known:
            possible = ", ".join(f"{at}{name}" for name in known)
            raise UnusableCall(f"unknown key {at}{key}; known are {possible}")


def _value(key: str, hint: object, value: object, folder: Path) -> object:
    """Return a TOML value as its field's type."""
    if hint is int and type(value) is int:
        return value
    if hint is float and type(value) in (int, float) and math.isfinite(float(str(value))):
        return float(str(value))
    if hint is bool and type(value) is bool:
        return value
    if hint in (str, str | None) and isinstance(value, str):
        return value
    if hint == Path | None and isinstance(value, str):
        return folder / Path(value).expanduser()
    if hint == tuple[str, ...] and _is_texts(value):
        return tuple(value)
    raise UnusableCall(f"{key} is {value!r}, needed is {_NEEDED[hint]}")


def _is_texts(value: object) -> TypeGuard[list[str]]:
    """Tell whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_NEEDED: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    str | None: "a text",
    Path | None: "a path",
    tuple[str, ...]: "a list of texts",
}
