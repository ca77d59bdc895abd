"""Nasty files sent to a receiver, byte for byte, and what it says of each."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from time import perf_counter

import numpy as np
import requests
from pydicom import dcmread

from pipeline.errors import UnreadableFile
from pipeline.gateways.multipart import NotMultipart, instance
from pipeline.ingest.dicomfile import DECODE_ERRORS
from pipeline.ledger.ledger import Ledger
from pipeline.quiet import quietly
from pipeline.receive.glance import glance, is_uid
from pipeline.receive.part10 import digest_data_set
from tests.nasty.case import Case
from tests.support.encoded import EXPLICIT, MR
from tests.support.inboxes import instances, suspects
from tests.support.rawdimse import ABORT, ASSOCIATE_AC, DATA, RawSender, asked, parts, value

SUCCESS, DUPLICATE = 0x0000, 0x0111
DEFAULTS = (MR, "2.25.404", EXPLICIT)
"""What a file is announced as that says nothing sensible of itself."""

CLOSED = -1
"""What stands for a status where the receiver has ended the connection instead."""

KIND = 'multipart/related; type="application/dicom"; boundary=EDGE'
FIRST_CONTEXT_RESULT = re.compile(rb"\x21\0..\x01\0(.)", re.DOTALL)
"""The first presentation context of an A-ASSOCIATE-AC, and its result (PS3.8, 9.3.3.2)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel:
    """A file as it is sent."""

    case: Case
    """What it is of."""

    content: bytes
    """The whole file."""

    sop_class_uid: str
    """What it is announced as."""

    sop_instance_uid: str
    """What it is announced as."""

    transfer_syntax_uid: str
    """How it is announced to be encoded."""

    data_set: bytes
    """What is sent by C-STORE."""


@dataclass(kw_only=True, slots=True)
class Reception:
    """What became of parcels at one door."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many of each kind were stored, refused, set apart, or cut off."""

    refusing_s: list[float] = field(default_factory=list)
    """How long each refusal took [s]."""

    stored: list[Parcel] = field(default_factory=list)
    """Those that were answered with success."""

    apart: list[Parcel] = field(default_factory=list)
    """Those that were kept apart."""

    silent: list[str] = field(default_factory=list)
    """Those of which nothing is known: neither an answer nor the end of the connection."""


def parcels(cases: Sequence[Case]) -> list[Parcel]:
    """Return every file that may be sent: of DICOM, or said to be."""
    return [
        _parcel(case, content)
        for case in cases
        for name, content in case.files.items()
        if name.endswith((".dcm", "DICOMDIR")) or "." not in name
    ]


def _parcel(case: Case, content: bytes) -> Parcel:
    """Return a file as a sender would announce it, if it can make sense of it."""
    try:
        found = instance(iter((content,)))
        data_set = b"".join(found.chunks)
        uids = found.sop_class_uid, found.sop_instance_uid, found.transfer_syntax_uid
    except NotMultipart:
        data_set, uids = content, (MR, "2.25.404", EXPLICIT)
    try:
        own = glance(data_set, uids[2])
        uids = own.sop_class_uid, own.sop_instance_uid, uids[2]
    except UnreadableFile:
        pass
    known = [uid if is_uid(uid) else default for uid, default in zip(uids, DEFAULTS, strict=True)]
    return Parcel(
        case=case,
        content=content,
        sop_class_uid=known[0],
        sop_instance_uid=known[1],
        transfer_syntax_uid=known[2],
        data_set=data_set,
    )


def store(port: int, sent: Sequence[Parcel]) -> Reception:
    """Send parcels by C-STORE, each over an association of its own."""
    done = Reception()
    for parcel in sent:
        began = perf_counter()
        status = _stored(port, parcel)
        if status is None:
            done.silent.append(parcel.case.folder)
        _note(done, parcel, status, perf_counter() - began)
    return done


def _stored(port: int, parcel: Parcel) -> int | None:
    """Return the status of one C-STORE; announced as plain MR where the context is not accepted."""
    contexts = ((parcel.sop_class_uid, parcel.transfer_syntax_uid), (MR, EXPLICIT))
    with RawSender(port) as sender:
        sender.socket.sendall(asked(contexts))
        kind, content = sender.answer()
        if kind != ASSOCIATE_AC:
            return CLOSED
        found = FIRST_CONTEXT_RESULT.search(content)
        is_taken = found is not None and found[1] == b"\0"
        context, sop_class = (1, parcel.sop_class_uid) if is_taken else (3, MR)
        try:
            sender.begin(parcel.sop_instance_uid, sop_class, context)
            _send(sender, parcel.data_set, context)
            kind, content = sender.answer()
        except ConnectionError:
            return CLOSED
        except TimeoutError:
            return None
    if kind in (0, ABORT):
        return CLOSED
    if kind != DATA:
        return None
    at = content.index(b"\0\0\0\x09\2\0\0\0")
    return int.from_bytes(content[at + 8 : at + 10], "little")


def _send(sender: RawSender, data: bytes, context: int) -> None:
    """Send a data set in parts."""
    for content, flags in parts(data, 16000):
        sender.send(value(content, flags, context))


def stow(port: int, sent: Sequence[Parcel]) -> Reception:
    """Post parcels by STOW-RS, one a request."""
    done = Reception()
    url = f"http://127.0.0.1:{port}/studies"
    with requests.Session() as session:
        for parcel in sent:
            part = b"--EDGE\r\nContent-Type: application/dicom\r\n\r\n" + parcel.content
            began = perf_counter()
            answer = session.post(
                url,
                data=part + b"\r\n--EDGE--\r\n",
                headers={"Content-Type": KIND},
                timeout=60,
            )
            status = SUCCESS if answer.status_code == 200 else answer.status_code
            if answer.status_code == 409 and "0111" in _reasons(answer):
                status = DUPLICATE
            if answer.status_code >= 500:
                done.silent.append(parcel.case.folder)
            _note(done, parcel, status, perf_counter() - began)
    return done


def _reasons(answer: requests.Response) -> str:
    """Return the failure reasons of an answer, hexadecimal."""
    try:
        failed = answer.json().get("00081198", {}).get("Value", [])
    except ValueError:
        return ""
    return " ".join(f"{one['00081197']['Value'][0]:04X}" for one in failed)


def _note(done: Reception, parcel: Parcel, status: int | None, took_s: float) -> None:
    """Note what became of a parcel."""
    if status == SUCCESS:
        done.stored.append(parcel)
        answer = "stored"
    elif status == DUPLICATE:
        done.apart.append(parcel)
        answer = "apart"
    else:
        done.refusing_s.append(took_s)
        answer = "cut off" if status == CLOSED else "refused"
    done.answers[parcel.case.kind, answer] += 1


def lost(place: str, inbox: Path, done: Reception) -> list[str]:
    """Return the cases that were answered for and whose bytes are not on disk and on record.

    Of a data set that came in two transfer syntaxes, one is kept: that is none.
    """
    with Ledger.open(place) as ledger:
        rows = (*instances(ledger), *suspects(ledger))
    kept = {
        row.sha256: inbox / row.relative_path
        for row in rows
        if (inbox / row.relative_path).is_file()
        and digest_data_set(inbox / row.relative_path) == row.sha256
    }
    missing = [
        parcel
        for parcel in (*done.stored, *done.apart)
        if sha256(parcel.data_set).hexdigest() not in kept
    ]
    return [
        parcel.case.folder
        for parcel in missing
        if not any(_is_same_image(parcel, path) for path in kept.values())
    ]


def _is_same_image(parcel: Parcel, path: Path) -> bool:
    """Tell whether a file holds a parcel's elements and frames in another transfer syntax."""
    try:
        with quietly():
            sent, found = dcmread(BytesIO(parcel.content)), dcmread(path)
            if (sent.SOPInstanceUID, sent.SOPClassUID) != (found.SOPInstanceUID, found.SOPClassUID):
                return False
            if sent.file_meta.TransferSyntaxUID == found.file_meta.TransferSyntaxUID:
                return False
            is_same = np.array_equal(sent.pixel_array, found.pixel_array)
            del sent.PixelData, found.PixelData
            return is_same and sent.to_json_dict() == found.to_json_dict()
    except DECODE_ERRORS:
        return False
