"""What the status of an answer means for a delivery: whether it is stored, and what is done if not.

A failure that passes by itself is tried again; one that will come back however often it is tried
ends the delivery, and a person decides. Where a standard leaves it open, what loses nothing is
chosen: a status that is not known is tried again.

References
----------
.. [B2] DICOM PS3.4, Table B.2-1, C-STORE Response Status Values.
.. [P7] DICOM PS3.7, Annex C, Status Type Encoding.
.. [J3] DICOM PS3.3, C.14.1.1, Failure Reason (of storage commitment).
.. [W10] DICOM PS3.18, 10.5.3, Store Transaction: Response.
.. [H] RFC 9110, 15, Status Codes; RFC 6585, 4, 429 Too Many Requests.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What an answer means."""

    STORED = "stored"
    """It is there."""

    WARNED = "stored with a warning"
    """It is there, and the other side has changed, left out or questioned something."""

    THERE = "there before"
    """It has an object under this UID: whether it is this one, the confirmation tells."""

    LATER = "later"
    """Not now: it is tried again."""

    NEVER = "never"
    """Not this object, however often it is tried."""

    BARRED = "barred"
    """Nothing at all from here, until a person has changed something on either side."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a range of statuses means."""

    first: int
    """The first status of the range."""

    last: int
    """The last."""

    verdict: Verdict
    """What is done."""

    name: str
    """What the standard calls it."""

    source: str
    """Where it stands: a label of the references of this module."""


DIMSE: tuple[Meaning, ...] = (
    Meaning(0x0000, 0x0000, Verdict.STORED, "Success", "B2"),
    Meaning(0x0001, 0x0001, Verdict.WARNED, "Requested optional attributes not supported", "P7"),
    Meaning(0x0105, 0x0105, Verdict.NEVER, "No such attribute", "P7"),
    Meaning(0x0106, 0x0106, Verdict.NEVER, "Invalid attribute value", "P7"),
    Meaning(0x0107, 0x0107, Verdict.WARNED, "Attribute list error", "P7"),
    Meaning(0x0110, 0x0110, Verdict.LATER, "Processing failure", "P7"),
    Meaning(0x0111, 0x0111, Verdict.THERE, "Duplicate SOP Instance", "P7"),
    Meaning(0x0112, 0x0112, Verdict.LATER, "No such SOP Instance", "P7"),
    Meaning(0x0115, 0x0115, Verdict.NEVER, "Invalid argument value", "P7"),
    Meaning(0x0116, 0x0116, Verdict.WARNED, "Attribute value out of range", "P7"),
    Meaning(0x0117, 0x0117, Verdict.NEVER, "Invalid SOP Instance", "P7"),
    Meaning(0x0118, 0x0118, Verdict.NEVER, "No such SOP Class", "P7"),
    Meaning(0x0119, 0x0119, Verdict.NEVER, "Class-Instance conflict", "P7"),
    Meaning(0x0120, 0x0121, Verdict.NEVER, "Missing attribute, or its value", "P7"),
    Meaning(0x0122, 0x0122, Verdict.NEVER, "SOP Class not supported", "B2"),
    Meaning(0x0123, 0x0123, Verdict.NEVER, "No such action type", "P7"),
    Meaning(0x0124, 0x0124, Verdict.NEVER, "Not authorized", "B2"),
    Meaning(0x0131, 0x0131, Verdict.LATER, "Duplicate transaction UID", "J3"),
    Meaning(0x0210, 0x0210, Verdict.LATER, "Duplicate invocation", "P7"),
    Meaning(0x0211, 0x0211, Verdict.NEVER, "Unrecognized operation", "P7"),
    Meaning(0x0212, 0x0212, Verdict.NEVER, "Mistyped argument", "P7"),
    Meaning(0x0213, 0x0213, Verdict.LATER, "Resource limitation", "P7"),
    Meaning(0xA700, 0xA7FF, Verdict.LATER, "Refused: Out of resources", "B2"),
    Meaning(0xA900, 0xA9FF, Verdict.NEVER, "Error: Data Set does not match SOP Class", "B2"),
    Meaning(0xB000, 0xB000, Verdict.WARNED, "Coercion of data elements", "B2"),
    Meaning(0xB006, 0xB006, Verdict.WARNED, "Elements discarded", "B2"),
    Meaning(0xB007, 0xB007, Verdict.WARNED, "Data Set does not match SOP Class", "B2"),
    Meaning(0xB001, 0xBFFF, Verdict.WARNED, "Warning", "P7"),
    Meaning(0xC000, 0xCFFF, Verdict.NEVER, "Error: Cannot understand", "B2"),
    Meaning(0xFE00, 0xFE00, Verdict.LATER, "Cancel", "P7"),
)
"""Statuses of DIMSE, and failure reasons of STOW-RS and storage commitment, which are the same."""

HTTP: tuple[Meaning, ...] = (
    Meaning(200, 200, Verdict.STORED, "OK", "W10"),
    Meaning(201, 201, Verdict.STORED, "Created", "H"),
    Meaning(202, 202, Verdict.WARNED, "Accepted, with warnings or failures", "W10"),
    Meaning(204, 204, Verdict.STORED, "No Content", "H"),
    Meaning(300, 399, Verdict.BARRED, "Redirection", "H"),
    Meaning(400, 400, Verdict.NEVER, "Bad Request", "W10"),
    Meaning(401, 401, Verdict.BARRED, "Unauthorized", "H"),
    Meaning(403, 403, Verdict.BARRED, "Forbidden", "H"),
    Meaning(404, 404, Verdict.LATER, "Not Found: a server that is being replaced", "H"),
    Meaning(408, 408, Verdict.LATER, "Request Timeout", "H"),
    Meaning(409, 409, Verdict.NEVER, "Conflict: not stored, for the reason it gives", "W10"),
    Meaning(429, 429, Verdict.LATER, "Too Many Requests", "H"),
    Meaning(400, 499, Verdict.NEVER, "Client error", "H"),
    Meaning(500, 599, Verdict.LATER, "Server error, or busy", "W10"),
)
"""Codes of HTTP; the first that fits counts."""


def judge_dimse(status: int) -> Meaning:
    """Return what a status of DIMSE, or a failure reason, means."""
    return _found(DIMSE, status)


def judge(status: str) -> Meaning:
    """Return what a status means: four hexadecimal digits of DIMSE, or three digits of HTTP."""
    return _found(HTTP, int(status)) if len(status) == 3 else _found(DIMSE, int(status, 16))


def _found(table: tuple[Meaning, ...], status: int) -> Meaning:
    """Return the first meaning that fits; later, where none does."""
    for meaning in table:
        if meaning.first <= status <= meaning.last:
            return meaning
    return Meaning(status, status, Verdict.LATER, "not known", "")
