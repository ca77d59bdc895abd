"""The ways to a destination: C-STORE, STOW-RS, a folder, a bucket.

Contract: ``send`` yields the status of each parcel in turn and sends nothing that is not asked for;
``missing`` returns what is not there, by path; ``reach`` returns if the destination answers. All
raise PeerUnavailable where it does not, and PeerRefused where it will not; sending the same parcel
twice leaves one object.
"""

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pipeline.config import Configuration
from pipeline.connections import Destination, Node
from pipeline.deliver.parcel import Parcel, name_of
from pipeline.errors import PeerUnavailable
from pipeline.gateways.association import echo
from pipeline.gateways.folder import check_folder, digest_in, put_file
from pipeline.gateways.objects import Bucket
from pipeline.gateways.presence import Place, present
from pipeline.gateways.store import StoredFile, store
from pipeline.gateways.stow import stow
from pipeline.ledger.deliveries import SentObject

PORTS = {"http": 80, "https": 443}
"""Ports of addresses that name none."""


class Way(Protocol):
    """A way to a destination; see the module for its contract."""

    def reach(self) -> None:
        """Return if the destination answers."""

    def send(self, parcels: Sequence[Parcel]) -> Iterator[str]:
        """Send parcels, and yield the status of each in turn."""

    def missing(self, sent: Sequence[SentObject], folder: Path) -> set[str]:
        """Return the paths of what is not there."""


def way_to(destination: Destination, settings: Configuration) -> Way:
    """Return the way to a destination."""
    if destination.by == "folder":
        return _FolderWay(Path(str(destination.folder)))
    if destination.by == "s3":
        return _BucketWay(Bucket(destination))
    node = settings.nodes[str(destination.node)]
    return _StoreWay(node, settings) if destination.by == "c-store" else _StowWay(node, settings)


class _NodeWay:
    """What the two ways to a node share."""

    def __init__(self, node: Node, settings: Configuration) -> None:
        self._node, self._settings = node, settings

    def missing(self, sent: Sequence[SentObject], folder: Path) -> set[str]:  # noqa: ARG002 - part of the contract
        """Ask the node which objects it has."""
        places = [
            Place(
                study_instance_uid=str(each.study_instance_uid),
                series_instance_uid=str(each.series_instance_uid),
                sop_instance_uid=str(each.sop_instance_uid),
            )
            for each in sent
        ]
        found = present(places, self._node, self._settings)
        return {each.relative_path for each in sent if each.sop_instance_uid not in found}


class _StoreWay(_NodeWay):
    """C-STORE."""

    def reach(self) -> None:
        """Ask the node whether it is there."""
        echo(self._node, self._settings)

    def send(self, parcels: Sequence[Parcel]) -> Iterator[str]:
        """Store the objects over one association."""
        files = [
            StoredFile(
                path=parcel.path,
                sop_class_uid=str(parcel.sop_class_uid),
                sop_instance_uid=str(parcel.sop_instance_uid),
                transfer_syntax_uid=str(parcel.transfer_syntax_uid),
            )
            for parcel in parcels
        ]
        for status in store(files, self._node, self._settings):
            yield f"{status:04X}"


class _StowWay(_NodeWay):
    """STOW-RS."""

    def reach(self) -> None:
        """See whether the server takes connections."""
        place = urlsplit(str(self._node.url))
        port = place.port or PORTS[place.scheme]
        try:
            socket.create_connection((str(place.hostname), port), self._node.timeout_s).close()
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
            raise PeerUnavailable(f"{self._node.url}: no connection: {reason}") from None

    def send(self, parcels: Sequence[Parcel]) -> Iterator[str]:
        """Store the objects, one a request."""
        yield from stow([parcel.path for parcel in parcels], self._node, self._settings)


class _FolderWay:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def reach(self) -> None:
        """See whether the folder is there."""
        check_folder(self._root)

    def send(self, parcels: Sequence[Parcel]) -> Iterator[str]:
        """Put the files there."""
        for parcel in parcels:
            put_file(parcel.path, self._root, parcel.name)
            yield "0000"

    def missing(self, sent: Sequence[SentObject], folder: Path) -> set[str]:
        """Read the files back."""
        return {
            each.relative_path
            for each in sent
            if digest_in(self._root, name_of(folder, each.relative_path)) != each.sent_sha256
        }


class _BucketWay:
    """A bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def reach(self) -> None:
        """See whether the storage answers."""
        self._bucket.reach()

    def send(self, parcels: Sequence[Parcel]) -> Iterator[str]:
        """Put the files there."""
        for parcel in parcels:
            yield self._bucket.put(parcel.path, parcel.name)

    def missing(self, sent: Sequence[SentObject], folder: Path) -> set[str]:
        """Read the files back."""
        return {
            each.relative_path
            for each in sent
            if self._bucket.digest(name_of(folder, each.relative_path)) != each.sent_sha256
        }
