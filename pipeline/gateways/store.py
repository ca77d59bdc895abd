"""Store objects at a node with C-STORE (PS3.4, B).

Files go as they are, in the transfer syntax that they have; a node that takes uncompressed objects
in another syntax only gets them encoded anew. Nothing of a data set is logged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import _config, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerUnavailable
from pipeline.gateways.association import answered, associate, place

# A file is read while it is sent, and not as a whole.
_config.STORE_SEND_CHUNKED_DATASET = True

NO_CONTEXT = 0x0122
"""Status of an object whose class a node does not accept: SOP Class not supported."""

MOST_CONTEXTS = 128
"""Presentation contexts of an association: odd numbers of one byte (PS3.8, 9.3.2.2)."""

UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
"""Transfer syntaxes that are encoded anew where a node takes another one of them only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A DICOM file, and what its meta information says."""

    path: Path
    """The file (PS3.10)."""

    sop_class_uid: str
    """SOP Class UID."""

    sop_instance_uid: str
    """SOP Instance UID."""

    transfer_syntax_uid: str
    """Transfer Syntax UID."""


def store(files: Sequence[StoredFile], node: Node, settings: Configuration) -> Iterator[int]:
    """Store files at a node, over one association, and yield the status of each in turn.

    A file that the caller does not ask for any more is not sent.

    Raises
    ------
    PeerUnavailable
        If the node cannot be reached, does not answer, or ends the association.
    PeerRefused
        If it refuses the association.
    UnusableCall
        If it has no application entity.
    OSError
        If a file cannot be read.
    """
    with associate(node, _contexts(files), settings) as association:
        for number, file in enumerate(files):
            yield _stored(association, file, node, number % 65535 + 1)


def _contexts(files: Sequence[StoredFile]) -> list[PresentationContext]:
    """Return what the files need: a context for each class and transfer syntax.

    Verification is asked for besides, so that a node that takes none of the classes still answers.
    """
    pairs: dict[tuple[str, str], None] = {}
    for file in files:
        pairs[(file.sop_class_uid, file.transfer_syntax_uid)] = None
    for file in files:
        if file.transfer_syntax_uid in UNCOMPRESSED:
            pairs[(file.sop_class_uid, str(ImplicitVRLittleEndian))] = None
    asked = list(pairs)[: MOST_CONTEXTS - 1]
    return [build_context(Verification), *(build_context(*pair) for pair in asked)]


def _stored(association: Association, file: StoredFile, node: Node, number: int) -> int:
    """Store one file and return the status."""
    accepted = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
        if context.as_scu
    }
    if not association.is_established:
        raise PeerUnavailable(f"{place(node)}: the association ended")
    if (file.sop_class_uid, file.transfer_syntax_uid) in accepted:
        return answered(association.send_c_store(file.path, msg_id=number), node)
    other = (file.sop_class_uid, str(ImplicitVRLittleEndian))
    if UID(file.transfer_syntax_uid) not in UNCOMPRESSED or other not in accepted:
        return NO_CONTEXT
    dataset = pydicom.dcmread(file.path)
    return answered(association.send_c_store(dataset, msg_id=number), node)
