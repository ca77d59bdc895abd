"""Syslog over TLS: messages in order, and known to have been read before they count.

Syslog answers nothing. So a batch has a connection of its own, which is ended as RFC 5425 asks:
this side says that it closes, and waits until the other one has read all that came before and
closes, too. What breaks before that is sent again.

References
----------
.. [R5424] RFC 5424, The Syslog Protocol, 6 Syslog message format.
.. [R5425] RFC 5425, Transport Layer Security Transport Mapping for Syslog, 4.3 and 4.4.
.. [A6] DICOM PS3.15, A.6 Audit trail message transmission.
"""

import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from pipeline.errors import PeerUnavailable, UnusableCall

PORT = 6514
"""Port of syslog over TLS [R5425]_."""

SECURITY = 10
"""Facility of security and authorisation [A6]_."""

NOTICE, WARNING = 5, 4
"""Severities [R5424]_: normal but significant, and something that was refused."""

MESSAGE_ID = "DICOM+RFC3881"
"""MSGID of an audit message [A6]_."""

TIMEOUT_S = 20.0
"""A server that does not take or close for so long is away [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A message."""

    at: datetime
    """When it happened, UTC."""

    host: str
    """Where."""

    text: str
    """What."""

    is_warning: bool
    """Whether something was refused."""


def parse_syslog(url: str) -> tuple[str, int]:
    """Return host and port of ``tls://host:port``.

    Raises
    ------
    UnusableCall
        If it is none.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        parts, host, port = urlsplit(""), None, PORT
    if parts.scheme != "tls" or not host or parts.path or parts.query or parts.username:
        raise UnusableCall("audit.syslog is no tls://host:port")
    return host, port


def framed(line: Line) -> bytes:
    """Return a message in its frame [R5424]_ [R5425]_."""
    priority = SECURITY * 8 + (WARNING if line.is_warning else NOTICE)
    at = line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f"<{priority}>1 {at} {_name(line.host)} vesalius {os.getpid()} {MESSAGE_ID} - "
    message = head.encode("ascii") + b"\xef\xbb\xbf" + line.text.encode()
    return str(len(message)).encode() + b" " + message


def send(lines: Sequence[Line], url: str, context: ssl.SSLContext) -> None:
    """Send messages, and return when the other side has read them all.

    Raises
    ------
    PeerUnavailable
        If it is away, is not believed, or broke off: send them all again.
    """
    host, port = parse_syslog(url)
    try:
        with (
            socket.create_connection((host, port), timeout=TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            for line in lines:
                secured.sendall(framed(line))
            # It returns when the other side has said that it closes, too; an end without that word,
            # as of one that is killed or refuses this side's certificate, is an error.
            plainly = secured.unwrap()
            # It also returns where something else came instead, and what refuses lies unread.
            plainly.shutdown(socket.SHUT_WR)
            if plainly.recv(1):
                raise ConnectionAbortedError(None, "ended without saying that all was read")
    except (OSError, ssl.SSLError) as problem:
        said = getattr(problem, "reason", None) or problem.strerror or type(problem).__name__
        raise PeerUnavailable(f"syslog {host}:{port}: {said}") from problem


def _name(host: str) -> str:
    """Return a host's name as a message may hold it: 1 to 255 printable signs of ASCII."""
    kept = "".join(sign for sign in host if "!" <= sign <= "~")
    return kept[:255] or "-"
