"""The receiver through its door, with DCMTK and pynetdicom as senders."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    VideoEndoscopicImageStorage,
)

from tests.support.archives import NAMES, data_set, write_named
from tests.support.encoded import BIG, DEFLATED, EXPLICIT, IMPLICIT, MR, instance, write_instance
from tests.support.inboxes import arrivals, check_whole, files, instances
from tests.support.rawdimse import RawSender, parts, value
from tests.support.receiver import ECHO, Receiver
from tests.support.videos import write_dicom_video

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Return a receiver of two processes, with whatever was sent to it before."""
    with Receiver(tmp_path_factory.mktemp("receiver"), processes=2) as started:
        yield started


def sent(receiver: Receiver, *words: str | Path, tool: str = "storescu") -> str:
    """Send with a tool of DCMTK, and return what it says."""
    where = ("-aec", "VESALIUS", "127.0.0.1", str(receiver.port))
    done = subprocess.run(
        [tool, "-v", *where, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr + receiver.told()
    return done.stdout + done.stderr


def kept(receiver: Receiver, sop_instance_uid: str) -> Path:
    """Return the file of an instance that was received."""
    with receiver.ledger() as ledger:
        (row,) = (i for i in instances(ledger) if i.sop_instance_uid == sop_instance_uid)
        check_whole(ledger, receiver.inbox, [sop_instance_uid])
    return receiver.inbox / row.relative_path


def picture(path: Path, syntax: str, number: int) -> Path:
    """Write an image that is compressed by pydicom."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, f"2.25.4{number}"
    image.StudyInstanceUID, image.SeriesInstanceUID = "2.25.5", "2.25.6"
    image.PatientID, image.PatientName, image.Modality = "P", "N", "MR"
    image.Rows = image.Columns = 32
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation, image.SamplesPerPixel = 0, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelData = np.arange(32 * 32, dtype=np.uint16).tobytes()
    image["PixelData"].VR = "OW"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax != ExplicitVRLittleEndian:
        image.compress(syntax, generate_instance_uid=False)
    image.save_as(path, enforce_file_format=True)
    return path


def test_an_echo_is_answered(receiver: Receiver) -> None:
    where = ("-aec", "VESALIUS", "127.0.0.1", str(receiver.port))
    subprocess.run(["echoscu", *where], check=True, timeout=30)
    assert receiver.echoes()


@pytest.mark.parametrize(
    ("syntax", "proposes"),
    [
        (JPEGLSLossless, "-xt"),
        (JPEG2000Lossless, "-xv"),
        (RLELossless, "-xr"),
        (ExplicitVRLittleEndian, "-xe"),
    ],
)
def test_pictures_come_as_they_are_compressed(
    receiver: Receiver, tmp_path: Path, syntax: str, proposes: str
) -> None:
    number = 10 + ["-xt", "-xv", "-xr", "-xe"].index(proposes)
    path = picture(tmp_path / "in.dcm", syntax, number)
    sent(receiver, proposes, path)
    found = kept(receiver, f"2.25.4{number}")
    read = dcmread(found)
    assert read.file_meta.TransferSyntaxUID == syntax
    assert read.PixelData == dcmread(path).PixelData
    assert (read.pixel_array == dcmread(path).pixel_array).all()


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_videos_come_as_they_are(receiver: Receiver, tmp_path: Path, codec: str) -> None:
    uid = f"2.25.7{['libx264', 'libx265', 'mpeg2video'].index(codec)}"
    path = write_dicom_video(tmp_path / "v.dcm", 25, codec=codec, SOPInstanceUID=uid)
    syntax = str(dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
    with RawSender(receiver.port) as sender:
        sender.associate(((VideoEndoscopicImageStorage, syntax),))
        told = sender.store(data_set(path), uid, sop_class_uid=VideoEndoscopicImageStorage)
        assert told == 0
        sender.release()
    assert data_set(kept(receiver, uid)) == data_set(path)


@pytest.mark.parametrize("name", list(NAMES))
@pytest.mark.parametrize("tool", ["storescu", "dcmsend", "pynetdicom"])
def test_names_come_byte_for_byte(receiver: Receiver, tmp_path: Path, name: str, tool: str) -> None:
    uid = f"2.25.8{list(NAMES).index(name)}{len(tool)}"
    path, _ = write_named(tmp_path, name, SOPInstanceUID=uid)
    if tool == "pynetdicom":
        with receiver.association() as association:
            assert association.send_c_store(path).Status == 0
    else:
        sent(receiver, path, tool=tool)
    _, encoded = NAMES[name]
    length = len(encoded) + len(encoded) % 2
    raw = b"\x10\x00\x10\x00PN" + length.to_bytes(2, "little") + encoded.ljust(length)
    assert raw in data_set(kept(receiver, uid))
    assert dcmread(kept(receiver, uid)).PatientName == dcmread(path).PatientName


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_uncompressed_instances_come_byte_for_byte(receiver: Receiver, syntax: str) -> None:
    number = 900 + [EXPLICIT, IMPLICIT, BIG, DEFLATED].index(syntax)
    data = instance(number, syntax=syntax)
    with RawSender(receiver.port) as sender:
        sender.associate(((MR, syntax),))
        assert sender.store(data, f"2.25.1{number:06d}") == 0
        sender.release()
    assert data_set(kept(receiver, f"2.25.1{number:06d}")) == data


def test_a_private_sop_class_is_refused_at_negotiation(receiver: Receiver) -> None:
    contexts = (("1.2.276.0.99.1", (EXPLICIT,)), (MR, (EXPLICIT,)))
    with receiver.association(contexts) as association:
        assert [str(c.abstract_syntax) for c in association.accepted_contexts] == [MR]
        assert [c.result for c in association.rejected_contexts] == [3]


def test_another_title_is_refused(receiver: Receiver) -> None:
    with receiver.association(called="ANOTHER") as association:
        assert association.is_rejected
        assert association.acceptor.primitive.diagnostic == 7


@pytest.mark.parametrize(
    ("callers", "allowed"),
    [
        (("FRIEND",), ("FRIEND",)),
        (("FRIEND@127.0.0.1",), ("FRIEND",)),
        (("*@127.0.0.0/8",), ("FRIEND", "STRANGER")),
        (("FRIEND@10.0.0.0/8", "STRANGER"), ("STRANGER",)),
        (("*@10.0.0.0/8",), ()),
    ],
)
def test_callers_are_allowed_by_title_and_address(
    tmp_path: Path, callers: Sequence[str], allowed: Sequence[str]
) -> None:
    with Receiver(tmp_path, callers=callers) as receiver:
        for title in ("FRIEND", "STRANGER"):
            with receiver.association(title=title) as association:
                assert association.is_established == (title in allowed), title
                if title not in allowed:
                    assert association.is_rejected
                    assert association.acceptor.primitive.diagnostic == 3
        assert receiver.stop() == 0


def test_many_associations_at_once_lose_nothing(receiver: Receiver, tmp_path: Path) -> None:
    folders = []
    for sender in range(4):
        folder = tmp_path / str(sender)
        folder.mkdir()
        for number in range(1000 + 50 * sender, 1050 + 50 * sender):
            write_instance(folder / f"{number}.dcm", number, study=70 + sender)
        folders.append(folder)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda folder: sent(receiver, "+sd", folder), folders))
    with receiver.ledger() as ledger:
        check_whole(ledger, receiver.inbox, [f"2.25.1{number:06d}" for number in range(1000, 1200)])
        studies = {row.study_instance_uid for row in arrivals(ledger)}
    assert {f"2.25.2{study:06d}" for study in range(70, 74)} <= studies


def test_a_duplicate_is_answered_and_another_one_is_told(
    receiver: Receiver, tmp_path: Path
) -> None:
    path = write_instance(tmp_path / "1.dcm", 2000)
    sent(receiver, path)
    sent(receiver, path)
    with RawSender(receiver.port) as sender:
        sender.associate()
        assert sender.store(instance(2000, pixels=b"another "), "2.25.1002000") == 0x0111
        assert sender.store(instance(2001), "2.25.1002001") == 0
        sender.release()
    assert data_set(kept(receiver, "2.25.1002000")) == instance(2000)


def test_what_cannot_be_kept_is_told_and_the_association_goes_on(receiver: Receiver) -> None:
    whole = instance(2100)
    with RawSender(receiver.port) as sender:
        sender.associate()
        for data, told in (
            (b"", 0xC000),
            (b"no data set at all", 0xC000),
            (whole[:60], 0xC000),
            (instance(2101), 0xA900),
        ):
            assert sender.store(data, "2.25.1002100") == told
        assert sender.store(whole, "x" * 70_000) == 0xC000
        assert sender.store(whole, "2.25.1002100") == 0
        sender.release()
    assert not files(receiver.inbox, "incoming")


def test_a_disk_that_is_nearly_full_refuses(tmp_path: Path) -> None:
    with Receiver(tmp_path, free_mib=1 << 40) as receiver, RawSender(receiver.port) as sender:
        sender.associate()
        assert sender.store(instance(1), "2.25.1000001") == 0xA700
        assert sender.store(instance(2, pixels=bytes(1 << 20)), "2.25.1000002") == 0xA700
        sender.release()
        assert not files(receiver.inbox)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_association_that_runs_is_let_finish(tmp_path: Path, processes: int) -> None:
    receiver = Receiver(tmp_path, processes=processes)
    with receiver, RawSender(receiver.port) as sender:
        sender.associate()
        assert receiver.echoes()
        data = instance(1, pixels=bytes(1 << 20))
        sender.begin("2.25.1000001")
        began = time.monotonic()
        assert receiver.process is not None
        receiver.process.terminate()
        time.sleep(1.0)
        for content, flags in parts(data, 65536):
            sender.send(value(content, flags))
        assert sender.status() == 0
        sender.release()
        assert receiver.process.wait(30) == 0
        assert time.monotonic() - began < 8.0
        with receiver.ledger() as ledger:
            check_whole(ledger, receiver.inbox, ["2.25.1000001"])


@pytest.mark.parametrize("processes", [1, 3])
def test_it_ends_at_once_when_nobody_calls(tmp_path: Path, processes: int) -> None:
    with Receiver(tmp_path, processes=processes, http_port=0) as receiver:
        for _ in range(6):
            assert receiver.echoes()
        began = time.monotonic()
        assert receiver.stop() == 0
        assert time.monotonic() - began < 6.0
        assert not receiver.told().count("Traceback")


def test_an_answer_comes_soon(receiver: Receiver) -> None:
    began = time.monotonic()
    with receiver.association(((ECHO, (IMPLICIT,)),)) as association:
        for _ in range(20):
            assert association.send_c_echo().Status == 0
    assert time.monotonic() - began < 5.0


def test_settings_reach_the_processes(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"ae_title": "HEART", "pdu_bytes": 8192, "largest_mib": 1}
    with Receiver(tmp_path, **limits) as receiver, RawSender(receiver.port) as sender:
        sender.associate(called="HEART")
        assert sender.longest == 8192
        large = instance(1, pixels=bytes(1 << 20))
        assert sender.store(large, "2.25.1000001", part=8000) == 0xC000
        assert sender.store(instance(2), "2.25.1000002") == 0
