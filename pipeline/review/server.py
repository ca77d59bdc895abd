"""The review page as a server of HTTP, with TLS where the settings name a certificate."""

import math
import socket
from threading import Event
from types import FrameType

import uvicorn
from fastapi import FastAPI

from pipeline.connections import TlsSettings
from pipeline.errors import UnusableCall
from pipeline.gateways.tls import server_context
from pipeline.reviewsettings import ReviewSettings

WAITING_CONNECTIONS = 128
"""Connections that wait to be accepted."""

ENDS_S = 5.0
"""Time that requests have to end when the server ends [s]."""


def listening(settings: ReviewSettings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises
    ------
    UnusableCall
        If it cannot.
    """
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.create_server((host, port), family=family, backlog=WAITING_CONNECTIONS)
        # Connections inherit it. Without it, an answer's body waits 40 ms for word of its head.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as problem:
        raise UnusableCall(f"{host}:{port}: cannot listen ({problem.strerror})") from problem
    return found


class ReviewServer(uvicorn.Server):
    """A server that tells those who wait for news that it ends."""

    ending: Event

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        self.ending.set()
        super().handle_exit(sig, frame)


def review_server(app: FastAPI, settings: ReviewSettings, ending: Event) -> uvicorn.Server:
    """Return a server of an application; run it with a socket that listens.

    Parameters
    ----------
    app
        The application.
    settings
        Name the certificate.
    ending
        Set when the server is told to end.

    Raises
    ------
    UnusableCall
        If the certificate or its key cannot be read.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=math.ceil(ENDS_S),
    )
    if settings.tls_certificate is not None:
        config.load()
        config.ssl = server_context(
            TlsSettings(certificate=settings.tls_certificate, key=settings.tls_key)
        )
    server = ReviewServer(config)
    server.ending = ending
    return server


def address(settings: ReviewSettings, port: int) -> str:
    """Return what a browser opens."""
    if settings.url is not None:
        return settings.url
    scheme = "http" if settings.tls_certificate is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{port}/"
