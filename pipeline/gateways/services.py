"""What this installation negotiates: SOP classes, roles and transfer syntaxes of every service.

The receiver and the gateways take their presentation contexts from here, and the conformance
statement is written from here, so that it says what is done.

References
----------
.. [P4] DICOM PS3.4: B storage, F and CC procedure steps, J storage commitment, R availability.
.. [A4] DICOM PS3.5, A transfer syntaxes; PS3.6, A registry of UIDs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.presentation import PresentationContext, build_context

LABELMAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage, which is newer than the libraries' lists."""

NAMES = {
    LABELMAP_SEGMENTATION: "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
}
"""Names of SOP classes that the libraries do not know."""

_ROOT = "1.2.840.10008.1.2"

UNCOMPRESSED = (
    str(ExplicitVRLittleEndian),
    str(ImplicitVRLittleEndian),
    f"{_ROOT}.2",
    f"{_ROOT}.1.99",
)
"""Explicit and implicit VR little endian, explicit VR big endian, deflated; the preferred first."""

LOSSLESS = tuple(
    f"{_ROOT}.{end}"
    for end in ("4.80", "4.90", "4.201", "4.202", "4.70", "4.57", "5", "4.110", "4.92", "8.1")
)
"""Compressed without loss."""

LOSSY = tuple(f"{_ROOT}.4.{end}" for end in ("50", "51", "81", "91", "93", "203", "111", "112"))
"""Compressed with loss, or perhaps with loss."""

VIDEO = tuple(
    f"{_ROOT}.4.{end}"
    for end in (
        *("100", "100.1", "101", "101.1", "102", "102.1", "103", "103.1", "104", "104.1"),
        *("105", "105.1", "106", "106.1", "107", "108"),
    )
)
"""MPEG-2, H.264 and HEVC."""

RECEIVED_SYNTAXES = (*UNCOMPRESSED, *LOSSLESS, *LOSSY, *VIDEO)
"""Transfer syntaxes of what is received, the preferred first: instances are kept as they come.

Those of JPIP are not among them: such an instance has its pixels elsewhere."""

SENT_SYNTAXES = UNCOMPRESSED[:2]
"""Transfer syntaxes of what is written and sent."""

COMMAND_SYNTAXES = UNCOMPRESSED[:2]
"""Transfer syntaxes of services that have no pixels."""


class Role(StrEnum):
    """Which side of a service this installation is."""

    USER = "SCU"
    """It asks."""

    PROVIDER = "SCP"
    """It is asked."""


class Opened(StrEnum):
    """Who opens the association."""

    HERE = "this installation"
    THERE = "the other system"


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A SOP class in a role."""

    area: str
    """What it is for: the heading that it stands under."""

    sop_class_uid: str
    """SOP class."""

    role: Role
    """Which side this installation is."""

    opened: Opened
    """Who opens the association."""

    transfer_syntaxes: tuple[str, ...]
    """Transfer syntaxes, the preferred first."""

    @property
    def name(self) -> str:
        """Name of the SOP class."""
        return name_of(self.sop_class_uid)


WRITTEN_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.4": "images of a reconstruction, one a frame",
    "1.2.840.10008.5.1.4.1.1.4.1": "images of a reconstruction, one of all frames",
    "1.2.840.10008.5.1.4.1.1.7": "overview of a perfusion result; pictures of surgical phases",
    "1.2.840.10008.5.1.4.1.1.30": (
        "uncertainty of a segmentation; deviation of a reconstruction; flow"
    ),
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation, BINARY",
    LABELMAP_SEGMENTATION: "segmentation, LABELMAP",
    "1.2.840.10008.5.1.4.1.1.88.22": "surgical phases, observed and expected",
    "1.2.840.10008.5.1.4.1.1.88.34": "measurements of a perfusion result, TID 1500",
    "1.2.840.10008.5.1.4.1.1.104.1": "one page of a perfusion result or a reserve, for a signature",
    "1.2.840.10008.5.1.4.1.1.88.59": "key objects: all that a job found",
}
"""SOP classes of the objects that are written, and what they are for."""

_OTHERS: tuple[tuple[str, str, Role, Opened], ...] = (
    ("Verification", "1.2.840.10008.1.1", Role.PROVIDER, Opened.THERE),
    ("Verification", "1.2.840.10008.1.1", Role.USER, Opened.HERE),
    ("Query and retrieval", "1.2.840.10008.5.1.4.1.2.2.1", Role.USER, Opened.HERE),
    ("Query and retrieval", "1.2.840.10008.5.1.4.1.2.2.2", Role.USER, Opened.HERE),
    ("Query and retrieval", "1.2.840.10008.5.1.4.1.2.2.3", Role.USER, Opened.HERE),
    ("Storage commitment", "1.2.840.10008.1.20.1", Role.USER, Opened.HERE),
    ("Storage commitment", "1.2.840.10008.1.20.1", Role.USER, Opened.THERE),
    ("Instance availability", "1.2.840.10008.5.1.4.33", Role.PROVIDER, Opened.THERE),
    ("Unified procedure steps", "1.2.840.10008.5.1.4.34.6.3", Role.USER, Opened.HERE),
    ("Unified procedure steps", "1.2.840.10008.5.1.4.34.6.2", Role.USER, Opened.HERE),
    ("Unified procedure steps", "1.2.840.10008.5.1.4.34.6.4", Role.USER, Opened.THERE),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A status, and what it means."""

    status: str
    """The status: four hexadecimal digits, or a code of HTTP."""

    name: str
    """What the standard calls it."""

    meaning: str
    """When it is given, or what is done when it comes."""


STORE_ANSWERS = (
    Answer(
        status="0000",
        name="Success",
        meaning="the data set is on disk, flushed and recorded; also if the same bytes came before",
    ),
    Answer(
        status="0111",
        name="Duplicate SOP Instance",
        meaning="another data set was received under this UID: this one is set aside and reported",
    ),
    Answer(
        status="A700",
        name="Out of resources",
        meaning="the disk is nearly full, or the ledger is away; send it again later",
    ),
    Answer(
        status="A900",
        name="Data set does not match SOP class",
        meaning="the data set is not the class or instance that was announced",
    ),
    Answer(
        status="C000",
        name="Cannot understand",
        meaning="no data set: no UIDs of study, series and instance, cut, or too large",
    ),
)
"""What a C-STORE is answered with."""

SEND_ANSWERS = (
    Answer(status="0000", name="Success", meaning="sent; confirmed as the destination says"),
    Answer(status="0111", name="Duplicate SOP Instance", meaning="there before; confirmed"),
    Answer(status="A700 to A7FF", name="Out of resources", meaning="sent again later"),
    Answer(status="0110", name="Processing failure", meaning="sent again later"),
    Answer(
        status="0122", name="SOP class not supported", meaning="not sent again; a person decides"
    ),
    Answer(status="0124", name="Not authorised", meaning="not sent again; a person decides"),
    Answer(
        status="A900 to A9FF",
        name="Data set does not match SOP class",
        meaning="not sent again; a person decides",
    ),
    Answer(
        status="C000 to CFFF", name="Cannot understand", meaning="not sent again; a person decides"
    ),
    Answer(
        status="B000, B006, B007",
        name="Warnings: coerced, discarded, mismatched",
        meaning="taken for stored, and told in the delivery's history",
    ),
    Answer(status="any other", name="", meaning="sent again later"),
)
"""What is done with answers to a C-STORE."""


def name_of(uid: str) -> str:
    """Return the name of a UID of the standard."""
    return NAMES.get(uid) or UID(uid).name


@lru_cache(maxsize=1)
def storage_classes() -> tuple[str, ...]:
    """Return all SOP classes of storage that are received."""
    known = {str(context.abstract_syntax) for context in AllStoragePresentationContexts}
    return tuple(sorted(known | {LABELMAP_SEGMENTATION}))


def services() -> Iterator[Service]:
    """Yield every service of this installation, in the order of the statement."""
    for area, uid, role, opened in _OTHERS:
        yield Service(
            area=area,
            sop_class_uid=uid,
            role=role,
            opened=opened,
            transfer_syntaxes=COMMAND_SYNTAXES,
        )
    for uid in WRITTEN_CLASSES:
        yield Service(
            area="Storage",
            sop_class_uid=uid,
            role=Role.USER,
            opened=Opened.HERE,
            transfer_syntaxes=SENT_SYNTAXES,
        )
    for uid in storage_classes():
        yield Service(
            area="Storage",
            sop_class_uid=uid,
            role=Role.PROVIDER,
            opened=Opened.THERE,
            transfer_syntaxes=RECEIVED_SYNTAXES,
        )


def storage_contexts() -> list[PresentationContext]:
    """Return the contexts of storage that the receiver accepts."""
    return [build_context(uid, list(RECEIVED_SYNTAXES)) for uid in storage_classes()]


def receiver_contexts() -> list[PresentationContext]:
    """Return all contexts that the receiver accepts.

    Where the other system opens the association and provides the service, which is so of storage
    commitment and of events of procedure steps, it takes the role of the SCP (PS3.7, D.3.3.4): the
    contexts hold the roles.
    """
    return [*_others(Opened.THERE), *storage_contexts()]


def _others(opened: Opened) -> Sequence[PresentationContext]:
    """Return contexts of services other than storage."""
    found = []
    for service in services():
        if service.area == "Storage" or service.opened is not opened:
            continue
        context = build_context(service.sop_class_uid, list(service.transfer_syntaxes))
        if service.role is Role.USER:
            context.scu_role, context.scp_role = True, True
        found.append(context)
    return found
