"""Events leave as DICOM audit messages that fit the standard's schema, and as FHIR AuditEvents."""

import json
import re
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.audit import Audited, Entry
from pipeline.record.auditcodes import KINDS, MEANINGS
from pipeline.record.auditdicom import audit_message
from pipeline.record.auditfhir import audit_event

AT = datetime(2026, 3, 1, 12, 30, 5, 123456, tzinfo=UTC)
ROOT = Path(__file__).parents[2]

CODED = {"csd-code", "codeSystemName", "originalText"}
SCHEMA: dict[str, tuple[set[str], set[str], list[str]]] = {
    "EventIdentification": (
        {"EventDateTime", "EventOutcomeIndicator"},
        {"EventActionCode"},
        ["EventID", "EventTypeCode*", "EventOutcomeDescription?"],
    ),
    "ActiveParticipant": (
        {"UserID", "UserIsRequestor"},
        {"NetworkAccessPointID", "NetworkAccessPointTypeCode"},
        ["RoleIDCode*"],
    ),
    "AuditSourceIdentification": ({"AuditSourceID"}, set(), ["AuditSourceTypeCode*"]),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID"},
        {"ParticipantObjectTypeCode", "ParticipantObjectTypeCodeRole"},
        ["ParticipantObjectIDTypeCode", "ParticipantObjectName", "ParticipantObjectDetail*"],
    ),
    "EventID": (CODED, set(), []),
    "EventTypeCode": (CODED, set(), []),
    "RoleIDCode": (CODED, set(), []),
    "ParticipantObjectIDTypeCode": (CODED, set(), []),
    "AuditSourceTypeCode": ({"csd-code"}, set(), []),
    "ParticipantObjectDetail": ({"type", "value"}, set(), []),
    "ParticipantObjectName": (set(), set(), []),
    "EventOutcomeDescription": (set(), set(), []),
}
"""Of the elements that are written: attributes that must and that may be there, and children in
order, after the schema of PS3.15, A.5.1."""

ORDER = [
    "EventIdentification",
    "ActiveParticipant*",
    "AuditSourceIdentification",
    "ParticipantObjectIdentification*",
]


def entry(action: str, **changes: object) -> Entry:
    """Return an event."""
    audited = {
        "action": action,
        "actor": "anna",
        "subject": "study 2.25.7",
        "detail": {"n": 3, "text": "x"},
        **changes,
    }
    return Entry(
        number=7, at=AT, clock="host-1 synchronised", audited=Audited(**audited), digest="ab" * 32
    )


def check(element: ET.Element, children: list[str]) -> None:
    """Check an element's children against the schema, and theirs."""
    found = " ".join(child.tag for child in element) + " "
    pattern = "".join(
        f"({name.rstrip('*?')} ){'*' if name.endswith('*') else '?' if name.endswith('?') else ''}"
        for name in children
    )
    assert re.fullmatch(pattern, found.lstrip()), found
    for child in element:
        must, may, inside = SCHEMA[child.tag]
        assert must <= set(child.attrib) <= must | may, child.tag
        check(child, inside)


@pytest.mark.parametrize("action", [*KINDS, "model promoted", "something new"])
@pytest.mark.parametrize("succeeded", [True, False])
def test_a_dicom_message_fits_the_schema(action: str, succeeded: bool) -> None:
    message = ET.fromstring(audit_message(entry(action, succeeded=succeeded)))  # noqa: S314 - ours
    assert message.tag == "AuditMessage"
    check(message, ORDER)
    event = message[0]
    assert event.attrib["EventOutcomeIndicator"] == ("0" if succeeded else "4")
    assert event.attrib["EventDateTime"] == "2026-03-01T12:30:05.123+00:00"
    codes = [e.attrib["csd-code"] for e in event if e.attrib.get("codeSystemName") == "DCM"]
    assert codes[0] in MEANINGS
    assert event[0].attrib["originalText"] == MEANINGS[codes[0]]


def test_the_codes_are_those_of_the_standard() -> None:
    text = (ROOT / "docs" / "audit.md").read_text()
    for action, kind in KINDS.items():
        assert f"| {action} |" in text, action
        assert kind.event in text


def test_a_message_holds_all_that_the_event_says() -> None:
    told = entry("instances sent", detail={"destination": "pacs", "objects": 5}, address="10.0.0.1")
    message = ET.fromstring(audit_message(told))  # noqa: S314 - ours
    people = [p.attrib["UserID"] for p in message.iter("ActiveParticipant")]
    assert people == ["anna", "vesalius@host-1", "pacs"]
    roles = [r.attrib["csd-code"] for r in message.iter("RoleIDCode")]
    assert roles == ["110153", "110152"]
    details = {
        d.attrib["type"]: b64decode(d.attrib["value"]).decode()
        for d in message.iter("ParticipantObjectDetail")
    }
    assert details["objects"] == "5"
    assert details["digest"] == "ab" * 32
    found = next(message.iter("ParticipantObjectIdentification"))
    assert found.attrib["ParticipantObjectID"] == "2.25.7"
    assert found[0].attrib["csd-code"] == "110180"


@given(st.text(max_size=40), st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=9)))
def test_whatever_stands_in_an_event_the_message_is_xml(actor: str, detail: dict[str, str]) -> None:
    told = entry("login", actor=actor, subject=f"account {actor}", detail=detail)
    text = audit_message(told)
    check(ET.fromstring(text), ORDER)  # noqa: S314 - ours
    assert "\n" not in text
    json.dumps(audit_event(told))


def test_a_fhir_event_says_the_same() -> None:
    event = audit_event(entry("login", succeeded=False, role="viewer", address="10.0.0.1"))
    assert event["resourceType"] == "AuditEvent"
    assert event["type"] == {
        "system": "http://dicom.nema.org/resources/ontology/DCM",
        "code": "110114",
        "display": "User Authentication",
    }
    assert (event["action"], event["outcome"]) == ("E", "4")
    actor = event["agent"][0]  # type: ignore[index]
    assert actor["network"] == {"address": "10.0.0.1", "type": "2"}
    assert actor["requestor"] is True
    (found,) = event["entity"]  # type: ignore[misc]
    assert found["what"]["identifier"]["value"] == "urn:oid:2.25.7"
