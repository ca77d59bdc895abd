"""Decide by a site's rules what is done with a series, and say why.

Rules are looked at in their order. Every rule that holds adds its analyses and destinations; the
first that names a lane, or a priority, decides it; one that is marked as last ends the search. What
no rule holds for gets what stands under ``otherwise``, or nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.routing.attributes import SHOWN, Attributes
from pipeline.routing.rules import ALL, Condition, Rule, Rules

LANE, PRIORITY = "routine", 0
"""What holds where no rule says otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A condition that was looked at."""

    condition: str
    """The condition, as the rules state it, with what was found where that may be shown."""

    is_met: bool
    """Whether it lets the rule hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A rule that was looked at."""

    rule: str
    """Its name."""

    holds: bool
    """Whether it holds for the series."""

    checked: tuple[Checked, ...]
    """All its conditions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """What is to be done with a series, and why. It holds no attribute of a patient."""

    analyses: tuple[str, ...]
    """Analyses that the rules choose, ``*`` for all that fit; the series need not fit them."""

    lane: str
    """The queue to wait in."""

    priority: int
    """The higher, the sooner within the lane."""

    destinations: tuple[str, ...]
    """Names of where results go."""

    judged: tuple[Judged, ...]
    """Every rule that was looked at, in order."""

    otherwise: bool
    """Whether no rule held, so that the choice is what stands under ``otherwise``."""

    def chooses(self, analysis: str) -> bool:
        """Tell whether an analysis is to be done if the series fits it."""
        return ALL in self.analyses or analysis in self.analyses

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values, as the ledger keeps it."""
        return {
            "analyses": list(self.analyses),
            "lane": self.lane,
            "priority": self.priority,
            "destinations": list(self.destinations),
            "otherwise": self.otherwise,
            "rules": [
                {
                    "rule": judged.rule,
                    "holds": judged.holds,
                    "conditions": [
                        {"condition": checked.condition, "is_met": checked.is_met}
                        for checked in judged.checked
                    ],
                }
                for judged in self.judged
            ],
        }


def route(found: Attributes, rules: Rules) -> Routing:
    """Return what is to be done with a series."""
    judged: list[Judged] = []
    held: list[Rule] = []
    for rule in rules.rules:
        judged.append(_judged(rule, found))
        if judged[-1].holds:
            held.append(rule)
            if rule.last:
                break
    otherwise = not held
    if otherwise and rules.otherwise is not None:
        held.append(rules.otherwise)
    return Routing(
        analyses=tuple(dict.fromkeys(name for rule in held for name in rule.analyses)),
        lane=_first(held, lambda rule: rule.lane, LANE),
        priority=_first(held, lambda rule: rule.priority, PRIORITY),
        destinations=tuple(dict.fromkeys(name for rule in held for name in rule.destinations)),
        judged=tuple(judged),
        otherwise=otherwise,
    )


Value = TypeVar("Value")


def _first(rules: list[Rule], said: Callable[[Rule], Value | None], default: Value) -> Value:
    """Return what the first rule that says it says."""
    for rule in rules:
        value = said(rule)
        if value is not None:
            return value
    return default


def _judged(rule: Rule, found: Attributes) -> Judged:
    """Look at all conditions of a rule."""
    checked = (
        *(_checked(condition, found, wanted=True) for condition in rule.when),
        *(_checked(condition, found, wanted=False) for condition in rule.unless),
    )
    return Judged(rule=rule.name, holds=all(c.is_met for c in checked), checked=checked)


def _checked(condition: Condition, found: Attributes, *, wanted: bool) -> Checked:
    """Look at a condition."""
    word = "when" if wanted else "unless"
    return Checked(
        condition=f"{word} {condition}{_shown(condition.attribute, found)}",
        is_met=condition.holds(found) is wanted,
    )


def _shown(attribute: str, found: Attributes) -> str:
    """Return what was found, as far as it may be shown."""
    value = found.texts.get(attribute, found.numbers.get(attribute))
    if value is None:
        return " (not stated)"
    return f" ({value})" if attribute in SHOWN else ""
