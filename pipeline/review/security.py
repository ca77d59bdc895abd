"""What every answer of the review page carries, and which requests are not even looked at.

References
----------
.. [CSP] W3C, Content Security Policy Level 3.
.. [FETCH] W3C, Fetch Metadata Request Headers.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.connections import is_loopback
from pipeline.review.guard import SAFE
from pipeline.reviewsettings import ReviewSettings

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""No inline script or style, and no other origin [CSP]_; the viewer makes pictures and workers."""

ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""Headers of every answer."""

HSTS = "max-age=31536000"
"""A browser that has seen it over TLS comes by TLS for a year."""

LARGEST_BODY, LARGEST_LABELS = 1 << 20, 64 << 20
"""Largest body of a request, and of a correction: 200 slices of 512 x 512 are less [byte]."""


class Security:
    """Wraps an application.

    Parameters
    ----------
    app
        The application.
    settings
        Say how browsers call it.
    """

    def __init__(self, app: ASGIApp, settings: ReviewSettings) -> None:
        self._app, self._settings = app, settings
        self._own = {settings.host}
        if settings.url is not None:
            self._own.add(urlsplit(settings.url).hostname or "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), scope["path"])
            await send(message)

        limit = LARGEST_LABELS if "/corrections/" in scope["path"] else LARGEST_BODY
        refused = self._refused(Headers(scope=scope), scope["method"], limit)
        if refused is not None:
            status, why = refused
            await JSONResponse({"detail": why}, status)(scope, receive, sending)
            return
        await self._app(scope, receive, sending)

    def _add(self, headers: MutableHeaders, path: str) -> None:
        """Add the headers to an answer."""
        for name, value in ALWAYS.items():
            headers.setdefault(name, value)
        if self._settings.is_secure:
            headers["Strict-Transport-Security"] = HSTS
        if path.startswith(("/api", "/dicomweb")):
            headers.setdefault("Cache-Control", "no-store")

    def _refused(self, headers: Headers, method: str, limit: int) -> tuple[int, str] | None:
        """Return why a request is not looked at; None if it is."""
        host = headers.get("host", "")
        # Another name for this address is how a page elsewhere would read what is served here.
        if not self._is_own(urlsplit(f"//{host}").hostname or ""):
            return 421, "this host is not served here"
        if method in SAFE:
            return None
        origin = headers.get("origin")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "from another site"
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "from another site"
        return _body_refused(headers, limit)

    def _is_own(self, name: str) -> bool:
        """Tell whether a host's name is ours."""
        if name in self._own:
            return True
        # A page of another site can have its own name point here, but not a number.
        return is_loopback(name) or (not is_loopback(self._settings.host) and _is_address(name))


def _body_refused(headers: Headers, limit: int) -> tuple[int, str] | None:
    """Return why a body is not read; None if it is."""
    if "transfer-encoding" in headers:
        return 411, "the length of the body is needed"
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > limit:
        return 413, f"the body is larger than {limit} byte"
    return None


def _is_address(name: str) -> bool:
    """Tell whether a host is named by its address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
