"""A site's rules, parsed once from TOML into frozen records.

Rules are data: texts are compared with patterns, numbers with bounds, and nothing is ever executed.
What is not known is an error that names the file and the key, since a misspelt condition would hold
for everything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

from pipeline.connections import NAME
from pipeline.errors import UnusableCall
from pipeline.routing.attributes import NUMBERS, TEXTS, Attributes
from pipeline.servicesettings import LANES
from pipeline.tomlrecords import read_toml

ALL = "*"
"""In place of an analysis: every analysis that the series fits."""

RESULTS = ("analyses", "lane", "priority", "destinations")
"""What a rule may say of the series that it holds for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextCondition:
    """An attribute is one of several patterns."""

    attribute: str
    """Name of the attribute."""

    patterns: tuple[str, ...]
    """Shell patterns (``*``, ``?``, ``[...]``), of which one must fit the whole value; upper and
    lower case are the same."""

    def holds(self, found: Attributes) -> bool:
        """Tell whether it holds; an attribute that is not stated fits no pattern."""
        value = found.texts.get(self.attribute)
        return value is not None and any(
            fnmatchcase(value.casefold(), pattern.casefold()) for pattern in self.patterns
        )

    def __str__(self) -> str:
        return f"{self.attribute} is {' or '.join(repr(p) for p in self.patterns)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberCondition:
    """An attribute lies between two numbers, both included."""

    attribute: str
    """Name of the attribute."""

    least: int | None
    """Lower bound; None for none."""

    most: int | None
    """Upper bound; None for none."""

    def holds(self, found: Attributes) -> bool:
        """Tell whether it holds."""
        value = found.numbers[self.attribute]
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def __str__(self) -> str:
        bounds = (("at least", self.least), ("at most", self.most))
        said = " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
        return f"{self.attribute} is {said}"


Condition = TextCondition | NumberCondition


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What is to be done with series for which ``when`` holds and ``unless`` does not."""

    name: str
    """Its name, for explanations."""

    when: tuple[Condition, ...] = ()
    """Conditions that must all hold; none holds for every series."""

    unless: tuple[Condition, ...] = ()
    """Conditions of which none may hold."""

    analyses: tuple[str, ...] = ()
    """Analyses to be done, ``*`` for all that fit."""

    lane: str | None = None
    """The queue to wait in; None leaves it to the next rule."""

    priority: int | None = None
    """The higher, the sooner within the lane; None leaves it to the next rule."""

    destinations: tuple[str, ...] = ()
    """Names of where results go."""

    last: bool = False
    """Whether no later rule is looked at when this one holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """A site's rules."""

    rules: tuple[Rule, ...]
    """In the order of the file."""

    otherwise: Rule | None = None
    """What holds for series that no rule holds for; None leaves them alone."""

    source: str = ""
    """The file, for messages."""

    def check_analyses(self, known: Iterable[str]) -> None:
        """Check that the analyses exist.

        Raises
        ------
        UnusableCall
            If a rule names one that does not.
        """
        names = {*known, ALL}
        for rule in (*self.rules, *([self.otherwise] if self.otherwise else [])):
            for name in rule.analyses:
                if name not in names:
                    raise UnusableCall(
                        f"{self.source}: rule {rule.name!r}: no analysis {name!r}; known are "
                        f"{', '.join(sorted(names))}"
                    )


def read_rules(path: Path) -> Rules:
    """Return the rules of a file.

    Raises
    ------
    UnusableCall
        If the file cannot be read, or holds a key or a value that is not possible.
    """
    document = read_toml(path)
    try:
        return _rules(document, str(path))
    except UnusableCall as problem:
        raise UnusableCall(f"{path}: {problem}") from problem


def _rules(document: Mapping[str, object], source: str) -> Rules:
    """Return the rules of a document."""
    _refuse_unknown(document, ("rule", "otherwise"), "")
    tables = document.get("rule", [])
    if not isinstance(tables, list):
        raise UnusableCall("rule is no list of tables: write [[rule]]")
    rules = tuple(
        _rule(_table(table, f"rule[{number}]"), f"rule[{number}]")
        for number, table in enumerate(tables, 1)
    )
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise UnusableCall(f"more than one rule is named {name!r}")
    if "otherwise" not in document:
        return Rules(rules=rules, source=source)
    table = _table(document["otherwise"], "otherwise")
    _refuse_unknown(table, RESULTS, "otherwise.")
    otherwise = Rule(name="otherwise", **_results(table, "otherwise"))  # type: ignore[arg-type]
    return Rules(rules=rules, otherwise=otherwise, source=source)


def _rule(table: Mapping[str, object], at: str) -> Rule:
    """Return a rule."""
    _refuse_unknown(table, ("name", "when", "unless", "last", *RESULTS), f"{at}.")
    name, last = table.get("name"), table.get("last", False)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UnusableCall(f"{at}.name is {name!r}, needed is a text")
    if not isinstance(last, bool):
        raise UnusableCall(f"{at}.last is {last!r}, needed is true or false")
    return Rule(
        name=name,
        when=conditions(table.get("when", {}), f"{at}.when"),
        unless=conditions(table.get("unless", {}), f"{at}.unless"),
        last=last,
        **_results(table, at),  # type: ignore[arg-type]
    )


def _results(table: Mapping[str, object], at: str) -> dict[str, object]:
    """Return what a rule says of the series that it holds for."""
    lane, priority = table.get("lane"), table.get("priority")
    if lane is not None and lane not in LANES:
        raise UnusableCall(f"{at}.lane is {lane!r}, possible is {', '.join(LANES)}")
    if priority is not None and type(priority) is not int:
        raise UnusableCall(f"{at}.priority is {priority!r}, needed is a whole number")
    analyses = _texts(table.get("analyses", []), f"{at}.analyses")
    destinations = _texts(table.get("destinations", []), f"{at}.destinations")
    for name in (*(a for a in analyses if a != ALL), *destinations):
        if not NAME.fullmatch(name):
            raise UnusableCall(f"{at}: {name!r} is no name")
    return {
        "analyses": analyses,
        "lane": lane,
        "priority": priority,
        "destinations": destinations,
    }


def conditions(value: object, at: str) -> tuple[Condition, ...]:
    """Return the conditions of a table, in its order.

    Parameters
    ----------
    value
        The table: attributes, and what is asked of each.
    at
        Names it in messages.

    Raises
    ------
    UnusableCall
        If it holds an attribute or a value that is not possible.
    """
    table = _table(value, at)
    _refuse_unknown(table, (*TEXTS, *NUMBERS), f"{at}.")
    return tuple(
        _number_condition(name, asked, f"{at}.{name}")
        if name in NUMBERS
        else _text_condition(name, asked, f"{at}.{name}")
        for name, asked in table.items()
    )


def _text_condition(attribute: str, asked: object, at: str) -> TextCondition:
    """Return a condition on a text: a pattern, or a list of them."""
    patterns = _texts([asked] if isinstance(asked, str) else asked, at)
    if not patterns:
        raise UnusableCall(f"{at} is empty, needed is a pattern or a list of patterns")
    return TextCondition(attribute=attribute, patterns=patterns)


def _number_condition(attribute: str, asked: object, at: str) -> NumberCondition:
    """Return a condition on a number: a number, or a table of ``min`` and ``max``."""
    if type(asked) is int:
        return NumberCondition(attribute=attribute, least=asked, most=asked)
    if not isinstance(asked, dict) or not asked:
        raise UnusableCall(f"{at} is {asked!r}, needed is a whole number or {{ min, max }}")
    _refuse_unknown(asked, ("min", "max"), f"{at}.")
    for key, bound in asked.items():
        if type(bound) is not int:
            raise UnusableCall(f"{at}.{key} is {bound!r}, needed is a whole number")
    least, most = asked.get("min"), asked.get("max")
    if least is not None and most is not None and least > most:
        raise UnusableCall(f"{at} is never so: min {least} lies above max {most}")
    return NumberCondition(attribute=attribute, least=least, most=most)


def _table(value: object, at: str) -> Mapping[str, object]:
    """Return a table."""
    if not isinstance(value, dict):
        raise UnusableCall(f"{at} is no table")
    return cast("dict[str, object]", value)


def _texts(value: object, at: str) -> tuple[str, ...]:
    """Return a list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UnusableCall(f"{at} is {value!r}, needed is a list of texts")
    return tuple(value)


def _refuse_unknown(found: Mapping[str, object], known: Iterable[str], at: str) -> None:
    """Refuse a key that is not known, by its name."""
    for key in found:
        if key not in known:
            possible = ", ".join(known)
            raise UnusableCall(f"unknown key {at}{key}; known are {possible}")
