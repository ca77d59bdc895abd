"""A study forgotten: the ledger, then the files, then the certificate, then the free pages.

The ledger's rows go first, in one transaction that keeps the plan for all else. From then on the
study cannot be worked on, and whoever resumes a removal that was killed finds what is left to do.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pipeline.ledger.database import scrub
from pipeline.ledger.footprint import Footprint, footprint_of
from pipeline.ledger.forgetting import Asked, Begun, Forgetting, refuse_held
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import Queue
from pipeline.ledger.recordtables import ForgettingState
from pipeline.locks import locked
from pipeline.owner import is_gone
from pipeline.record.certificate import certificate_of, write_certificate
from pipeline.record.places import Places
from pipeline.record.removal import Removal

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdings:
    """All that an installation keeps."""

    ledger: Ledger
    """The ledger, open."""

    place: str
    """Where it is."""

    places: Places
    """The folders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forgotten:
    """A removal that was ended."""

    id: UUID
    """The removal."""

    certificate: Path
    """File of its certificate."""

    sha256: str
    """Digest of the certificate, as the audit log has it."""

    received_again: int
    """Files that had come anew meanwhile, and were left."""

    is_clean: bool
    """Whether the database holds nothing of it any more; else a reader keeps its journal, and the
    next removal, or ``vesalius retain``, does it."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "id": str(self.id),
            "certificate": str(self.certificate),
            "sha256": self.sha256,
            "received_again": self.received_again,
            "is_clean": self.is_clean,
        }


def record_lock(places: Places) -> Path:
    """Return the lock that whoever removes or copies holds: nothing goes while a backup is made."""
    places.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return places.state / "record.lock"


def look(study_instance_uid: str, holdings: Holdings) -> Footprint:
    """Return what would be removed of a study.

    Raises
    ------
    UnusableCall
        If the study is held.
    """
    with holdings.ledger.reading() as session:
        refuse_held(session, study_instance_uid)
        return footprint_of(session, study_instance_uid)


def forget(study_instance_uid: str, asked: Asked, holdings: Holdings) -> Forgotten:
    """Remove a study and everything that was derived from it.

    Parameters
    ----------
    study_instance_uid
        The study.
    asked
        Who asks, and why.
    holdings
        What the installation keeps.

    Raises
    ------
    UnusableCall
        If nothing is known of the study, it is held, or something works on it.
    OSError
        If a file cannot be removed: the removal goes on with the next call.
    """
    queue = Queue(holdings.ledger)
    for job_id in look(study_instance_uid, holdings).job_ids:
        queue.reap_one(UUID(job_id), is_gone)
    with locked(record_lock(holdings.places)):
        begun = Forgetting(holdings.ledger).begin(study_instance_uid, asked)
        return _ended(begun, holdings)


def resume(holdings: Holdings) -> tuple[Forgotten, ...]:
    """End the removals that were begun and not ended, and return them."""
    forgetting = Forgetting(holdings.ledger)
    ended = []
    with locked(record_lock(holdings.places)):
        for begun in forgetting.unfinished():
            if begun.state is ForgettingState.BEGUN:
                ended.append(_ended(begun, holdings))
            elif scrub(holdings.place):
                forgetting.done(begun.id)
    return tuple(ended)


def _ended(begun: Begun, holdings: Holdings) -> Forgotten:
    """Remove the files of a study whose rows are gone, certify it, and clean the database."""
    forgetting = Forgetting(holdings.ledger)
    removal = Removal(
        forgetting=forgetting,
        forgetting_id=begun.id,
        found=Footprint.of_json(begun.plan["footprint"]),
        places=holdings.places,
    )
    again = sum(step() for step in removal.steps)
    certificate = certificate_of(begun.id, begun.plan, removal.all_paths(), again)
    path, sha256 = write_certificate(holdings.places.certificates, certificate)
    forgetting.removed(begun, sha256)
    is_clean = scrub(holdings.place)
    if is_clean:
        forgetting.done(begun.id)
    LOG.info("a study was removed", extra={"action": "forgotten"})
    return Forgotten(
        id=begun.id, certificate=path, sha256=sha256, received_again=again, is_clean=is_clean
    )
