"""Store objects at a node with STOW-RS (PS3.18, 10.5): one instance a request, as its file is."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.gateways.web import web_session

BOUNDARY = "vesalius-5d3f0c1e8a7b4f62"
"""Between the parts of a request; an object that holds it with dashes before is not made."""

CHUNK = 1 << 16
"""Bytes that are read and sent at a time."""

JSON = "application/dicom+json"
"""What the answer is asked for as."""

FAILURE_REASON, FAILED, OTHER_FAILURES, REFERENCED, WARNING_REASON = (
    *("00081197", "00081198", "0008119A", "00081199", "00081196"),
)
"""Attributes of the answer (PS3.18, Table I.2-1), as DICOM JSON names them."""


class _Body:
    """A request's body that is read from its file as it is sent, with its length."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._tail = f"\r\n--{BOUNDARY}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self._path.stat().st_size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self._path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
        yield self._tail


def stow(files: Sequence[Path], node: Node, settings: Configuration) -> Iterator[str]:
    """Store files at a node and yield the status of each in turn.

    A status is the code of HTTP, or four hexadecimal digits: the reason that the answer gives for
    what it has not stored, or has stored with a warning.

    Raises
    ------
    PeerUnavailable
        If the node cannot be reached or does not answer.
    PeerRefused
        If its address is none.
    UnusableCall
        If it has no DICOMweb services.
    """
    content = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    with web_session(node, settings) as session:
        for path in files:
            answer = session.post(
                f"{str(node.url).rstrip('/')}/studies",
                data=_Body(path),
                headers={"Content-Type": content, "Accept": JSON},
                timeout=node.timeout_s,
                allow_redirects=False,
            )
            yield status_of(answer)


def status_of(answer: requests.Response) -> str:
    """Return the status of the one instance that an answer is about."""
    code = f"{answer.status_code:03d}"
    if answer.status_code not in (200, 202, 409):
        return code
    try:
        said = answer.json()
        found = said[0] if isinstance(said, list) else said
        for name in (FAILED, OTHER_FAILURES):
            for item in found.get(name, {}).get("Value", ()):
                return f"{int(item.get(FAILURE_REASON, {'Value': [0x0110]})['Value'][0]):04X}"
        for item in found.get(REFERENCED, {}).get("Value", ()):
            warning = item.get(WARNING_REASON, {}).get("Value")
            # Only a warning whose number is one says more than that it is stored.
            return f"{int(warning[0]):04X}" if warning else "200"
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        return code
    return code
