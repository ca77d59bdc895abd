"""What a version of a model does in the service, and what it may do next."""

from enum import StrEnum


class Role(StrEnum):
    """What a version does."""

    IMPORTED = "imported"
    """It lies in the registry, and nobody has said that it may be used."""

    ENABLED = "enabled"
    """It may be given work."""

    SHADOW = "shadow"
    """It does the studies that live does, beside it; nothing of it is delivered."""

    CANARY = "canary"
    """It does a share of the studies instead of live."""

    LIVE = "live"
    """It does the studies."""

    RETIRED = "retired"
    """It is given no work any more; what it has done stays reproducible."""


ALLOWED: dict[Role, frozenset[Role]] = {
    Role.IMPORTED: frozenset({Role.ENABLED, Role.RETIRED}),
    Role.ENABLED: frozenset({Role.SHADOW, Role.CANARY, Role.LIVE, Role.RETIRED}),
    Role.SHADOW: frozenset({Role.ENABLED, Role.CANARY, Role.LIVE, Role.RETIRED}),
    # A canary that is given another share stays one.
    Role.CANARY: frozenset({Role.ENABLED, Role.SHADOW, Role.CANARY, Role.LIVE, Role.RETIRED}),
    # Only by another version's promotion, or by a rollback: somebody has to do the studies.
    Role.LIVE: frozenset({Role.ENABLED}),
    Role.RETIRED: frozenset({Role.ENABLED}),
}
"""What a version may become, by what it is."""

ONE_ONLY = (Role.LIVE, Role.CANARY)
"""Roles that one version of an analysis has at most."""


def may_become(now: Role, then: Role) -> bool:
    """Tell whether a version may go from one role to another."""
    return then in ALLOWED[now]
