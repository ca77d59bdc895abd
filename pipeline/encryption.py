"""One switch for TLS: everything that can speak it does, and what cannot is refused.

Only this machine's own addresses may be spoken to in the clear, and only by what serves no patient
data: broker, database and metrics of a single machine.
"""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

from pipeline.connections import TlsSettings, is_loopback
from pipeline.errors import UnusableCall

ENCRYPTED = frozenset({"https", "dicoms", "rediss", "amqps", "s3"})
"""Schemes that are always encrypted; ``s3`` is Amazon's own endpoint."""

VERIFIED = "verify-full"
"""The ``sslmode`` of a PostgreSQL URL that checks who answers; others encrypt to anybody."""

Address = tuple[str, str]
"""A setting, and the URL that it makes this installation speak to or serve."""


def switched_on(document: Mapping[str, object]) -> Mapping[str, object]:
    """Return a site's settings with TLS wherever it can be spoken, where the switch says so.

    The receiver and DIMSE to every node go over TLS, and the review page has the installation's
    certificate where it has none of its own.

    Parameters
    ----------
    document
        The settings as they are written.
    """
    tls = document.get("tls")
    if not isinstance(tls, dict) or tls.get("everywhere") is not True:
        return document
    review = dict(_table(document, "review"))
    if "tls_certificate" not in review:
        own = {"tls_certificate": "certificate", "tls_key": "key"}
        review.update({name: tls[of] for name, of in own.items() if of in tls})
    nodes = {
        name: {**node, "tls": True} if isinstance(node, dict) else node
        for name, node in _table(document, "nodes").items()
    }
    receive = {**_table(document, "receive"), "tls": True}
    return {**document, "review": review, "nodes": nodes, "receive": receive}


def _table(document: Mapping[str, object], name: str) -> dict[str, object]:
    """Return a table of the settings; empty where it is missing or none, which is told later."""
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def check_encrypted(tls: TlsSettings, addresses: Iterable[Address]) -> None:
    """Check that nothing leaves this machine in the clear, where the switch says so.

    Parameters
    ----------
    tls
        The installation's settings of TLS.
    addresses
        What it speaks to and serves.

    Raises
    ------
    UnusableCall
        If the certificate is missing, or an address is one in the clear: the setting and the
        scheme are named, and no password that the URL may hold.
    """
    if not tls.everywhere:
        return
    if tls.certificate is None or tls.key is None:
        raise UnusableCall("tls.everywhere needs tls.certificate and tls.key")
    for setting, why in in_the_clear(addresses):
        raise UnusableCall(f"tls.everywhere: {setting} is in the clear: {why}")


def in_the_clear(addresses: Iterable[Address]) -> Iterator[tuple[str, str]]:
    """Yield the settings whose address is reached over a network without TLS, and why."""
    for setting, url in addresses:
        parts = urlsplit(url)
        if parts.scheme in ENCRYPTED or not parts.netloc or is_loopback(parts.hostname or ""):
            continue
        if parts.scheme.startswith("postgres"):
            if parse_qs(parts.query).get("sslmode") != [VERIFIED]:
                yield setting, f"a database elsewhere needs sslmode={VERIFIED}"
            continue
        yield setting, f"{parts.scheme}:// to another machine"
