"""Events of the audit log as FHIR AuditEvents, release 4.

References
----------
.. [R4] HL7 FHIR R4, 6.4 Resource AuditEvent; its codes are DICOM's.
.. [BALP] IHE ITI, Basic Audit Log Patterns: who, with what application, on what.
"""

import json

from pipeline.ledger.audit import Entry
from pipeline.record.auditcodes import MEANINGS, Kind, host_of, kind_of, object_of, peer_of

DCM = "http://dicom.nema.org/resources/ontology/DCM"
"""The system of DICOM's codes."""

OWN = "urn:vesalius:audit"
"""The system of our own."""

OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
"""The system of what an object is for."""


def audit_event(entry: Entry) -> dict[str, object]:
    """Return an event as an AuditEvent [R4]_, as JSON values."""
    kind, done = kind_of(entry), entry.audited
    event: dict[str, object] = {
        "resourceType": "AuditEvent",
        "id": entry.digest,
        "type": _coding(kind.event),
        "subtype": [*(_coding(code) for code in kind.types), _own(done.action)],
        "action": kind.action,
        "recorded": entry.at.isoformat(timespec="milliseconds"),
        "outcome": "0" if done.succeeded else "4",
        "agent": _agents(entry, kind),
        "source": {
            "observer": {"display": host_of(entry)},
            "type": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
        "entity": [_entity(entry)],
    }
    return event


def _agents(entry: Entry, kind: Kind) -> list[dict[str, object]]:
    """Return who did it, this application, and the other end of a transfer [BALP]_."""
    done = entry.audited
    actor: dict[str, object] = {
        "who": {"identifier": {"value": done.actor}},
        "requestor": True,
    }
    if done.role is not None:
        actor["role"] = [{"coding": [_own(done.role)]}]
    if done.address is not None:
        actor["network"] = {"address": done.address, "type": "2"}
    if kind.event == "110104" and done.action == "instances received":
        actor["type"] = {"coding": [_coding("110153")]}
    role = {"instances received": "110152", "instances sent": "110153"}
    application: dict[str, object] = {
        "type": {"coding": [_coding(role.get(done.action, "110150"))]},
        "who": {"display": f"vesalius@{host_of(entry)}"},
        "requestor": False,
        "network": {"address": host_of(entry), "type": "1"},
    }
    agents = [actor, application]
    peer = peer_of(entry)
    if peer is not None:
        agents.append(
            {
                "type": {"coding": [_coding("110152")]},
                "who": {"display": peer},
                "requestor": False,
            }
        )
    return agents


def _entity(entry: Entry) -> dict[str, object]:
    """Return what it was done to, with all details."""
    kind, name = object_of(entry)
    details = {
        **entry.audited.detail,
        "number": entry.number,
        "digest": entry.digest,
        "clock": entry.clock,
    }
    identifier = (
        {"system": "urn:dicom:uid", "value": f"urn:oid:{name}"}
        if kind == "study"
        else {"value": name}
    )
    role = ("3", "Report") if kind == "study" else ("4", "Domain Resource")
    return {
        "what": {"identifier": identifier},
        "role": {"system": OBJECT_ROLE, "code": role[0], "display": role[1]},
        "name": entry.audited.subject,
        "detail": [
            {
                "type": key,
                "valueString": value if isinstance(value, str) else json.dumps(value),
            }
            for key, value in details.items()
        ],
    }


def _coding(code: str) -> dict[str, object]:
    """Return a code of DICOM's."""
    return {"system": DCM, "code": code, "display": MEANINGS[code]}


def _own(text: str) -> dict[str, object]:
    """Return a code of our own."""
    return {"system": OWN, "code": text, "display": text}
