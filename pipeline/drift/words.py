"""Findings of a window, as they are kept in the ledger, in words."""

from collections.abc import Mapping


def number(value: object) -> str:
    """Return a number with four digits, or a name."""
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def place(finding: Mapping[str, object]) -> str:
    """Return where a change comes from, with what joins it to a line; nothing if it is not told."""
    moved = finding.get("moved")
    if not isinstance(moved, Mapping):
        return ""
    parts = moved.get("parts")
    named = ", ".join(map(str, parts)) if isinstance(parts, list | tuple) else ""
    if moved["how"] == "within":
        return f"; within {moved['by']} {named} ({moved['studies']} studies)"
    if moved["how"] == "mix":
        return f"; more of {moved['by']} {named} ({moved['studies']} studies)"
    return "; everywhere, no scanner, protocol or version stands out"
