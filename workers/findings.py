"""What a look at a deployment finds."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    """What was looked at."""

    level: Level
    """How it is."""

    told: str
    """What was found; no password."""

    remedy: str = ""
    """What to do where it is not right."""

    @property
    def is_wrong(self) -> bool:
        """Whether the service would not work with it."""
        return self.level is Level.FAIL

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {
            "what": self.what,
            "level": self.level.value,
            "told": self.told,
            "remedy": self.remedy,
        }


def right(what: str, told: str) -> Finding:
    """Return a finding of something that is right."""
    return Finding(what=what, level=Level.OK, told=told)


def wrong(what: str, told: str, remedy: str) -> Finding:
    """Return a finding of something that is wrong, with what to do."""
    return Finding(what=what, level=Level.FAIL, told=told, remedy=remedy)
