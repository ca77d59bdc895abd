"""Instances come from an archive as they are stored there, byte for byte, by each way."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from pipeline.config import Configuration
from pipeline.connections import Node, ReceiveSettings
from pipeline.errors import LedgerUnavailable, PeerRefused, PeerUnavailable
from pipeline.gateways import dicomweb
from pipeline.gateways.dicomweb import Place
from pipeline.gateways.multipart import Encoded
from pipeline.gateways.retrieve import Transfer, Wanted, get, identifiers, move, storage_contexts
from tests.support.archives import NAMES, Shelf, data_set, write_named
from tests.support.dimsepeers import node_at, served
from tests.support.orthanc import Orthanc, needs_orthanc
from tests.support.realdata import real_data
from tests.support.service import free_port

SETTINGS = Configuration(receive=ReceiveSettings(ae_title="US"))
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove
OURS = free_port()
"""Where the archive sends what it moves to us."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Return an archive that knows us."""
    modalities = {"us": ["US", "127.0.0.1", OURS]}
    folder = tmp_path_factory.mktemp("archive")
    with Orthanc(folder, aet="PEER", modalities=modalities) as orthanc:
        yield orthanc


@contextmanager
def receiver(shelf: Shelf) -> Iterator[None]:
    """Receive on our port what an archive moves, as it comes."""

    def store(event: evt.Event) -> int:
        request = event.request
        shelf.take(
            Encoded(
                sop_class_uid=str(request.AffectedSOPClassUID),
                sop_instance_uid=str(request.AffectedSOPInstanceUID),
                transfer_syntax_uid=str(event.context.transfer_syntax),
                chunks=iter((request.DataSet.getvalue(),)),
            )
        )
        return 0

    def prepare(entity: AE) -> None:
        for context in storage_contexts([MRImageStorage])[1:]:
            entity.add_supported_context(MRImageStorage, context.transfer_syntax)

    contexts = [MRImageStorage]
    with served(contexts, [(evt.EVT_C_STORE, store)], prepare, port=OURS):
        yield


def retrieved(archive: Orthanc, way: str, wanted: Wanted) -> Shelf:
    """Retrieve by one of the ways."""
    shelf = Shelf()
    node = node_at(archive.port, timeout_s=20)
    if way == "get":
        get(node, wanted, [MRImageStorage], shelf.take, SETTINGS)
    elif way == "move":
        with receiver(shelf):
            move(node, wanted, SETTINGS)
    else:
        place = Place(study=wanted.study)
        dicomweb.retrieve(Node(url=archive.url), place, shelf.take, SETTINGS)
    return shelf


@needs_orthanc
@pytest.mark.parametrize("way", ["get", "move", "wado"])
@pytest.mark.parametrize("name", list(NAMES))
def test_names_come_byte_for_byte(archive: Orthanc, tmp_path: Path, name: str, way: str) -> None:
    path, study = write_named(tmp_path, name)
    archive.upload(path)
    shelf = retrieved(archive, way, Wanted(study=study))
    ((syntax, data),) = shelf.kept.values()
    assert syntax == "1.2.840.10008.1.2.1"
    _, encoded = NAMES[name]
    length = len(encoded) + len(encoded) % 2
    raw = b"\x10\x00\x10\x00PN" + length.to_bytes(2, "little") + encoded.ljust(length)
    assert raw in data
    assert data == data_set(path)


@needs_orthanc
@pytest.mark.parametrize("way", ["get", "wado"])
def test_compressed_instances_are_not_converted(archive: Orthanc, tmp_path: Path, way: str) -> None:
    path, study = write_named(
        tmp_path, "latin", StudyInstanceUID="2.25.77", SOPInstanceUID="2.25.7"
    )
    instance = dcmread(path)
    instance.compress(RLELossless, generate_instance_uid=False)
    instance.save_as(path)
    archive.upload(path)
    shelf = retrieved(archive, way, Wanted(study=study))
    assert shelf.kept == {"2.25.7": (str(RLELossless), data_set(path))}


@needs_orthanc
@pytest.mark.parametrize("way", ["get", "wado"])
def test_real_instances_come_byte_for_byte(archive: Orthanc, way: str) -> None:
    paths = sorted(real_data("dicom", "dicom2nifti").rglob("*.dcm"))[:40]
    if not paths:
        pytest.skip("no real instances")
    archive.upload(*paths)
    sources = {}
    for path in paths:
        header = dcmread(path, stop_before_pixels=True)
        sources[str(header.SOPInstanceUID)] = (path, header)
    got: dict[str, tuple[str, bytes]] = {}
    node = node_at(archive.port, timeout_s=20)
    for study in sorted({str(header.StudyInstanceUID) for _, header in sources.values()}):
        shelf = Shelf()
        if way == "get":
            classes = sorted({str(header.SOPClassUID) for _, header in sources.values()})
            transfer = get(node, Wanted(study=study), classes, shelf.take, SETTINGS)
            assert transfer.failed == 0
        else:
            place = Place(study=study)
            dicomweb.retrieve(Node(url=archive.url), place, shelf.take, SETTINGS)
        got |= shelf.kept
    assert set(got) == set(sources)
    for uid, (path, header) in sources.items():
        assert got[uid] == (str(header.file_meta.TransferSyntaxUID), data_set(path)), path


@needs_orthanc
def test_an_archive_that_does_not_know_us_says_so(archive: Orthanc, tmp_path: Path) -> None:
    path, study = write_named(tmp_path, "greek")
    archive.upload(path)
    settings = Configuration(receive=ReceiveSettings(ae_title="STRANGER"))
    with pytest.raises((PeerRefused, PeerUnavailable)) as raised:
        move(node_at(archive.port), Wanted(study=study), settings)
    assert study not in str(raised.value)


@needs_orthanc
def test_a_move_to_a_receiver_that_is_away_does_not_pass_for_done(
    archive: Orthanc, tmp_path: Path
) -> None:
    path, study = write_named(tmp_path, "greek")
    archive.upload(path)
    try:
        transfer = move(node_at(archive.port, timeout_s=20), Wanted(study=study), SETTINGS)
    except (PeerRefused, PeerUnavailable):
        return
    assert transfer.failed == 1


def answering(event: evt.EventType, *statuses: object) -> list[object]:
    """Return a handler of C-GET or C-MOVE that answers with statuses only."""

    def handle(_: evt.Event) -> Iterator[object]:
        if event is evt.EVT_C_MOVE:
            yield "127.0.0.1", free_port()
        yield len(statuses)
        yield from statuses

    return [(event, handle)]


def failed_list(*uids: str) -> Dataset:
    """Return an identifier that names instances that failed."""
    answer = Dataset()
    answer.FailedSOPInstanceUIDList = list(uids)
    return answer


@pytest.mark.parametrize(
    ("status", "failure", "told"),
    [
        (0xA702, PeerUnavailable, "A702, out of resources"),
        (0xA900, PeerRefused, "A900"),
        (0xC001, PeerRefused, "C001"),
    ],
)
def test_a_retrieval_that_fails_is_told_by_its_status(
    status: int, failure: type[Exception], told: str
) -> None:
    handler = answering(evt.EVT_C_GET, (status, failed_list()))
    with served([GET], handler) as port, pytest.raises(failure, match=f"C-GET was answered {told}"):
        get(node_at(port), Wanted(study="1.2"), [], Shelf().take, SETTINGS)


def test_an_unknown_destination_is_refused() -> None:
    handler = [(evt.EVT_C_MOVE, lambda _: iter([(None, None)]))]
    with (
        served([MOVE], handler) as port,
        pytest.raises(PeerRefused, match="does not know US as a destination"),
    ):
        move(node_at(port), Wanted(study="1.2"), SETTINGS)


def test_failed_suboperations_are_counted_and_named() -> None:
    def handle(_: evt.Event) -> Iterator[object]:
        yield 2
        yield 0xFF00, instance_of("1.2.1")
        yield 0xFF00, instance_of("1.2.2")

    shelf = Shelf(refuses={"1.2.1"})
    with served([GET], [(evt.EVT_C_GET, handle)], scp_and_scu) as port:
        transfer = get(node_at(port), Wanted(study="1.2"), [MRImageStorage], shelf.take, SETTINGS)
    assert transfer == Transfer(completed=1, failed=1, failed_uids=("1.2.1",))
    assert set(shelf.kept) == {"1.2.2"}


def test_what_the_inbox_raises_ends_the_retrieval_and_passes() -> None:
    def full() -> None:
        raise LedgerUnavailable("full")

    def handle(_: evt.Event) -> Iterator[object]:
        yield 2
        yield 0xFF00, instance_of("1.2.1")
        yield 0xFF00, instance_of("1.2.2")

    shelf = Shelf(before=full)
    with (
        served([GET], [(evt.EVT_C_GET, handle)], scp_and_scu) as port,
        pytest.raises(LedgerUnavailable, match="full"),
    ):
        get(node_at(port), Wanted(study="1.2"), [MRImageStorage], shelf.take, SETTINGS)


def hangs(event: evt.Event) -> Iterator[object]:
    """Send one instance, then nothing for a while."""
    yield 2
    yield 0xFF00, instance_of("1.2.1")
    time.sleep(3)
    yield 0xFF00, instance_of("1.2.2")


def aborts(event: evt.Event) -> Iterator[object]:
    """Send one instance, then abort."""
    yield 2
    yield 0xFF00, instance_of("1.2.1")
    event.assoc.abort(block=False)
    yield 0xFF00, instance_of("1.2.2")


@pytest.mark.parametrize("handle", [hangs, aborts])
def test_a_retrieval_that_breaks_off_is_told_and_keeps_what_came(
    handle: Callable[[evt.Event], Iterator[object]],
) -> None:
    shelf = Shelf()
    began = time.monotonic()
    with (
        served([GET], [(evt.EVT_C_GET, handle)], scp_and_scu) as port,
        pytest.raises(PeerUnavailable, match=r"silent|ended"),
    ):
        broken_off(port, shelf)
    assert set(shelf.kept) == {"1.2.1"}
    assert time.monotonic() - began < 6


def broken_off(port: int, shelf: Shelf) -> None:
    """Retrieve from a peer that does not go on."""
    node = node_at(port, timeout_s=0.7)
    get(node, Wanted(study="1.2"), [MRImageStorage], shelf.take, SETTINGS)


def test_uids_are_asked_for_in_parts() -> None:
    uids = tuple(f"1.2.{number}" for number in range(450))
    parts = list(identifiers(Wanted(study="1", series=("1.2",), instances=uids)))
    assert [len(part.SOPInstanceUID) for part in parts] == [200, 200, 50]
    assert {part.QueryRetrieveLevel for part in parts} == {"IMAGE"}
    parts = list(identifiers(Wanted(study="1", series=uids)))
    assert [len(part.SeriesInstanceUID) for part in parts] == [200, 200, 50]
    assert len(list(identifiers(Wanted(study="1")))) == 1


@pytest.mark.parametrize("number", [0, 1, 3, 5, 40, 64, 127, 130])
def test_there_are_never_too_many_contexts(number: int) -> None:
    assert 0 < len(storage_contexts([f"1.2.{one}" for one in range(number)])) <= 127


def instance_of(uid: str) -> Dataset:
    """Return a small instance."""
    instance = Dataset()
    instance.SOPClassUID, instance.SOPInstanceUID = MRImageStorage, uid
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return instance


def scp_and_scu(entity: AE) -> None:
    """Have a peer send instances within a C-GET."""
    entity.add_supported_context(
        MRImageStorage, ExplicitVRLittleEndian, scu_role=True, scp_role=True
    )
