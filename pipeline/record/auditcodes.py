"""What the actions of the audit log are in DICOM's words.

References
----------
.. [A5] DICOM PS3.15, A.5.3 DICOM specific audit messages.
.. [D] DICOM PS3.16, context groups 400 (Audit Event ID) and 401 (Audit Event Type Code).
"""

from dataclasses import dataclass

from pipeline.ledger.audit import Entry

MEANINGS = {
    "110100": "Application Activity",
    "110101": "Audit Log Used",
    "110103": "DICOM Instances Accessed",
    "110104": "DICOM Instances Transferred",
    "110105": "DICOM Study Deleted",
    "110106": "Export",
    "110107": "Import",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
    "110120": "Application Start",
    "110121": "Application Stop",
    "110122": "Login",
    "110123": "Logout",
    "110126": "Node Authentication",
    "110129": "Security Configuration",
    "110131": "Software Configuration",
    "110132": "Use of Restricted Function",
    "110135": "Object Security Attributes Changed",
    "110137": "User Security Attributes Changed",
    "110150": "Application",
    "110152": "Destination Role ID",
    "110153": "Source Role ID",
    "110180": "Study Instance UID",
}
"""Meanings of codes of DCM [D]_."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an action is [A5]_."""

    event: str
    """Code of the event."""

    types: tuple[str, ...] = ()
    """Codes that say more."""

    action: str = "E"
    """Create, Read, Update, Delete or Execute."""


KINDS = {
    "service started": Kind("110100", ("110120",)),
    "service stopped": Kind("110100", ("110121",)),
    "clock changed": Kind("110113", ("110129",)),
    "audit log exported": Kind("110101", (), "R"),
    "login": Kind("110114", ("110122",)),
    "logout": Kind("110114", ("110123",)),
    "audit log broken": Kind("110113"),
    "request refused": Kind("110113", ("110132",)),
    "caller refused": Kind("110113", ("110126",)),
    "data sets set aside": Kind("110113", ("110135",)),
    "account added": Kind("110113", ("110137",)),
    "account changed": Kind("110113", ("110137",)),
    "study held": Kind("110113", ("110135",)),
    "study released": Kind("110113", ("110135",)),
    "result viewed": Kind("110103", (), "R"),
    "study retrieved": Kind("110103", (), "R"),
    "verdict": Kind("110103", (), "U"),
    "correction": Kind("110103", (), "U"),
    "instances received": Kind("110104", (), "C"),
    "instances sent": Kind("110104", (), "R"),
    "query": Kind("110112"),
    "study deleted": Kind("110105", (), "D"),
    "inputs removed": Kind("110105", (), "D"),
    "suspects removed": Kind("110105", (), "D"),
    "export": Kind("110106", (), "R"),
    "backup made": Kind("110106", (), "R"),
    "restored": Kind("110107", (), "C"),
}
"""What each action is; changes of models are of the software's configuration, others activity."""


def kind_of(entry: Entry) -> Kind:
    """Return what an event is."""
    action = entry.audited.action
    if action.startswith("model "):
        return Kind("110113", ("110131",))
    return KINDS.get(action, Kind("110100"))


def host_of(entry: Entry) -> str:
    """Return the machine that an event was recorded on."""
    return entry.clock.partition(" ")[0]


def peer_of(entry: Entry) -> str | None:
    """Return the other system of a transfer; None where there is none."""
    found = entry.audited.detail.get("destination")
    return None if found is None else str(found)


def object_of(entry: Entry) -> tuple[str, str]:
    """Return what something was done to: its kind and its name."""
    kind, _, name = entry.audited.subject.partition(" ")
    return kind, name or kind
