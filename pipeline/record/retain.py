"""What has grown old goes: received files, results, what was set aside, events of jobs.

Nothing goes before it was delivered, nothing on hold, and nothing that somebody must look at. Files
go before their rows, under the lock that keeps senders waiting, so that what a killed run has left
is found by the next.
"""

from dataclasses import asdict, dataclass, field

from pipeline.errors import UnusableCall
from pipeline.ledger.aging import (
    OldArrival,
    OldSuspect,
    count_events,
    old_arrivals,
    old_studies,
    old_suspects,
    remove_arrival,
    remove_events,
    remove_suspects,
    why_kept,
)
from pipeline.ledger.arrivals import Arrivals
from pipeline.ledger.audit import Audited, record_within
from pipeline.ledger.database import scrub
from pipeline.ledger.forgetting import Asked
from pipeline.ledger.ledger import Transaction
from pipeline.locks import locked
from pipeline.receive.commit import lock_of
from pipeline.record.forget import Holdings, forget, record_lock, resume
from pipeline.recordsettings import RetentionSettings

ACTOR = "retention"
"""Who the audit log says removes what is old."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aged:
    """What has grown old."""

    inputs: tuple[OldArrival, ...] = ()
    """Studies whose received files go."""

    studies: tuple[str, ...] = ()
    """Studies that are forgotten."""

    suspects: tuple[OldSuspect, ...] = ()
    """Data sets that were set aside, and go."""

    events: int = 0
    """Events of jobs that go."""

    kept: dict[str, str] = field(default_factory=dict)
    """Why old studies stay, by their UIDs."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return asdict(self)


def look_for_old(settings: RetentionSettings, holdings: Holdings) -> Aged:
    """Return what has grown old, and remove nothing."""
    ledger = holdings.ledger
    inputs = old_arrivals(ledger, settings.inputs_days) if settings.inputs_days else ()
    studies = old_studies(ledger, settings.results_days) if settings.results_days else ()
    kept = {}
    with ledger.reading() as session:
        for uid in {*studies, *(old.study_instance_uid for old in inputs)}:
            why = why_kept(session, uid, only_read=settings.only_read)
            if why is not None:
                kept[uid] = why
    goes = tuple(uid for uid in studies if uid not in kept)
    return Aged(
        inputs=tuple(old for old in inputs if old.study_instance_uid not in {*kept, *goes}),
        studies=goes,
        suspects=old_suspects(ledger, settings.refused_days) if settings.refused_days else (),
        events=count_events(ledger, settings.events_days) if settings.events_days else 0,
        kept=kept,
    )


def retain(settings: RetentionSettings, holdings: Holdings, longest_s: float) -> Aged:
    """Remove what has grown old, and end removals that were killed; return what went.

    Parameters
    ----------
    settings
        How long things are kept.
    holdings
        What the installation keeps.
    longest_s
        A job of a run without the service that has not ended for so long is left [s].

    Raises
    ------
    OSError
        If a file cannot be removed.
    """
    resume(holdings)
    aged = look_for_old(settings, holdings)
    studies = tuple(uid for uid in aged.studies if _forget(uid, holdings, longest_s))
    with locked(record_lock(holdings.places)):
        gone = Aged(
            inputs=tuple(old for old in aged.inputs if _remove_inputs(old, settings, holdings)),
            studies=studies,
            suspects=_remove_suspects(aged.suspects, holdings),
            events=_remove_events(settings, holdings) if aged.events else 0,
            kept=aged.kept,
        )
    if gone.inputs or gone.suspects or gone.events:
        scrub(holdings.place)
    return gone


def _remove_inputs(old: OldArrival, settings: RetentionSettings, holdings: Holdings) -> bool:
    """Remove what was received of a study; False if it has grown, or is kept now."""
    paths = Arrivals(holdings.ledger).files(old.arrival_id)
    inbox, uid = holdings.places.inbox, old.study_instance_uid
    folders = {(inbox / path).parent for path in paths}
    if len(folders) > 1:
        raise UnusableCall(f"study {uid}: its files lie in {len(folders)} folders of the inbox")
    with locked(lock_of(inbox, (folders or {inbox}).pop() / "any")):
        with holdings.ledger.reading() as session:
            why = why_kept(session, uid, only_read=settings.only_read)
        if why is not None or not _is_as_it_was(old, holdings):
            return False
        for path in paths:
            (inbox / path).unlink(missing_ok=True)
        with holdings.ledger.transaction() as session:
            if remove_arrival(session, old):
                _audit(session, "inputs removed", f"study {uid}", {"instances": len(paths)})
    return True


def _is_as_it_was(old: OldArrival, holdings: Holdings) -> bool:
    """Tell whether nothing has come of a study since."""
    found = Arrivals(holdings.ledger).find(old.study_instance_uid)
    return found is not None and found.last_at == old.last_at


def _forget(uid: str, holdings: Holdings, longest_s: float) -> bool:
    """Forget a study; False if something works on it now."""
    try:
        forget(uid, Asked(actor=ACTOR, reason="retention", longest_s=longest_s), holdings)
    except UnusableCall:
        return False
    return True


def _remove_suspects(
    suspects: tuple[OldSuspect, ...], holdings: Holdings
) -> tuple[OldSuspect, ...]:
    """Remove what was set aside long ago."""
    if not suspects:
        return ()
    with locked(holdings.places.inbox / "suspects.lock"):
        for old in suspects:
            (holdings.places.inbox / old.relative_path).unlink(missing_ok=True)
        with holdings.ledger.transaction() as session:
            remove_suspects(session, suspects)
            _audit(session, "suspects removed", "inbox", {"data_sets": len(suspects)})
    return suspects


def _remove_events(settings: RetentionSettings, holdings: Holdings) -> int:
    """Remove old events."""
    with holdings.ledger.transaction() as session:
        count = remove_events(session, settings.events_days)
        _audit(session, "job events removed", "ledger", {"events": count})
    return count


def _audit(session: Transaction, action: str, subject: str, detail: dict[str, object]) -> None:
    """Record what went."""
    record_within(session, Audited(action=action, actor=ACTOR, subject=subject, detail=detail))
