"""A backup of everything that an installation keeps, made while it works.

The ledger is copied first, and then the files that it names: a file is flushed before the ledger
knows it, so that whatever the copy names is there. What was read for an earlier backup and has not
changed is not read again. Nothing is removed by this installation meanwhile.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline import __version__
from pipeline.errors import UnusableCall
from pipeline.identity import digest_file
from pipeline.ledger.audit import Audited, record, verify
from pipeline.ledger.dump import dump, kind_of
from pipeline.ledger.stored import Stored, stored
from pipeline.ledger.tables import now
from pipeline.locks import locked
from pipeline.manifest import MANIFEST
from pipeline.record.forget import Holdings, record_lock
from pipeline.record.store import Backup, Saved, Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A backup that was made."""

    name: str
    """Its name."""

    sha256: str
    """Digest of its manifest, as the audit log has it."""

    files: int
    """Files that it holds, beside the ledger."""

    size: int
    """Their size [byte]."""

    read: int
    """Files that had to be read; the others are as in an earlier backup."""

    gone: int
    """Files that the ledger names and that were not there."""

    pruned: int
    """Files that were removed with earlier backups."""


def back_up(
    store: Store, holdings: Holdings, actor: str, *, settings: Path | None = None, keep: int = 0
) -> Made:
    """Make a backup.

    Parameters
    ----------
    store
        Where to.
    holdings
        What the installation keeps.
    actor
        Who asks for it.
    settings
        The file of settings: its digest is noted.
    keep
        Backups that stay, this one included; 0 keeps all.

    Raises
    ------
    UnusableCall
        If the folder cannot be written, or the database's programs are missing.
    LedgerUnavailable
        If the ledger cannot be read.
    OSError
        If a file cannot be read or written.
    """
    store.open()
    with locked(record_lock(holdings.places)):
        begun = now()
        chain = verify(holdings.ledger)
        if chain.fault is not None:
            raise UnusableCall(f"the audit log is not whole: {chain.fault}")
        ledger = _ledger(store, holdings)
        roots, listed = _listed(stored(holdings.ledger), holdings)
        files, n_read, gone = _files(store, roots, listed)
    backup = Backup(
        at=begun.isoformat(),
        software=__version__,
        kind=kind_of(holdings.place),
        ledger=ledger,
        events=chain.events,
        head=chain.head,
        roots={name: str(root) for name, root in roots.items()},
        files=files,
        gone=gone,
        settings=None if settings is None else digest_file(settings),
    )
    name = _name(store, begun)
    sha256 = store.keep(backup, name)
    pruned = store.prune(keep) if keep else 0
    detail = {"sha256": sha256, "files": len(files), "events": chain.events, "head": chain.head}
    record(
        holdings.ledger,
        Audited(action="backup made", actor=actor, subject=f"backup {name}", detail=detail),
    )
    return Made(
        name=name,
        sha256=sha256,
        files=len(files),
        size=sum(saved.size for saved in files),
        read=n_read,
        gone=len(gone),
        pruned=pruned,
    )


def _ledger(store: Store, holdings: Holdings) -> Saved:
    """Copy the ledger."""
    working = store.folder / "working" / "ledger"
    try:
        dump(holdings.place, working)
        sha256, size = store.put(working)
    finally:
        working.unlink(missing_ok=True)
    return Saved(root="ledger", path="ledger", sha256=sha256, size=size, mtime_ns=0)


def _listed(found: Stored, holdings: Holdings) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    """Return the folders by name, and the files as name and path, each once."""
    places = holdings.places
    roots = {"inbox": places.inbox, "certificates": places.certificates}
    listed = [("inbox", path) for path in found.received]
    listed += [("certificates", path.name) for path in places.certificates.glob("*.json")]
    if places.registry is not None:
        roots["registry"] = places.registry
        for digest in found.versions:
            for path in sorted((places.registry / digest).rglob("*")):
                if path.is_file():
                    listed.append(("registry", path.relative_to(places.registry).as_posix()))
    outputs = sorted({root for root, _, _ in found.artifacts})
    names = {root: f"output {number}" for number, root in enumerate(outputs, 1)}
    roots |= {names[root]: Path(root) for root in outputs}
    listed += [(names[root], path) for root, path, _ in found.artifacts]
    listed += [(names[root], MANIFEST) for root in outputs if (Path(root) / MANIFEST).is_file()]
    return roots, list(dict.fromkeys(listed))


def _files(
    store: Store, roots: dict[str, Path], listed: list[tuple[str, str]]
) -> tuple[tuple[Saved, ...], int, tuple[str, ...]]:
    """Keep files; return them, how many were read, and which were not there."""
    before = {(str(place), s.size, s.mtime_ns): s.sha256 for place, s in _before(store)}
    files, gone, n_read, trusted = [], [], 0, store.trusted()
    for name, path in listed:
        place = roots[name] / path
        try:
            found = place.stat()
            known = before.get((str(place), found.st_size, found.st_mtime_ns))
            if known is not None and store.place(known).exists():
                sha256, size = known, found.st_size
            else:
                sha256, size = store.put(place, trusted)
                n_read += 1
        except FileNotFoundError:
            gone.append(str(place))
            continue
        files.append(
            Saved(root=name, path=path, sha256=sha256, size=size, mtime_ns=found.st_mtime_ns)
        )
    return tuple(files), n_read, tuple(gone)


def _before(store: Store) -> Iterator[tuple[Path, Saved]]:
    """Return the files of the last backup, each with its place."""
    if store.names():
        last = store.read()[1]
        for saved in last.files:
            yield Path(last.roots[saved.root]) / saved.path, saved


def _name(store: Store, begun: datetime) -> str:
    """Return a name that no backup has."""
    stem = begun.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    taken = set(store.names())
    names = (stem, *(f"{stem}-{number}" for number in range(1, len(taken) + 1)))
    return next(name for name in names if name not in taken)
