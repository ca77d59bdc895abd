"""Values of a configuration, with references followed and simple expressions computed.

MONAI's own parser executes what follows a ``$``. This one reads it: numbers, texts, lists,
references, arithmetic, comparisons and a few names. What else stands there is refused, and only
where a value is needed: what is not needed is not looked at.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping

from pipeline.errors import BundleRejected

DEEPEST = 40
"""References that follow one another."""

LARGEST = 10**9
"""Largest number that an expression may give."""

_REFERENCE = re.compile(r"[@%]([\w]+(?:(?:::|#)\w+)*)")
_DTYPES = {"float16", "float32", "float64", "uint8", "int32", "int64"}

_BINARY: dict[type[ast.operator], Callable[[object, object], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[object, object], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_CALLS: dict[str, Callable[..., object]] = {
    "int": int,
    "float": float,
    "len": len,
    "list": list,
    "tuple": tuple,
    "min": min,
    "max": max,
    "bool": bool,
}


class Resolver:
    """Reads values of a configuration.

    Parameters
    ----------
    config
        The configuration, as it stands in the file.
    at
        Names it in messages.
    """

    def __init__(self, config: Mapping[str, object], at: str) -> None:
        self._config = config
        self._at = at

    def raw(self, path: str) -> object:
        """Return the value at a path, such as ``preprocessing::transforms``, as it stands.

        Raises
        ------
        BundleRejected
            If there is none.
        """
        value: object = self._config
        for part in re.split(r"::|#", path):
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                raise BundleRejected(f"{self._at}: {path} is missing")
        return value

    def component(self, value: object, depth: int = 0) -> Mapping[str, object]:
        """Return the table of a component, behind the references to it; its values as they stand.

        Raises
        ------
        BundleRejected
            If it is no component.
        """
        if isinstance(value, str) and depth < DEEPEST:
            found = re.fullmatch(
                r"\$?\s*[@%]([\w:#]+)(?:\.(?:to\(.*\)|eval\(\)|flatten\(\)))?", value
            )
            if found:
                return self.component(self.raw(found[1]), depth + 1)
        if not isinstance(value, Mapping) or "_target_" not in value:
            raise BundleRejected(f"{self._at}: {value!r} is no component with a _target_")
        return value

    def value(self, value: object, depth: int = 0) -> object:
        """Return a value with all that it refers to.

        Raises
        ------
        BundleRejected
            If it refers to nothing, or holds an expression that is not read.
        """
        if depth > DEEPEST:
            raise BundleRejected(f"{self._at}: references nest deeper than {DEEPEST}")
        if isinstance(value, Mapping):
            return {key: self.value(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, depth + 1) for inner in value]
        if not isinstance(value, str):
            return value
        if value.startswith("$"):
            return self._expression(value[1:], depth)
        found = _REFERENCE.fullmatch(value)
        return self.value(self.raw(found[1]), depth + 1) if found else value

    def _expression(self, text: str, depth: int) -> object:
        """Return what an expression gives."""
        names: dict[str, object] = {}

        def named(found: re.Match[str]) -> str:
            name = f"reference_{len(names)}"
            names[name] = self.value(self.raw(found[1]), depth + 1)
            return name

        try:
            tree = ast.parse(_REFERENCE.sub(named, text.strip()), mode="eval")
            return _evaluated(tree.body, names)
        except (_NotRead, SyntaxError, RecursionError) as problem:
            raise BundleRejected(
                f"{self._at}: the expression ${text!s} is not one of those that are read"
            ) from problem
        except (TypeError, ValueError, ArithmeticError, LookupError) as problem:
            raise BundleRejected(f"{self._at}: the expression ${text!s} has no value") from problem


class _NotRead(Exception):
    """An expression holds what is not computed."""


def _evaluated(node: ast.expr, names: Mapping[str, object]) -> object:
    """Return what a part of an expression gives."""
    reader = _READERS.get(type(node))
    if reader is None:
        raise _NotRead
    return reader(node, names)


def _sequence(node: ast.expr, names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.List | ast.Tuple)  # noqa: S101 - by the table of readers
    return [_evaluated(item, names) for item in node.elts]


def _name(node: ast.expr, names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.Name)  # noqa: S101 - by the table of readers
    if node.id not in names:
        raise _NotRead
    return names[node.id]


def _unary(node: ast.expr, names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.UnaryOp)  # noqa: S101 - by the table of readers
    value = _evaluated(node.operand, names)
    if isinstance(node.op, ast.Not):
        return not value
    if isinstance(node.op, ast.USub) and isinstance(value, int | float):
        return -value
    raise _NotRead


def _binary(node: ast.expr, names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.BinOp)  # noqa: S101 - by the table of readers
    left, right = _evaluated(node.left, names), _evaluated(node.right, names)
    compute = _BINARY.get(type(node.op))
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if compute is None or not numbers:
        raise _NotRead
    found = compute(left, right)
    if isinstance(found, int | float) and abs(found) > LARGEST:
        raise _NotRead
    return found


def _compare(node: ast.expr, names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.Compare)  # noqa: S101 - by the table of readers
    left = _evaluated(node.left, names)
    right = _evaluated(node.comparators[0], names)
    compute = _COMPARE.get(type(node.ops[0]))
    if compute is None or len(node.ops) > 1:
        raise _NotRead
    return compute(left, right)


def _either(node: ast.expr, names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.BoolOp)  # noqa: S101 - by the table of readers
    values = [bool(_evaluated(value, names)) for value in node.values]
    return all(values) if isinstance(node.op, ast.And) else any(values)


def _choice(node: ast.expr, names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.IfExp)  # noqa: S101 - by the table of readers
    return _evaluated(node.body if _evaluated(node.test, names) else node.orelse, names)


def _item(node: ast.expr, names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.Subscript)  # noqa: S101 - by the table of readers
    held, key = _evaluated(node.value, names), _evaluated(node.slice, names)
    if isinstance(held, list) and isinstance(key, int):
        return held[key]
    if isinstance(held, dict) and isinstance(key, str):
        return held[key]
    raise _NotRead


def _dtype(node: ast.expr, _names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.Attribute)  # noqa: S101 - by the table of readers
    library = node.value.id if isinstance(node.value, ast.Name) else ""
    if library not in ("torch", "np", "numpy") or node.attr not in _DTYPES:
        raise _NotRead
    return node.attr


def _call(node: ast.expr, names: Mapping[str, object]) -> object:
    assert isinstance(node, ast.Call)  # noqa: S101 - by the table of readers
    called = _CALLS.get(node.func.id) if isinstance(node.func, ast.Name) else None
    if called is None or node.keywords:
        raise _NotRead
    return called(*(_evaluated(argument, names) for argument in node.args))


_READERS: dict[type[ast.expr], Callable[[ast.expr, Mapping[str, object]], object]] = {
    ast.Constant: lambda node, _: node.value,  # type: ignore[attr-defined]
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Name: _name,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.Compare: _compare,
    ast.BoolOp: _either,
    ast.IfExp: _choice,
    ast.Subscript: _item,
    ast.Attribute: _dtype,
    ast.Call: _call,
}
