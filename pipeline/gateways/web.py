"""Requests to a node's DICOMweb services: who asks, over which TLS, and what failed.

Addresses in messages are the node's root only: the rest of one may name a study.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.gateways.tls import client_context


class _Adapter(HTTPAdapter):
    """Connects with a TLS context of this installation."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *places: Any, **named: Any) -> None:  # noqa: ANN401 - the library's own signature
        """Have the connections made with the context."""
        super().init_poolmanager(*places, ssl_context=self._context, **named)


@contextmanager
def web_session(node: Node, settings: Configuration) -> Iterator[requests.Session]:
    """Hold a session with a node's DICOMweb services; foreign failures are translated.

    Raises
    ------
    PeerUnavailable
        If the node cannot be reached, or is silent for too long.
    PeerRefused
        If its certificate is not believed, or its address is none.
    UnusableCall
        If it has no DICOMweb services, or a file of a secret cannot be read.
    """
    if node.url is None:
        raise UnusableCall("the node has no url: it is reached by DIMSE only")
    with requests.Session() as session:
        session.trust_env = False
        if node.url.startswith("https://"):
            session.mount("https://", _Adapter(client_context(settings.tls)))
        if node.basic is not None:
            user, _, password = _secret(node.basic).partition(":")
            session.auth = (user, password)
        if node.token is not None:
            session.headers["Authorization"] = f"Bearer {_secret(node.token)}"
        try:
            yield session
        except (requests.exceptions.RequestException, OSError) as problem:
            raise _translated(problem, node) from None


def _translated(problem: Exception, node: Node) -> PeerRefused | PeerUnavailable:
    """Return the failure that one of the library is."""
    if isinstance(problem, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return PeerRefused(f"{node.url}: is no address")
    if isinstance(problem, requests.exceptions.SSLError):
        return PeerUnavailable(f"{node.url}: TLS failed")
    if isinstance(problem, requests.exceptions.Timeout):
        return PeerUnavailable(f"{node.url}: silent for {node.timeout_s:g} s")
    return PeerUnavailable(f"{node.url}: {type(problem).__name__}")


def _secret(path: Path) -> str:
    """Return what a file holds that keeps a secret."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise UnusableCall(f"{path}: cannot be read ({problem.strerror})") from None
