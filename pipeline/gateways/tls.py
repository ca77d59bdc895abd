"""TLS as BCP 195 asks for it, for DIMSE and DICOMweb.

TLS 1.2 or later, ephemeral keys and authenticated encryption only. Whoever is called shows a
certificate that an authority vouches for; whoever calls does where the receiver has authorities.

References
----------
.. [B12] DICOM PS3.15, B.12 Non-Downgrading BCP 195 TLS Secure Transport Connection Profile.
.. [BCP195] RFC 8996, RFC 9325.
"""

import ssl
from pathlib import Path

from pipeline.connections import TlsSettings
from pipeline.errors import UnusableCall

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)
"""Cipher suites of TLS 1.2 that RFC 9325, 4.2 recommends; those of TLS 1.3 are all fit."""


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return how connections are taken [B12]_ [BCP195]_.

    Raises
    ------
    UnusableCall
        If the certificate or the key is not named, or a file cannot be read.
    """
    if settings.certificate is None or settings.key is None:
        raise UnusableCall("TLS needs tls.certificate and tls.key")
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    _show(context, settings)
    if settings.authorities is not None:
        _trust(context, settings.authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return how connections are made [B12]_ [BCP195]_; names of hosts are checked.

    Raises
    ------
    UnusableCall
        If a file cannot be read.
    """
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    if settings.authorities is None:
        context.load_default_certs()
    else:
        _trust(context, settings.authorities)
    if settings.certificate is not None:
        _show(context, settings)
    return context


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have a context take nothing that is out of date."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


def _show(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Have a context show this installation's certificate."""
    try:
        context.load_cert_chain(str(settings.certificate), settings.key and str(settings.key))
    except (OSError, ssl.SSLError) as problem:
        raise UnusableCall(
            f"tls.certificate {settings.certificate} or tls.key {settings.key}: cannot be read "
            f"({problem.strerror or 'no certificate with its key'})"
        ) from problem


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    """Have a context believe those that some authorities vouch for."""
    try:
        context.load_verify_locations(str(authorities))
    except (OSError, ssl.SSLError) as problem:
        raise UnusableCall(
            f"tls.authorities {authorities}: cannot be read "
            f"({problem.strerror or 'no certificate'})"
        ) from problem
