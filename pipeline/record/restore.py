"""An installation put back from a backup, into an empty place; and a backup looked at.

Files come first, the ledger last: an installation without a ledger was not put back whole. A file
beside the ledger says so meanwhile, so that a call that was killed may go on.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.errors import UnusableCall
from pipeline.identity import digest_file
from pipeline.ledger.audit import Audited, Chain, record_within, verify
from pipeline.ledger.dump import is_empty, put_back
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.stored import Unended, relocate, stored, unended
from pipeline.record.places import Places
from pipeline.record.store import Backup, Saved, Store

MARKER = "restoring"
"""Name of the file that says that an installation is being put back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """What was put back."""

    name: str
    """The backup."""

    at: str
    """When it was begun: what has come since is not in it."""

    files: int
    """Files that were put back."""

    chain: Chain
    """The audit log, as it is now."""

    under_way: Unended
    """What was under way when the backup was made."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "backup": self.name,
            "at": self.at,
            "files": self.files,
            "audit": asdict(self.chain),
            "jobs_done_again": [str(job_id) for job_id in self.under_way.jobs],
            "may_be_sent_again": [list(one) for one in self.under_way.deliveries],
        }


def restore(store: Store, place: str, places: Places, actor: str, name: str | None) -> Restored:
    """Put an installation back from a backup.

    Parameters
    ----------
    store
        The backups.
    place
        Where the ledger goes to.
    places
        Where the files go to.
    actor
        Who asks for it.
    name
        The backup; None takes the last one.

    Raises
    ------
    UnusableCall
        If a place is not empty, or the backup is damaged.
    LedgerUnavailable
        If the ledger cannot be written.
    OSError
        If a file cannot be written.
    """
    name, backup, sha256 = store.read(name)
    roots = _targets(backup, places)
    marker = places.state / MARKER
    _refuse_taken(place, roots, marker, sha256)
    places.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker.write_text(sha256)
    for saved in backup.files:
        if not store.take(saved, roots[saved.root] / saved.path):
            raise UnusableCall(f"{store.place(saved.sha256)}: altered; the backup is damaged")
    # Once for all of them, and before the ledger says that they are there.
    os.sync()
    if is_empty(place):
        _put_ledger_back(store, backup, place, places.state)
    with Ledger.open(place) as ledger:
        under_way = unended(ledger)
        with ledger.transaction() as session:
            for root, folder in roots.items():
                if str(folder) != backup.roots[root]:
                    relocate(session, Path(backup.roots[root]), folder)
            detail = {"sha256": sha256, "backup_at": backup.at, "files": len(backup.files)}
            record_within(
                session,
                Audited(action="restored", actor=actor, subject=f"backup {name}", detail=detail),
            )
        chain = verify(ledger, backup.head if backup.events else None)
    marker.unlink()
    return Restored(
        name=name, at=backup.at, files=len(backup.files), chain=chain, under_way=under_way
    )


def check(store: Store, name: str | None) -> Iterator[str]:
    """Look whether a backup is whole, and tell what is wrong with it.

    Every content is read, the copy of the ledger is opened, its audit log followed, and every file
    that it names looked for in the manifest.

    Parameters
    ----------
    store
        The backups.
    name
        The backup; None takes the last one.

    Raises
    ------
    UnusableCall
        If there is none.
    """
    name, backup, _ = store.read(name)
    seen: dict[str, bool] = {}
    for saved in (backup.ledger, *backup.files):
        if saved.sha256 not in seen:
            seen[saved.sha256] = _is_whole(store, saved)
        if not seen[saved.sha256]:
            yield f"{saved.root} {saved.path}: missing or altered"
    if backup.kind == "sqlite" and seen[backup.ledger.sha256]:
        yield from _ledger_faults(store, backup)


def _ledger_faults(store: Store, backup: Backup) -> Iterator[str]:
    """Look into the copy of a SQLite ledger."""
    with TemporaryDirectory(prefix="vesalius-") as folder:
        copy = Path(folder) / "ledger.db"
        shutil.copyfile(store.place(backup.ledger.sha256), copy)
        with Ledger.open(str(copy)) as ledger:
            chain = verify(ledger, backup.head if backup.events else None)
            named = stored(ledger)
    if chain.fault is not None:
        yield f"the audit log is not whole: {chain.fault}"
    held = {(s.root, s.path) for s in backup.files}
    names = {root: name for name, root in backup.roots.items()}
    wanted = [("inbox", path) for path in named.received]
    wanted += [(names.get(root, root), path) for root, path, _ in named.artifacts]
    gone = set(backup.gone)
    for root, path in wanted:
        place = str(Path(backup.roots.get(root, root)) / path)
        if (root, path) not in held and place not in gone:
            yield f"{root} {path}: the ledger names it, and the backup does not hold it"


def _is_whole(store: Store, saved: Saved) -> bool:
    """Tell whether a content is what its digest says."""
    place = store.place(saved.sha256)
    return place.is_file() and digest_file(place) == saved.sha256


def _targets(backup: Backup, places: Places) -> dict[str, Path]:
    """Return where the folders of a backup go to: as set now, or where they were."""
    now: dict[str, Path | None] = {
        "inbox": places.inbox,
        "registry": places.registry,
        "certificates": places.certificates,
    }
    outputs = [name for name in backup.roots if name.startswith("output ")]
    if len(outputs) == 1 and places.output is not None:
        now[outputs[0]] = places.output.absolute()
    return {name: now.get(name) or Path(root) for name, root in backup.roots.items()}


def _refuse_taken(place: str, roots: dict[str, Path], marker: Path, sha256: str) -> None:
    """Refuse a place that is not empty, unless this very backup was being put there.

    Raises
    ------
    UnusableCall
        If it is not.
    """
    if marker.is_file() and marker.read_text() == sha256:
        return
    if not is_empty(place):
        raise UnusableCall("there is a ledger: a backup is put back into an empty place only")
    for root in roots.values():
        if root.is_dir() and any(root.iterdir()):
            raise UnusableCall(f"{root} is not empty: a backup is put back into an empty place")


def _put_ledger_back(store: Store, backup: Backup, place: str, state: Path) -> None:
    """Put the copy of the ledger into its place.

    Raises
    ------
    UnusableCall
        If the copy is damaged.
    """
    working = state / f"{MARKER}.ledger"
    if not store.take(backup.ledger, working):
        raise UnusableCall(f"{store.place(backup.ledger.sha256)}: altered; the backup is damaged")
    put_back(working, place)
    working.unlink()
