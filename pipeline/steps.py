"""Procedure steps of worklists (PS3.4, CC): states, codes, and which are performed here."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import UnusableCall

WORKLISTS_BY = ("dimse", "ups-rs")
"""How a worklist is spoken to: PS3.4, CC, or PS3.18, 11."""


class StepState(StrEnum):
    """Procedure Step State (0074,1000): PS3.4, table CC.1.1-1."""

    SCHEDULED = "SCHEDULED"
    """It waits for a performer."""

    IN_PROGRESS = "IN PROGRESS"
    """A performer has claimed it: only who knows the Transaction UID may change it."""

    COMPLETED = "COMPLETED"
    """It was performed."""

    CANCELED = "CANCELED"
    """It was given up."""


FINAL = frozenset({StepState.COMPLETED, StepState.CANCELED})
"""States that a step stays in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """A coded entry: PS3.3, 8.8."""

    value: str
    """Code Value (0008,0100)."""

    scheme: str
    """Coding Scheme Designator (0008,0102)."""

    meaning: str = ""
    """Code Meaning (0008,0104); it decides nothing."""

    def is_same(self, other: "Code") -> bool:
        """Tell whether two entries have the same code."""
        return (self.value, self.scheme) == (other.value, other.scheme)


def parse_code(text: str) -> Code:
    """Return the code of ``VALUE^SCHEME`` or ``VALUE^SCHEME^Meaning``.

    Raises
    ------
    UnusableCall
        If it is none.
    """
    value, _, rest = text.partition("^")
    scheme, _, meaning = rest.partition("^")
    if not value.strip() or not scheme.strip() or len(value) > 16 or len(scheme) > 16:
        raise UnusableCall(f"{text!r} is no code: write VALUE^SCHEME, 16 characters each at most")
    return Code(value=value.strip(), scheme=scheme.strip(), meaning=meaning or value.strip())


@dataclass(frozen=True, kw_only=True, slots=True)
class WorklistSettings:
    """A worklist whose steps are performed here."""

    node: str
    """Name of the node that manages it."""

    codes: tuple[str, ...]
    """Scheduled Workitem Codes that are performed, and by which analysis:
    ``VALUE^SCHEME=analysis``."""

    by: str = "dimse"
    """How it is spoken to: one of ``WORKLISTS_BY``."""

    station: str | None = None
    """Scheduled Station Name Code that is asked for, ``VALUE^SCHEME``; None takes every one."""

    station_class: str | None = None
    """Scheduled Station Class Code that is asked for, ``VALUE^SCHEME``."""

    performer: str = "VESALIUS^99VESALIUS^Vesalius"
    """Performed Station Name Code: who this installation is, ``VALUE^SCHEME^Meaning``."""

    fetch: str | None = None
    """Name of the node that inputs are fetched from; None waits until they are received."""

    inputs_s: float = 3600.0
    """Time that inputs are waited for before the step is given up [s]."""

    delivered: tuple[str, ...] = ()
    """Destinations that must have the results before the step is completed."""

    retrieve: str | None = None
    """Name of the node that results can be retrieved from; None takes those of ``delivered``."""

    claims: int = 8
    """Steps that are claimed at a time."""

    poll_s: float = 10.0
    """Time between two looks at the worklist [s]."""

    events: bool = True
    """Whether the worklist is asked to report cancel requests to the receiver."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        if self.by not in WORKLISTS_BY:
            raise UnusableCall(f"by is {self.by!r}, possible is {', '.join(WORKLISTS_BY)}")
        for name in ("claims", "poll_s", "inputs_s"):
            if getattr(self, name) <= 0:
                raise UnusableCall(f"{name} is {getattr(self, name)}, needed is more than 0")
        if not self.performs:
            raise UnusableCall("codes is empty: nothing of the worklist would be performed")
        for code in (self.station, self.station_class, self.performer):
            if code is not None:
                parse_code(code)
        if not self.delivered and self.retrieve is None:
            raise UnusableCall("needs delivered or retrieve: where results can be retrieved from")

    @property
    def performs(self) -> tuple[tuple[Code, str], ...]:
        """Codes that are performed, each with the name of its analysis.

        Raises
        ------
        UnusableCall
            If an entry is not possible.
        """
        found = []
        for entry in self.codes:
            code, _, analysis = entry.rpartition("=")
            if not code or not analysis.strip():
                raise UnusableCall(f"codes has {entry!r}: write VALUE^SCHEME=analysis")
            found.append((parse_code(code), analysis.strip()))
        return tuple(found)

    def analyses_of(self, code: Code | None) -> tuple[str, ...]:
        """Return the analyses that perform a step of a code; none if it is not performed here."""
        if code is None:
            return ()
        return tuple(dict.fromkeys(name for known, name in self.performs if known.is_same(code)))
