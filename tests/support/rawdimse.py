"""A sender that is written out by hand: it sends what no library would, byte for byte.

Only what the tests need of PS3.8, 9.3 and PS3.7, 9.3.
"""

import socket
import ssl
import struct
from collections.abc import Iterator, Sequence

from tests.support.encoded import EXPLICIT, MR

APPLICATION = "1.2.840.10008.3.1.1.1"
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
COMMAND, LAST = 1, 2
"""Bits of a message control header."""

ABORTED = struct.pack(">BBLBBBB", ABORT, 0, 4, 0, 0, 0, 0)


def pdu(kind: int, content: bytes) -> bytes:
    """Return a PDU."""
    return struct.pack(">BBL", kind, 0, len(content)) + content


def value(content: bytes, flags: int, context_id: int = 1) -> bytes:
    """Return a presentation data value."""
    return struct.pack(">LBB", len(content) + 2, context_id, flags) + content


def asked(
    contexts: Sequence[tuple[str, str]] = ((MR, EXPLICIT),),
    calling: str = "RAW",
    called: str = "VESALIUS",
) -> bytes:
    """Return an A-ASSOCIATE-RQ; contexts are numbered 1, 3, 5 and so on."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BBH", kind, 0, len(content)) + content

    offered = b"".join(
        item(
            0x20,
            bytes((2 * number + 1, 0, 0, 0))
            + item(0x30, abstract.encode())
            + item(0x40, syntax.encode()),
        )
        for number, (abstract, syntax) in enumerate(contexts)
    )
    user = item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3"))
    titles = called.ljust(16).encode() + calling.ljust(16).encode()
    fixed = struct.pack(">HH", 1, 0) + titles + bytes(32)
    return pdu(ASSOCIATE_RQ, fixed + item(0x10, APPLICATION.encode()) + offered + user)


def store_command(
    sop_instance_uid: str | bytes, sop_class_uid: str = MR, message_id: int = 1, data_set: int = 0
) -> bytes:
    """Return a C-STORE-RQ."""

    def element(number: int, content: bytes) -> bytes:
        content += bytes(len(content) % 2)
        return struct.pack("<HHL", 0, number, len(content)) + content

    if isinstance(sop_instance_uid, str):
        sop_instance_uid = sop_instance_uid.encode()
    body = (
        element(0x0002, sop_class_uid.encode())
        + element(0x0100, struct.pack("<H", 1))
        + element(0x0110, struct.pack("<H", message_id))
        + element(0x0700, bytes(2))
        + element(0x0800, struct.pack("<H", data_set))
        + element(0x1000, sop_instance_uid)
    )
    return element(0, struct.pack("<L", len(body))) + body


class RawSender:
    """A connection, and an association on it once it is asked for."""

    def __init__(
        self, port: int, *, tls: ssl.SSLContext | None = None, timeout_s: float = 30.0
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            plain = self.socket
            try:
                self.socket = tls.wrap_socket(plain, server_hostname="localhost")
            except OSError:
                plain.close()
                raise
        self.longest = 0

    def __enter__(self) -> "RawSender":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def associate(
        self, contexts: Sequence[tuple[str, str]] = ((MR, EXPLICIT),), **names: str
    ) -> "RawSender":
        """Ask for an association, and note the longest PDU that the receiver takes."""
        self.socket.sendall(asked(contexts, **names))
        kind, content = self.answer()
        assert kind == ASSOCIATE_AC, (kind, content)
        at = content.index(b"\x51\0\0\4")
        (self.longest,) = struct.unpack_from(">L", content, at + 4)
        return self

    def send(self, *values: bytes) -> None:
        """Send presentation data values as one PDU."""
        self.socket.sendall(pdu(DATA, b"".join(values)))

    def answer(self) -> tuple[int, bytes]:
        """Read a PDU; kind 0 is the end of the connection."""
        header = self._read(6)
        if len(header) < 6:
            return 0, b""
        kind, _, length = struct.unpack(">BBL", header)
        return kind, self._read(length)

    def status(self) -> int:
        """Read a C-STORE-RSP, and return its status."""
        kind, content = self.answer()
        assert kind == DATA, (kind, content)
        at = content.index(struct.pack("<HHL", 0, 0x0900, 2))
        return int(struct.unpack_from("<H", content, at + 8)[0])

    def begin(self, sop_instance_uid: str | bytes, sop_class_uid: str = MR, context: int = 1):
        """Send a C-STORE-RQ without its data set."""
        self.send(value(store_command(sop_instance_uid, sop_class_uid), COMMAND | LAST, context))

    def store(
        self,
        data: bytes,
        sop_instance_uid: str | bytes,
        *,
        sop_class_uid: str = MR,
        context: int = 1,
        part: int = 65536,
    ) -> int:
        """Send an instance, and return the status of the answer."""
        self.begin(sop_instance_uid, sop_class_uid, context)
        for content, flags in parts(data, part):
            self.send(value(content, flags, context))
        return self.status()

    def release(self) -> None:
        """End the association in order."""
        self.socket.sendall(pdu(RELEASE_RQ, bytes(4)))
        assert self.answer()[0] == RELEASE_RP

    def is_closed(self) -> bool:
        """Tell whether the receiver ends the connection, with an abort or without."""
        try:
            while True:
                kind, _ = self.answer()
                if kind in (0, ABORT):
                    return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def _read(self, length: int) -> bytes:
        content = b""
        while len(content) < length:
            part = self.socket.recv(length - len(content))
            if not part:
                break
            content += part
        return content


def parts(data: bytes, length: int) -> Iterator[tuple[bytes, int]]:
    """Return the parts of a data set, each with its flags."""
    starts = range(0, max(len(data), 1), length)
    for start in starts:
        is_last = start == starts[-1]
        yield data[start : start + length], LAST if is_last else 0
