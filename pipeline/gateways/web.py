"""Requests to a node's DICOMweb services: who asks, over which TLS, and what failed.

Addresses in messages are the node's root only: the rest of one may name a study.
"""

import base64
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from pipeline.config import Configuration
from pipeline.connections import Node, TlsSettings
from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.gateways.secret import read_secret
from pipeline.gateways.tls import client_context

MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of HTTP after which the same request may succeed."""


class _Adapter(HTTPAdapter):
    """An adapter that believes whom the site believes, and nobody else."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's
        """Have connections made with the site's TLS."""
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401, ARG002
        """Leave authorities as they are: requests would add its own list."""
        conn.cert_reqs = "CERT_REQUIRED"


def secured(session: requests.Session, tls: TlsSettings) -> None:
    """Have a session believe whom the site believes; the environment's proxies are not used."""
    session.trust_env = False
    session.mount("https://", _Adapter(client_context(tls)))


def introduce(session: requests.Session, node: Node, tls: TlsSettings) -> None:
    """Have a session show a node who this installation is, over the site's TLS.

    Neither the environment's proxies nor its credentials are used.

    Raises
    ------
    UnusableCall
        If the node has no DICOMweb services, or a file of a secret cannot be read.
    """
    if node.url is None:
        raise UnusableCall("the node has no url: it is reached by DIMSE only")
    session.trust_env = False
    if node.url.startswith("https://"):
        session.mount("https://", _Adapter(client_context(tls)))
    if node.token is not None:
        session.headers["Authorization"] = f"Bearer {read_secret(node.token)}"
    elif node.basic is not None:
        encoded = base64.b64encode(read_secret(node.basic).encode()).decode("ascii")
        session.headers["Authorization"] = f"Basic {encoded}"


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
    with requests.Session() as session:
        introduce(session, node, settings.tls)
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
