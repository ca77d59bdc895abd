"""Procedures and their phases, by name and code: one file each in ``procedures``.

A phase has no number outside an array. Data sets number the same phases differently (one loader of
Cholec80 swaps packaging and retraction), and a wrong order looks right: most seconds still
agree. The columns of an array are the phases of its procedure, in the order of its file.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pipeline.errors import UnusableCall

CODING_SCHEME = "99VESALIUS"
"""Coding Scheme Designator (0008,0102) of phases: no standard has codes for them."""

END = "end_of_operation"
"""What comes after the last phase; no phase itself."""

LONGEST_CODE = 16
"""Characters of a Code Value, whose value representation is SH."""

_COLOUR = re.compile(r"#[0-9A-F]{6}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """One phase of a procedure."""

    name: str
    """Key in results: ``clipping_cutting``."""

    code: str
    """Code Value (0008,0100) in ``CODING_SCHEME``: at most 16 characters."""

    meaning: str
    """Code Meaning (0008,0104): for people."""

    colour: str
    """Colour in a ribbon, ``#RRGGBB``, told apart by colour-blind readers within its procedure."""

    also: tuple[str, ...] = ()
    """Other names that data sets give it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Procedure:
    """A kind of operation."""

    name: str
    """Key: ``cholecystectomy``."""

    title: str
    """For people."""

    version: str
    """Version of the list of phases: another list is another version."""

    phases: tuple[Phase, ...]
    """The phases, in the order of arrays' columns; operations may go through them in another."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the phases, in order."""
        return tuple(p.name for p in self.phases)

    def phase(self, name: str) -> Phase:
        """Return the phase of a name.

        Raises
        ------
        UnusableCall
            If there is none.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise UnusableCall(f"{self.name} has no phase {name!r}; it has {', '.join(self.names)}")

    def column_of(self, label: str) -> int:
        """Return the column of a phase by how a data set writes its name.

        Case and whatever is neither letter nor digit do not count: ``CalotTriangleDissection``,
        ``calot-triangle-dissection`` and ``calot_triangle_dissection`` are one phase. Other names
        of a phase stand in its file.

        Raises
        ------
        UnusableCall
            If there is none.
        """
        for column, phase in enumerate(self.phases):
            if any(same_name(label, name) for name in (phase.name, *phase.also)):
                return column
        raise UnusableCall(f"{self.name} has no phase {label!r}; it has {', '.join(self.names)}")


def same_name(one: str, other: str) -> bool:
    """Tell whether two names differ in case, spaces and punctuation alone."""
    return _plain(one) == _plain(other)


def procedure_names() -> tuple[str, ...]:
    """Return the names of all procedures."""
    folder = files(__package__) / "procedures"
    return tuple(
        sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))
    )


@cache
def load_procedure(name: str) -> Procedure:
    """Return a procedure by its name.

    Raises
    ------
    UnusableCall
        If there is none.
    """
    if name not in procedure_names():
        raise UnusableCall(f"no procedure {name!r}; known are {', '.join(procedure_names())}")
    file = files(__package__) / "procedures" / f"{name}.toml"
    return parse_procedure(tomllib.loads(file.read_text(encoding="utf-8")))


def parse_procedure(document: Mapping[str, object]) -> Procedure:
    """Return the procedure that a TOML document describes.

    Raises
    ------
    UnusableCall
        If a key is missing or unknown, if a name, code or colour is there twice, if a code is
        too long, or if a colour is not written as ``#RRGGBB``.
    """
    tables = document.get("phases")
    if not isinstance(tables, list) or not tables:
        raise UnusableCall("procedure: phases are missing")
    keys = ("name", "title", "version")
    values = _texts({k: v for k, v in document.items() if k != "phases"}, keys)
    phases = tuple(_phase(table) for table in tables)
    named = [_plain(name) for p in phases for name in (p.name, *p.also)]
    if len(set(named)) < len(named):
        raise UnusableCall(f"procedure {values['name']}: a name stands there twice")
    for kind in ("code", "colour"):
        found = [_plain(getattr(p, kind)) for p in phases]
        if len(set(found)) < len(found):
            raise UnusableCall(f"procedure {values['name']}: a {kind} stands there twice")
    for phase in phases:
        if len(phase.code) > LONGEST_CODE:
            raise UnusableCall(f"phase {phase.name}: a code has at most {LONGEST_CODE} characters")
        if not _COLOUR.fullmatch(phase.colour):
            raise UnusableCall(f"phase {phase.name}: colour {phase.colour!r} is not #RRGGBB")
    return Procedure(phases=phases, **values)


def _phase(table: object) -> Phase:
    """Return the phase that a table describes."""
    also: object = []
    if isinstance(table, Mapping):
        also = table.get("also", [])
        table = {key: value for key, value in table.items() if key != "also"}
    if not isinstance(also, list) or not all(isinstance(name, str) for name in also):
        raise UnusableCall(f"procedure: also is {also!r}, not a list of names")
    return Phase(also=tuple(also), **_texts(table, ("name", "code", "meaning", "colour")))


def _texts(table: object, keys: tuple[str, ...]) -> dict[str, str]:
    """Return a table's texts, which must be those of the keys."""
    if not isinstance(table, Mapping) or set(table) != set(keys):
        raise UnusableCall(f"procedure: a table needs exactly {', '.join(keys)}")
    for key, value in table.items():
        if not isinstance(value, str) or not value:
            raise UnusableCall(f"procedure: {key} is {value!r}, not a text")
    return {key: table[key] for key in keys}


def _plain(label: str) -> str:
    """Return a name without what data sets write differently."""
    return re.sub(r"[^0-9a-z]", "", label.lower())
