"""What goes wrong over HTTP is told by its kind; credentials go to the node and nowhere else."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.gateways.dicomweb import Place, retrieve, search
from pipeline.gateways.found import Query
from pipeline.gateways.multipart import BrokenOff, Encoded, NotMultipart, instances
from tests.support.archives import NAMES, Shelf, data_set, write_named
from tests.support.service import free_port

SETTINGS = Configuration()
PARTS = 'multipart/related; type="application/dicom"; boundary="x y"'


@contextmanager
def web(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve HTTP by a function; give the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/web"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def replies(status: int, body: bytes = b"", **headers: str) -> Callable[..., None]:
    """Return what answers so."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (503, PeerUnavailable),
        (429, PeerUnavailable),
        (401, PeerRefused),
        (404, PeerRefused),
        (400, PeerRefused),
    ],
)
def test_statuses_are_told_apart(status: int, failure: type[Exception]) -> None:
    with web(replies(status, b"secret")) as url:
        with pytest.raises(failure, match=f"/web: HTTP {status}") as raised:
            search(Node(url=url), Query(patient="secret"), SETTINGS)
        assert "secret" not in str(raised.value)
        with pytest.raises(failure, match=f"/web: HTTP {status}"):
            retrieve(Node(url=url), Place(study="1.2"), Shelf().take, SETTINGS)


def test_nobody_there() -> None:
    node = Node(url=f"http://127.0.0.1:{free_port()}/web")
    with pytest.raises(PeerUnavailable, match="no connection"):
        search(node, Query(), SETTINGS)


def test_a_server_that_hangs_is_left_after_its_time() -> None:
    with (
        web(lambda request: request.rfile.read(1) and None) as url,
        pytest.raises(PeerUnavailable, match=r"silent for 0\.3 s"),
    ):
        search(Node(url=url, timeout_s=0.3), Query(), SETTINGS)


def test_what_is_no_dicomweb_is_refused() -> None:
    with web(replies(200, b"<html>", Content_Type="text/html")) as url:
        with pytest.raises(PeerRefused, match="no DICOMweb"):
            search(Node(url=url), Query(), SETTINGS)
        with pytest.raises(PeerRefused, match="no DICOMweb"):
            retrieve(Node(url=url), Place(study="1.2"), Shelf().take, SETTINGS)


def test_another_host_is_not_gone_to() -> None:
    asked: list[str] = []

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        replies(200, b"[]")(request)

    with web(elsewhere) as other, web(replies(302, Location=f"{other}/studies")) as url:
        with pytest.raises(PeerRefused):
            search(Node(url=url), Query(), SETTINGS)
        with pytest.raises(PeerRefused):
            retrieve(Node(url=url), Place(study="1.2"), Shelf().take, SETTINGS)
    assert asked == []


def test_credentials_are_shown(tmp_path: Path) -> None:
    shown: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        shown.append(request.headers["Authorization"])
        replies(200, b"[]")(request)

    secret = tmp_path / "secret"
    secret.write_text("jörg:pässword\n", encoding="utf-8")
    with web(answer) as url:
        search(Node(url=url, basic=secret), Query(), SETTINGS)
        secret.write_text("token\n", encoding="utf-8")
        search(Node(url=url, token=secret), Query(), SETTINGS)
        with pytest.raises(UnusableCall, match="cannot be read"):
            search(Node(url=url, token=tmp_path / "none"), Query(), SETTINGS)
    assert shown[0] == "Basic " + base64.b64encode("jörg:pässword".encode()).decode()
    assert shown[1] == "Bearer token"


def test_a_server_that_knows_no_offset_is_asked_twice_only() -> None:
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        replies(200, b'[{"0020000D": {"vr": "UI", "Value": ["1.2"]}}]')(request)

    with web(answer) as url:
        assert len(search(Node(url=url), Query(), SETTINGS)) == 1
    assert len(asked) == 2


def bodies(paths: list[Path], boundary: bytes = b"x y") -> bytes:
    """Return files as a body."""
    head = b"Content-Type: application/dicom\r\n\r\n"
    files = [b"--" + boundary + b"\r\n" + head + path.read_bytes() + b"\r\n" for path in paths]
    return b"".join(files) + b"--" + boundary + b"--\r\n"


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_a_body_is_read_in_chunks_of_any_size(tmp_path: Path, size: int) -> None:
    paths = [write_named(tmp_path, name)[0] for name in NAMES]
    body = bodies(paths)
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    got = [b"".join(one.chunks) for one in instances(chunks, PARTS)]
    assert got == [data_set(path) for path in paths]


def test_what_is_not_read_of_an_instance_is_skipped(tmp_path: Path) -> None:
    paths = [write_named(tmp_path, name)[0] for name in NAMES]
    got = [one.sop_instance_uid for one in instances([bodies(paths)], PARTS)]
    assert got == ["2.25.10001", "2.25.10002", "2.25.10003"]


@pytest.mark.parametrize("cut", [1, 10, 50, 900])
def test_a_body_that_ends_too_early_is_told(tmp_path: Path, cut: int) -> None:
    body = bodies([write_named(tmp_path, name)[0] for name in NAMES])

    def read_all() -> None:
        for one in instances([body[: -3 - cut]], PARTS):
            b"".join(one.chunks)

    with pytest.raises((BrokenOff, NotMultipart)):
        read_all()


def test_an_instance_that_breaks_off_is_not_kept(tmp_path: Path) -> None:
    paths = [write_named(tmp_path, name)[0] for name in NAMES]
    body = bodies(paths)
    shelf = Shelf()

    def answer(request: BaseHTTPRequestHandler) -> None:
        # Without a length: that the connection ends is all that tells the end.
        request.send_response(200)
        request.send_header("Content-Type", PARTS)
        request.end_headers()
        request.wfile.write(body[:-100])

    with web(answer) as url, pytest.raises(PeerUnavailable, match="broke off"):
        retrieve(Node(url=url), Place(study="1.2"), shelf.take, SETTINGS)
    assert set(shelf.kept) == {"2.25.10001", "2.25.10002"}


def test_one_file_without_parts_is_taken(tmp_path: Path) -> None:
    path, _ = write_named(tmp_path, "greek")
    (one,) = instances([path.read_bytes()], "application/dicom")
    assert b"".join(one.chunks) == data_set(path)


@pytest.mark.parametrize("body", [b"", b"x" * 200, bytes(128) + b"DICM", bytes(2000)])
def test_what_is_no_file_is_no_instance(body: bytes) -> None:
    with pytest.raises(NotMultipart):
        list[Encoded](instances([body], "application/dicom"))
