"""What the audit log keeps of models that were refused: which, by whom it was tried, and why."""

from dataclasses import dataclass

from pipeline.ledger.audit import Audited, record
from pipeline.ledger.ledger import Ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A model that was refused."""

    model: str
    """Its version: ``perfusion@1.2.0``."""

    digest: str
    """Digest of its bundle."""

    tried: str
    """What it was refused for: ``import``, ``enable``, ``open``."""

    reason: str
    """Why, as the one who tried was told."""


def record_refusal(ledger: Ledger, refusal: Refusal, actor: str) -> None:
    """Record that a model was refused.

    Raises
    ------
    LedgerUnavailable
        If it cannot be recorded.
    """
    detail = {"digest": refusal.digest, "tried": refusal.tried, "reason": refusal.reason}
    subject = f"model {refusal.model}"
    record(
        ledger,
        Audited(
            action="model refused", actor=actor, subject=subject, detail=detail, succeeded=False
        ),
    )
