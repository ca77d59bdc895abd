"""Associations and DICOMweb over TLS: who is not believed is not talked to."""

import shutil
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipeline.config import Configuration
from pipeline.connections import Node, TlsSettings
from pipeline.errors import PeerUnavailable
from pipeline.gateways.association import echo
from pipeline.gateways.dicomweb import search
from pipeline.gateways.found import Query
from pipeline.gateways.tls import server_context
from tests.support.dimsepeers import node_at, served

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def certificate(folder: Path, name: str) -> TlsSettings:
    """Return a certificate for this machine that only itself vouches for."""
    folder.mkdir(exist_ok=True)
    made, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", str(key)),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-out", str(made)),
        ],
        check=True,
        capture_output=True,
    )
    return TlsSettings(certificate=made, key=key, authorities=made)


def test_an_association_over_tls(tmp_path: Path) -> None:
    peer, other = certificate(tmp_path, "peer"), certificate(tmp_path, "other")
    # Each believes the peer's certificate only, and shows it.
    with served(ssl_context=server_context(peer)) as port:
        node = node_at(port, tls=True)
        assert echo(node, Configuration(tls=peer)) > 0
        with pytest.raises(PeerUnavailable, match="its certificate is not believed"):
            echo(node, Configuration(tls=other))
        stranger = TlsSettings(
            certificate=other.certificate, key=other.key, authorities=peer.authorities
        )
        with pytest.raises(PeerUnavailable, match=r"PEER at 127\.0\.0\.1"):
            echo(node, Configuration(tls=stranger))
        with pytest.raises(PeerUnavailable, match=r"PEER at 127\.0\.0\.1"):
            echo(node_at(port), Configuration(tls=peer))


def test_a_node_that_speaks_no_tls(tmp_path: Path) -> None:
    with served() as port, pytest.raises(PeerUnavailable, match=r"PEER at 127\.0\.0\.1"):
        echo(node_at(port, tls=True), Configuration(tls=certificate(tmp_path, "peer")))


class Empty(BaseHTTPRequestHandler):
    """Answers that nothing was found."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_dicomweb_over_tls(tmp_path: Path) -> None:
    peer, other = certificate(tmp_path, "peer"), certificate(tmp_path, "other")
    # A client without a certificate is let in here.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(peer.certificate), str(peer.key))

    class Quiet(HTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing."""

    with Quiet(("127.0.0.1", 0), Empty) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        node = Node(url=f"https://127.0.0.1:{server.server_address[1]}/web", timeout_s=5)
        try:
            assert search(node, Query(), Configuration(tls=peer)) == []
            with pytest.raises(PeerUnavailable, match="not believed"):
                search(node, Query(), Configuration(tls=other))
            with pytest.raises(PeerUnavailable, match="not believed"):
                search(node, Query(), Configuration())
        finally:
            server.shutdown()
            thread.join(5)
