"""Tables of a TOML document as frozen records.

A key that is not known is an error, as is a value of another type: a misspelt setting that falls
back to its default would go unnoticed.
"""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard, TypeVar, get_args, get_origin, get_type_hints

from pipeline.connections import NAME
from pipeline.errors import UnusableCall

Record = TypeVar("Record")


def read_toml(path: Path) -> dict[str, object]:
    """Return the document of a TOML file.

    Raises
    ------
    UnusableCall
        If the file cannot be read, or is none.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UnusableCall(f"{path}: cannot be read ({problem.strerror})") from problem
    except ValueError as problem:
        raise UnusableCall(f"{path}: not TOML ({problem})") from problem
    except RecursionError:
        raise UnusableCall(f"{path}: not TOML that is read, it nests too deep") from None


def section_of(
    kind: Any,  # noqa: ANN401 - a class, or Mapping[str, class]
    section: str,
    table: Mapping[str, object],
    folder: Path,
) -> Any:  # noqa: ANN401 - an instance of the class, or instances by name
    """Return the record of one table, or the records of a table of tables by their names."""
    if get_origin(kind) is None:
        return _record(kind, section, table, folder)
    named = {}
    for name, inner in table.items():
        if not NAME.fullmatch(name):
            raise UnusableCall(f"{section}.{name}: a name has letters, digits, dots, _ and -")
        if not isinstance(inner, dict):
            raise UnusableCall(f"{section}.{name} is no table: write [{section}.{name}]")
        try:
            named[name] = _record(get_args(kind)[1], f"{section}.{name}", inner, folder)
        except TypeError:
            raise UnusableCall(f"{section}.{name} lacks a key that has no default") from None
        except UnusableCall as problem:
            said = str(problem)
            raise UnusableCall(said if section in said else f"{section}.{name}: {said}") from None
    return named


def _record(kind: type[Record], section: str, table: Mapping[str, object], folder: Path) -> Record:
    """Return the record of one table."""
    hints = get_type_hints(kind)
    refuse_unknown(table, hints, f"{section}.")
    return kind(
        **{key: _value(f"{section}.{key}", hints[key], v, folder) for key, v in table.items()}
    )


def refuse_unknown(found: Mapping[str, object], known: Mapping[str, object], at: str) -> None:
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
    if hint == int | None and type(value) is int:
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
    int | None: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    str | None: "a text",
    Path | None: "a path",
    tuple[str, ...]: "a list of texts",
}
