"""Events of the audit log as DICOM audit messages.

References
----------
.. [A51] DICOM PS3.15, A.5.1 Audit message schema: elements and their order.
.. [A52] DICOM PS3.15, A.5.2 General message format conventions.
"""

import json
import re
from base64 import b64encode
from xml.etree import ElementTree as ET

from pipeline.ledger.audit import Entry
from pipeline.record.auditcodes import MEANINGS, host_of, kind_of, object_of, peer_of

IP_ADDRESS, MACHINE_NAME = "2", "1"
"""Network access point types [A52]_."""

NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold."""

APPLICATION_SERVER = "4"
"""Audit source type: an application server process [A51]_."""


def audit_message(entry: Entry) -> str:
    """Return an event as a DICOM audit message [A51]_, on one line."""
    message = ET.Element("AuditMessage")
    _event(message, entry)
    _participants(message, entry)
    source = ET.SubElement(message, "AuditSourceIdentification", AuditSourceID=host_of(entry))
    ET.SubElement(source, "AuditSourceTypeCode", {"csd-code": APPLICATION_SERVER})
    _object(message, entry)
    text = NO_XML.sub("?", ET.tostring(message, encoding="unicode"))
    return text.replace("\r", " ").replace("\n", " ")


def _event(message: ET.Element, entry: Entry) -> None:
    """Add what happened, when, and with what outcome."""
    kind, done = kind_of(entry), entry.audited
    event = ET.SubElement(
        message,
        "EventIdentification",
        EventActionCode=kind.action,
        EventDateTime=entry.at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator="0" if done.succeeded else "4",
    )
    _code(event, "EventID", kind.event)
    for code in kind.types:
        _code(event, "EventTypeCode", code)
    ET.SubElement(event, "EventTypeCode", _own(done.action))
    if not done.succeeded:
        ET.SubElement(event, "EventOutcomeDescription").text = "refused"


def _participants(message: ET.Element, entry: Entry) -> None:
    """Add who did it, this application, and the other end of a transfer."""
    done, kind = entry.audited, kind_of(entry)
    attributes = {"UserID": done.actor, "UserIsRequestor": "true"}
    if done.address is not None:
        attributes |= {
            "NetworkAccessPointID": done.address,
            "NetworkAccessPointTypeCode": IP_ADDRESS,
        }
    actor = ET.SubElement(message, "ActiveParticipant", attributes)
    is_transfer = kind.event == "110104"
    if is_transfer and done.action == "instances received":
        _code(actor, "RoleIDCode", "110153")
    elif done.role is not None:
        ET.SubElement(actor, "RoleIDCode", _own(done.role))
    application = ET.SubElement(
        message,
        "ActiveParticipant",
        UserID=f"vesalius@{host_of(entry)}",
        UserIsRequestor="false",
        NetworkAccessPointID=host_of(entry),
        NetworkAccessPointTypeCode=MACHINE_NAME,
    )
    role = {"instances received": "110152", "instances sent": "110153"}
    _code(application, "RoleIDCode", role.get(done.action, "110150"))
    peer = peer_of(entry)
    if peer is not None:
        other = ET.SubElement(message, "ActiveParticipant", UserID=peer, UserIsRequestor="false")
        _code(other, "RoleIDCode", "110152")


def _object(message: ET.Element, entry: Entry) -> None:
    """Add what it was done to, with the chain's digest and all details."""
    kind, name = object_of(entry)
    is_study = kind == "study"
    found = ET.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=name,
        ParticipantObjectTypeCode="2",
        ParticipantObjectTypeCodeRole="3" if is_study else "4",
    )
    if is_study:
        _code(found, "ParticipantObjectIDTypeCode", "110180")
    else:
        ET.SubElement(found, "ParticipantObjectIDTypeCode", _own(kind))
    ET.SubElement(found, "ParticipantObjectName").text = entry.audited.subject
    details = {
        **entry.audited.detail,
        "number": entry.number,
        "digest": entry.digest,
        "clock": entry.clock,
    }
    for key, value in details.items():
        text = value if isinstance(value, str) else json.dumps(value)
        ET.SubElement(
            found,
            "ParticipantObjectDetail",
            type=key,
            value=b64encode(text.encode()).decode(),
        )


def _code(parent: ET.Element, name: str, code: str) -> None:
    """Add a code of DICOM's."""
    ET.SubElement(
        parent,
        name,
        {"csd-code": code, "codeSystemName": "DCM", "originalText": MEANINGS[code]},
    )


def _own(text: str) -> dict[str, str]:
    """Return a code of our own."""
    return {"csd-code": text, "codeSystemName": "99VESALIUS", "originalText": text}
