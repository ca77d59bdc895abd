"""Results at real destinations: Orthanc by C-STORE and STOW-RS, a bucket, a folder."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pydicom
import pytest
import requests
from moto.server import ThreadedMotoServer
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from pipeline.connections import Destination, Node
from pipeline.deliver.page import page
from pipeline.gateways.commitment import read_commitment
from pipeline.gateways.stow import status_of
from pipeline.ledger.breaker import Destinations
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.deliverycare import WantedDeliveries, deliveries
from pipeline.ledger.ledger import Ledger
from tests.support.deliveries import Running, Site, artifacts_in, data_set, files_of, whole_result
from tests.support.orthanc import Orthanc, needs_orthanc
from tests.support.service import free_port, wait_until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        yield Site(folder=tmp_path, ledger=ledger, dciodvfy="if installed")


def check_all_there(orthanc: Orthanc, *, same_bytes: bool) -> None:
    """Check that an Orthanc holds the objects of the whole result once, with their bytes."""
    made = {
        str(a.sop_instance_uid): whole_result() / a.relative_path
        for a in artifacts_in(whole_result())
        if a.sop_instance_uid
    }
    assert orthanc.sop_instance_uids() == sorted(made)
    for one in orthanc.rest("/instances?expand"):
        path = made[one["MainDicomTags"]["SOPInstanceUID"]]
        stored = orthanc.file(one["ID"])
        if same_bytes:
            assert stored.endswith(data_set(path))
        else:
            assert pydicom.dcmread(path).SOPInstanceUID.encode() in stored


@contextmanager
def receiver(port: int, ledger: Ledger) -> Iterator[None]:
    """Take what an archive answers for, as the service's receiver does."""

    def hear(event: evt.Event) -> tuple[int, None]:
        found = read_commitment(event.event_information)
        Deliveries(ledger).committed(found.transaction_uid, found.committed, found.failed)
        return 0, None

    entity = AE(ae_title="VESALIUS")
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, hear)]
    )
    try:
        yield
    finally:
        server.shutdown()


@needs_orthanc
@pytest.mark.parametrize("asks_by", ["qido", "c-find"])
def test_orthanc_by_c_store_found_by_a_query(asks_by: str, site: Site, tmp_path: Path) -> None:
    with Orthanc(tmp_path / "orthanc", aet="ARCHIVE") as orthanc:
        url = orthanc.url if asks_by == "qido" else None
        site.archive("pacs", orthanc.port, url=url)
        site.job("whole", ["pacs"], result=whole_result())
        with Running(site):
            wait_until(lambda: site.states() == ["done"], 60, site.told)
        check_all_there(orthanc, same_bytes=True)
        (line,) = deliveries(site.ledger, WantedDeliveries())
        assert line.sent == line.confirmed == len(list(whole_result().glob("*.dcm")))


@needs_orthanc
def test_orthanc_commits_over_an_association_of_its_own(site: Site, tmp_path: Path) -> None:
    port = free_port()
    modalities = {"vesalius": ["VESALIUS", "127.0.0.1", port]}
    with (
        receiver(port, site.ledger),
        Orthanc(tmp_path / "orthanc", aet="ARCHIVE", modalities=modalities) as orthanc,
    ):
        site.archive("pacs", orthanc.port, confirm="commitment", confirm_s=60.0)
        site.job("whole", ["pacs"], result=whole_result())
        with Running(site):
            wait_until(lambda: site.states() == ["done"], 60, site.told)
        check_all_there(orthanc, same_bytes=True)


@needs_orthanc
@pytest.mark.parametrize("by", ["c-store", "stow-rs"])
def test_an_orthanc_that_loses_its_power_gets_everything_once(
    by: str, site: Site, tmp_path: Path
) -> None:
    with Orthanc(tmp_path / "orthanc", aet="ARCHIVE") as orthanc:
        site.archive("pacs", orthanc.port, url=orthanc.url, by=by, timeout_s=3.0)
        made = [site.job(f"job {number}", ["pacs"], objects=3)[1] for number in range(12)]
        with Running(site):
            wait_until(lambda: "done" in site.states(), 30, site.told)
            orthanc.kill()
            wait_until(lambda: "PeerUnavailable" in site.told(), 30, site.told)
            orthanc.start()
            wait_until(lambda: set(site.states()) == {"done"}, 60, site.told)
        wanted = sorted(str(each.sop_instance_uid) for job in made for each in job)
        assert orthanc.sop_instance_uids() == wanted


@needs_orthanc
def test_orthanc_by_stow_rs(site: Site, tmp_path: Path) -> None:
    with Orthanc(tmp_path / "orthanc") as orthanc:
        site.nodes["web"] = Node(url=orthanc.url)
        site.destinations["web"] = Destination(by="stow-rs", node="web")
        site.job("whole", ["web"], result=whole_result())
        with Running(site):
            wait_until(lambda: site.states() == ["done"], 60, site.told)
        check_all_there(orthanc, same_bytes=True)
        assert [d.error for d in deliveries(site.ledger, WantedDeliveries())] == [None]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """Return the address of a server that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_a_bucket_gets_every_file_under_the_jobs_folder(
    site: Site, bucket: str, tmp_path: Path
) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=bucket,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",  # noqa: S106 - of a server of the tests
    )
    client.create_bucket(Bucket="results")
    (tmp_path / "secret").write_text("key:secret\n")
    site.destinations["s3"] = Destination(
        by="s3", bucket="s3://results/ai", endpoint=bucket, credentials=tmp_path / "secret"
    )
    site.job("whole", ["s3"], result=whole_result())
    with Running(site):
        wait_until(lambda: site.states() == ["done"], 60, site.told)
    found = {
        each["Key"]: client.get_object(Bucket="results", Key=each["Key"])["Body"].read()
        for each in client.list_objects_v2(Bucket="results")["Contents"]
    }
    client.close()
    assert found == {
        f"ai/result/{name}": path.read_bytes() for name, path in files_of(whole_result()).items()
    }


def test_a_bucket_that_is_not_there_is_waited_for(site: Site, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key:secret\n")
    site.destinations["s3"] = Destination(
        by="s3", bucket="s3://nowhere", endpoint=bucket, credentials=tmp_path / "secret"
    )
    site.job("one", ["s3"])
    with Running(site):
        wait_until(lambda: "PeerUnavailable" in site.told(), 30, site.told)
    assert site.states() == ["waiting"]


def test_a_folder_gets_whole_files_and_is_waited_for(site: Site, tmp_path: Path) -> None:
    share = tmp_path / "share"
    site.destinations["share"] = Destination(
        by="folder", folder=share, retry_s=0.2, longest_retry_s=0.5
    )
    site.job("whole", ["share"], result=whole_result())
    with Running(site):
        wait_until(lambda: "no such folder" in site.told(), 20, site.told)
        share.mkdir()
        wait_until(lambda: site.states() == ["done"], 20, site.told)
    found = {name: path.read_bytes() for name, path in files_of(share).items()}
    assert found == {
        f"result/{name}": path.read_bytes() for name, path in files_of(whole_result()).items()
    }


def test_a_de_identified_delivery_leaves_no_object_as_it_was(site: Site, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef" * 4)
    (tmp_path / "share").mkdir()
    site.destinations["share"] = Destination(
        by="folder",
        folder=tmp_path / "share",
        deidentify=True,
        deidentify_key=tmp_path / "secret",
    )
    site.job("whole", ["share"], result=whole_result())
    with Running(site):
        wait_until(lambda: site.states() == ["done"], 60, site.told)
    (line,) = deliveries(site.ledger, WantedDeliveries())
    assert line.sent == len(list(whole_result().glob("*.dcm")))
    kept = {path.read_bytes() for path in files_of(whole_result()).values()}
    assert not kept & {path.read_bytes() for path in files_of(tmp_path / "share").values()}


@contextmanager
def answering(code: int, document: object) -> Iterator[str]:
    """Run a server that answers every request alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            content = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def failed(reason: int) -> dict[str, object]:
    item = {"00081197": {"vr": "US", "Value": [reason]}}
    return {"00081198": {"vr": "SQ", "Value": [item]}}


@pytest.mark.parametrize(
    ("code", "document", "state"),
    [
        (401, {}, "waiting"),
        (409, failed(0xA900), "refused"),
        (202, failed(0xC122), "refused"),
        (409, failed(0xA700), "waiting"),
        (503, {}, "waiting"),
        (400, {}, "refused"),
    ],
)
def test_answers_of_stow_rs_are_told_apart(
    code: int, document: object, state: str, site: Site
) -> None:
    with answering(code, document) as url:
        site.nodes["web"] = Node(url=url)
        site.destinations["web"] = Destination(by="stow-rs", node="web", retry_s=60.0)
        site.job("one", ["web"])
        with Running(site):
            wait_until(lambda: "answered" in site.told() or "refused" in site.told(), 20)
    assert site.states() == [state]
    is_held = any(d.held for d in Destinations(site.ledger).all())
    assert is_held == (code == 401)


def test_a_blocked_delivery_pages_without_anything_of_a_patient(site: Site, tmp_path: Path) -> None:
    with answering(200, {}) as url:
        site.job("one", ["x"])
        claim = Deliveries(site.ledger).claim("x", "me", 60.0)
        assert claim is not None
        page(claim, url)
        page(claim, "http://127.0.0.1:1/nobody")


def test_an_answer_that_is_no_json_counts_by_its_code() -> None:
    answer = requests.Response()
    answer.status_code, answer._content = 200, b"<xml/>"
    assert status_of(answer) == "200"
