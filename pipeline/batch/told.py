"""How a batch stands, for a person and for a program."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.ledger.batches import Batch, Batches
from pipeline.ledger.batchtables import FINISHED, StudyState


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchStatus:
    """How a batch stands."""

    batch: Batch
    """The batch."""

    counts: dict[StudyState, int]
    """Studies in each state."""

    is_running: bool
    """Whether a process of this machine runs it."""

    @property
    def state(self) -> str:
        """How it stands in a word."""
        if self.is_running:
            return "pausing" if self.batch.pause_requested else "running"
        if set(self.counts) <= set(FINISHED):
            return "finished"
        is_new = set(self.counts) <= {StudyState.WAITING, StudyState.SKIPPED}
        return "planned" if is_new and not self.batch.pause_requested else "paused"

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "name": self.batch.name,
            "state": self.state,
            "studies": {state.value: n for state, n in self.counts.items()},
            "source": dict(self.batch.source),
            "analyses": list(self.batch.analyses),
            "output": str(self.batch.output),
            "created_at": self.batch.created_at.isoformat(),
        }

    def line(self) -> str:
        """Return it as a line for a person."""
        studies = ", ".join(f"{n} {s.value}" for s, n in sorted(self.counts.items()))
        return f"{self.batch.name:16} {self.state:8} {studies or 'no studies'}"


def status_of(batch: Batch, batches: Batches, *, is_running: bool) -> BatchStatus:
    """Return how a batch stands."""
    return BatchStatus(batch=batch, counts=batches.counts(batch.name), is_running=is_running)


def duration(seconds: float) -> str:
    """Return a time as a person reads it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(at: datetime) -> str:
    """Return a time of day as tables hold it, UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")
