"""The DICOM conformance statement, written from what is negotiated: ``python -m`` this module.

The words are in ``conformance.md`` beside this file, with gaps. Tables of services, limits,
statuses and cipher suites come from the code that does it; what an object holds is told in
``statedobjects`` and compared with written objects by the tests.

References
----------
.. [P2] DICOM PS3.2, N conformance statement, in its form of 2024.
"""

from collections.abc import Iterable, Iterator
from importlib.resources import files

from pipeline.analyses.phases.ontology import CODING_SCHEME
from pipeline.connections import ReceiveSettings
from pipeline.gateways.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pipeline.gateways.services import (
    COMMAND_SYNTAXES,
    LOSSLESS,
    LOSSY,
    RECEIVED_SYNTAXES,
    SEND_ANSWERS,
    SENT_SYNTAXES,
    STORE_ANSWERS,
    UNCOMPRESSED,
    VIDEO,
    WRITTEN_CLASSES,
    Answer,
    Role,
    name_of,
    services,
    storage_classes,
)
from pipeline.gateways.statedobjects import COMMON, OWN, private_codes, rows
from pipeline.gateways.tls import CIPHERS


def statement() -> str:
    """Return the statement as Markdown [P2]_."""
    text = (files("pipeline.gateways") / "conformance.md").read_text(encoding="utf-8")
    for name, part in _parts():
        text = text.replace(f"{{{{{name}}}}}", part.rstrip())
    return text


def _parts() -> Iterator[tuple[str, str]]:
    """Yield what stands in the gaps of the text, by name."""
    attribute = ("attribute", "tag", "value")
    yield "services", _table(("SOP class", "UID", "role", "association opened by"), _services())
    yield "policies", _table(("what", "value"), _policies(ReceiveSettings()))
    yield "accepted", _table(("service", "transfer syntaxes, the preferred first"), _accepted())
    yield "store_answers", _table(("status", "name", "when"), _answers(STORE_ANSWERS))
    yield "written", _table(("SOP class", "UID", "what it holds"), _written())
    yield "sent_syntaxes", _named(SENT_SYNTAXES)
    yield "send_answers", _table(("status", "name", "what is done"), _answers(SEND_ANSWERS))
    yield "syntaxes", _table(("transfer syntax", "UID", "kind"), _syntaxes())
    classes = ((name_of(uid), uid) for uid in storage_classes())
    yield "classes", _table(("SOP class", "UID"), classes)
    yield "ciphers", ", ".join(f"`{cipher}`" for cipher in CIPHERS.split(":"))
    yield "common", _table(attribute, rows(COMMON))
    objects = (f"### {name_of(uid)}\n\n{_table(attribute, rows(OWN[uid]))}" for uid in OWN)
    yield "objects", "".join(objects)
    yield "scheme", CODING_SCHEME
    yield "private_codes", _table(("code value", "code meaning", "where"), private_codes())


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell or "-" for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def _services() -> Iterator[tuple[str, str, str, str]]:
    """Yield services; those of storage that are received are one line, and listed apart."""
    for service in services():
        if service.area == "Storage" and service.role is Role.PROVIDER:
            continue
        yield service.name, service.sop_class_uid, service.role.value, service.opened.value
    yield f"Storage: {len(storage_classes())} classes, section 7", "", "SCP", "the other system"


def _policies(limits: ReceiveSettings) -> Iterator[tuple[str, str]]:
    """Yield the limits of associations, as they are where a site sets no others."""
    yield "Application context name", "1.2.840.10008.3.1.1.1"
    yield "Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"
    yield "Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`"
    yield "AE title (`receive.ae_title`)", f"`{limits.ae_title}`"
    yield "Port for DIMSE (`receive.port`)", str(limits.port)
    yield "Largest PDU received (`receive.pdu_bytes`)", f"{limits.pdu_bytes} bytes"
    yield "Processes that accept (`receive.processes`)", str(limits.processes)
    yield "Associations at a time in a process (`receive.associations`)", str(limits.associations)
    yield "Of them from one address (`receive.associations_each`)", str(limits.associations_each)
    yield "Time to ask for an association (`receive.first_s`)", f"{limits.first_s:g} s"
    yield "Longest silence (`receive.silent_s`)", f"{limits.silent_s:g} s"
    yield "Largest instance (`receive.largest_mib`)", f"{limits.largest_mib} MiB"
    yield "Space that stays free (`receive.free_mib`)", f"{limits.free_mib} MiB"
    yield "Asynchronous operations", "not negotiated: one operation at a time"
    yield "User identity negotiation", "not used; callers are known by title, address, certificate"


def _accepted() -> Iterator[tuple[str, str]]:
    """Yield what the receiver accepts."""
    for service in services():
        if service.area != "Storage" and service.opened.value == "the other system":
            yield f"{service.name}, as {service.role.value}", _named(COMMAND_SYNTAXES)
    yield "Storage, each class of section 7, as SCP", "all of section 6, in its order"


def _answers(answers: Iterable[Answer]) -> Iterator[tuple[str, str, str]]:
    """Yield statuses and what they mean."""
    return ((f"`{a.status}`", a.name, a.meaning) for a in answers)


def _written() -> Iterator[tuple[str, str, str]]:
    """Yield the SOP classes that are written."""
    return ((name_of(uid), uid, what) for uid, what in WRITTEN_CLASSES.items())


def _syntaxes() -> Iterator[tuple[str, str, str]]:
    """Yield the transfer syntaxes that are received."""
    kinds = {
        "uncompressed": UNCOMPRESSED,
        "without loss": LOSSLESS,
        "with loss": LOSSY,
        "video": VIDEO,
    }
    for uid in RECEIVED_SYNTAXES:
        kind = next(kind for kind, members in kinds.items() if uid in members)
        yield name_of(uid), uid, kind


def _named(uids: Iterable[str]) -> str:
    """Return the names of UIDs."""
    return ", ".join(name_of(uid) for uid in uids)


if __name__ == "__main__":
    import sys
    from pathlib import Path

    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/conformance.md").write_text(
        statement(), encoding="utf-8"
    )
