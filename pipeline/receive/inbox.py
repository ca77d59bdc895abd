"""The inbox: instances on disk, each flushed and recorded before anybody is told that it is kept.

An instance is written to a file of its own as it comes, encoded as it came, behind the meta
information of PS3.10. The file is moved into the folder of its study, both are flushed, and the
ledger records it; several that come at once share that. Names of files derive from digests and
never from what a sender has said.

What lies in the folder ``incoming`` was never answered for, and is removed when the inbox is
opened. A flush that fails is not tried again, since the system forgets what it could not write: the
file is removed, and the sender keeps the instance.
"""

import fcntl
import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from tempfile import mkstemp
from typing import Self

from pipeline.connections import ReceiveSettings
from pipeline.errors import PipelineError, UnreadableFile, UnusableCall
from pipeline.flush import flush
from pipeline.identity import digest_bytes
from pipeline.ingest.uids import is_uid
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reception import Instance, Reception, Standing
from pipeline.locks import locked
from pipeline.receive.commit import Committer, Waiting
from pipeline.receive.glance import Identity, Look
from pipeline.receive.part10 import file_beginning, says_the_same

MIB = 1 << 20

ANOTHER_BEFORE = "another data set was received before under its SOP Instance UID (0008,0018)"
"""Why a data set is suspect."""

KEY_LENGTH = 32
"""Hexadecimal digits of a digest that name a file or a folder."""


class NoSpace(PipelineError):
    """The disk is full up to what is to stay free. The sender is to keep what it has."""


class TooLarge(UnreadableFile):
    """An instance is larger than a site allows."""


class OtherInstance(UnreadableFile):
    """A data set is not the one that was announced, or came under another one's UID."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a sender says of a data set before it comes."""

    sop_class_uid: str
    """What it is."""

    sop_instance_uid: str
    """Its UID."""

    transfer_syntax_uid: str
    """How it is encoded."""

    sender: str
    """Who sends it: names of application entities and nodes."""

    study_instance_uid: str | None = None
    """The study that it is said to be of; None where nothing is said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """An instance that is kept."""

    instance: Instance
    """What it is."""

    standing: Standing
    """Whether it is new, the same as one that was received before, or another one under its UID;
    then it lies with what is suspect."""


class Inbox:
    """A folder that instances are received in, and the ledger that records them.

    Several processes may use the same one.
    """

    def __init__(self, root: Path, ledger: Ledger, settings: ReceiveSettings) -> None:
        self.root, self._settings = root, settings
        self._reception = Reception(ledger)
        look_after_s = settings.ask_s if settings.ask else settings.quiet_s
        self._committer = Committer(
            root, lambda instances: self._reception.record(instances, look_after_s)
        )

    @classmethod
    def open(cls, root: Path, ledger: Ledger, settings: ReceiveSettings) -> Self:
        """Make the folder if it is missing, and remove what was never answered for.

        Raises
        ------
        UnusableCall
            If it cannot be written.
        """
        try:
            for name in ("incoming", "studies", "suspects", "locks"):
                (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            flush(root)
            _sweep(root / "incoming")
        except OSError as problem:
            raise UnusableCall(f"{root}: cannot be written ({problem.strerror})") from problem
        return cls(root, ledger, settings)

    def receive(self, offer: Offer) -> "Incoming":
        """Begin to receive a data set.

        Raises
        ------
        UnreadableFile
            If a UID that is said of it is none.
        NoSpace
            If less is free than is to stay free, or the file cannot be made.
        """
        uids = offer.sop_class_uid, offer.sop_instance_uid, offer.transfer_syntax_uid
        if not all(is_uid(uid) for uid in uids):
            raise UnreadableFile("what is said of it is no UID")
        self.check_space()
        try:
            descriptor, name = mkstemp(suffix=".part", dir=self.root / "incoming")
        except OSError as problem:
            raise NoSpace(f"the inbox cannot be written ({problem.strerror})") from problem
        incoming = Incoming(
            offer=offer,
            inbox=self,
            largest=self._settings.largest_mib * MIB,
            descriptor=descriptor,
            file=Path(name),
        )
        try:
            incoming.begin()
        except OSError as problem:
            incoming.discard()
            raise NoSpace(f"the inbox cannot be written ({problem.strerror})") from problem
        return incoming

    def check_space(self) -> None:
        """Check that as much of the disk is free as is to stay free.

        Raises
        ------
        NoSpace
            If it is not.
        """
        found = os.statvfs(self.root)
        free_mib = found.f_bavail * found.f_frsize // MIB
        if free_mib < self._settings.free_mib:
            raise NoSpace(f"{free_mib} MiB are free, {self._settings.free_mib} are to stay so")

    def keep(self, incoming: "Incoming", identity: Identity) -> Kept:
        """Flush a data set that is whole, put it into place, and record it.

        Raises
        ------
        OSError
            If it cannot be put into place.
        LedgerUnavailable
            If it cannot be recorded.
        """
        instance = Instance(
            study_instance_uid=identity.study_instance_uid,
            series_instance_uid=identity.series_instance_uid,
            sop_instance_uid=identity.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            transfer_syntax_uid=incoming.offer.transfer_syntax_uid,
            sha256=incoming.sha256,
            size=incoming.size,
            relative_path=_place(identity, incoming.sha256),
            sender=incoming.offer.sender,
        )
        known = self._committer.commit(
            Waiting(file=incoming.file, descriptor=incoming.descriptor, instance=instance)
        )
        if known.standing is Standing.OTHER:
            return self._kept_apart(instance, known.first)
        return Kept(instance=instance, standing=known.standing)

    def _kept_apart(self, instance: Instance, first: PurePosixPath) -> Kept:
        """Set a data set aside that came under another one's UID, unless both say the same."""
        place = self.root / instance.relative_path
        apart = PurePosixPath("suspects", f"{instance.sha256}.dcm")
        with locked(self.root / "suspects.lock"):
            # Of the same bytes twice, the file may be judged and gone already.
            if place.exists():
                if says_the_same(self.root / first, place):
                    place.unlink()
                else:
                    place.rename(self.root / apart)
                    flush(self.root / "suspects")
            if not (self.root / apart).exists():
                return Kept(instance=instance, standing=Standing.SAME)
            instance = replace(instance, relative_path=apart)
            self._reception.suspect(instance, ANOTHER_BEFORE)
        return Kept(instance=instance, standing=Standing.OTHER)


@dataclass(kw_only=True, slots=True, eq=False)
class Incoming:
    """A data set that is received now."""

    offer: Offer
    """What its sender says of it."""

    inbox: Inbox
    """Where it goes to."""

    largest: int
    """How long it may be [byte]."""

    descriptor: int
    """Its file, open and locked."""

    file: Path
    """Its file's path."""

    size: int = 0
    """Length of what has come [byte]."""

    _look: Look = field(init=False)
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        """Look at what comes as it is said to be encoded."""
        self._look = Look(self.offer.transfer_syntax_uid)

    def begin(self) -> None:
        """Lock the file, and write what comes before the data set.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._write(
            file_beginning(
                self.offer.sop_class_uid,
                self.offer.sop_instance_uid,
                self.offer.transfer_syntax_uid,
            )
        )

    @property
    def sha256(self) -> str:
        """Digest of what has come, hexadecimal."""
        return self._digest.hexdigest()

    def write(self, part: bytes | bytearray | memoryview) -> None:
        """Write the next part.

        Raises
        ------
        UnreadableFile
            If it is no data set, is larger than a site allows, or is not the one that was offered.
        OSError
            If it cannot be written.
        """
        self.size += len(part)
        if self.size > self.largest:
            raise TooLarge(f"larger than {self.largest // MIB} MiB")
        if not self._look.is_over:
            self._look.take(part)
            if self._look.identity is not None:
                self._check(self._look.identity)
        self._digest.update(part)
        self._write(part)

    def keep(self) -> Kept:
        """Flush the data set, put it into place, and record it; then it may be answered for.

        Raises
        ------
        UnreadableFile
            If it is no data set, is not the one that was offered, or lacks a UID.
        NoSpace
            If it cannot be flushed or put into place.
        LedgerUnavailable
            If it cannot be recorded.
        """
        try:
            identity = self._look.end()
            self._check(identity)
            try:
                return self.inbox.keep(self, identity)
            except OSError as problem:
                raise NoSpace(f"the inbox cannot be written ({problem.strerror})") from problem
        finally:
            self.discard()

    def discard(self) -> None:
        """Close the file, and remove it if it was not put into place; may be called again."""
        if self.descriptor >= 0:
            self.file.unlink(missing_ok=True)
            os.close(self.descriptor)
            self.descriptor = -1

    def _write(self, content: bytes | bytearray | memoryview) -> None:
        """Write bytes, all of them."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def _check(self, identity: Identity) -> None:
        """Check that a data set is what was offered.

        Raises
        ------
        OtherInstance
            If it is not.
        """
        if identity.sop_instance_uid != self.offer.sop_instance_uid:
            raise OtherInstance("SOP Instance UID (0008,0018) is not the one that was announced")
        if identity.sop_class_uid != self.offer.sop_class_uid:
            raise OtherInstance("SOP Class UID (0008,0016) is not the one that was announced")
        if self.offer.study_instance_uid not in (None, identity.study_instance_uid):
            raise OtherInstance("Study Instance UID (0020,000D) is not the one that was asked for")


def _place(identity: Identity, sha256: str) -> PurePosixPath:
    """Return the file of an instance, under the inbox."""
    study, instance = (
        digest_bytes(uid.encode())[:KEY_LENGTH]
        for uid in (identity.study_instance_uid, identity.sop_instance_uid)
    )
    return PurePosixPath("studies", study, f"{instance}-{sha256[:KEY_LENGTH]}.dcm")


def _sweep(incoming: Path) -> None:
    """Remove files whose writers are gone."""
    for path in incoming.glob("*.part"):
        # Others that use the inbox may end with theirs meanwhile.
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
