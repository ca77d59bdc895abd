"""From one archive through the service into another, and what its tools read there."""

import io
import subprocess
import urllib.request
from pathlib import Path

import highdicom
import pydicom
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store
from PIL import Image
from pydicom.uid import UID

from tests.support.archives import NAMES
from tests.support.certificates import Authority
from tests.support.hospital import Hospital
from tests.support.orthanc import Orthanc, needs_orthanc
from tests.support.realdata import real_data
from tests.support.service import wait_until

pytestmark = [needs_orthanc, pytest.mark.service, pytest.mark.timeout(600)]


def archive(orthanc: Orthanc, name: str, **keys: object) -> str:
    """Return the settings of an archive as a node."""
    keys = {"ae_title": f'"{orthanc.aet}"', "host": '"127.0.0.1"', "port": orthanc.port} | keys
    return f"[nodes.{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


def test_a_study_goes_from_one_archive_to_another_over_tls(tmp_path: Path) -> None:
    source = real_data("perfusion", "ge_dicom")
    authority = Authority(tmp_path / "tls")
    ours, theirs = authority.vouch("vesalius"), authority.vouch("orthanc")
    tls = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(theirs.certificate),
        "DicomTlsPrivateKey": str(theirs.key),
        "DicomTlsTrustedCertificates": str(authority.path),
    }
    b = Orthanc(tmp_path / "b", aet="ARCHIVE_B", settings=tls)
    a = Orthanc(tmp_path / "a", aet="ARCHIVE_A", settings=tls)
    settings = (
        f'[tls]\ncertificate = "{ours.certificate}"\nkey = "{ours.key}"\n'
        f'authorities = "{authority.path}"\n'
        f"{archive(a, 'a', tls='true')}{archive(b, 'b', tls='true')}"
        '[destinations.b]\nby = "c-store"\nnode = "b"\nalways = true\n'
    )
    receive = 'tls = true\nask = "a"\ncallers = ["ARCHIVE_A@127.0.0.1"]'
    with a, b, Hospital(tmp_path / "vesalius", settings, receive=receive) as hospital:
        a.upload(*sorted(source.glob("*.dcm")))
        (study,) = a.rest("/studies")
        modality = {
            "AET": "VESALIUS",
            "Host": "127.0.0.1",
            "Port": hospital.port,
            "UseDicomTls": True,
        }
        a.put("/modalities/vesalius", modality)
        a.rest("/modalities/vesalius/store", {"Resources": [study], "Synchronous": True})
        wait_until(lambda: set(hospital.deliveries().values()) == {"done"}, 240, hospital.told)
        (arrived,) = hospital.call("arrivals")["arrivals"]
        check_results(b, tmp_path / "read")
    assert arrived["why"] == f"the node has the same {len(list(source.glob('*.dcm')))} instances"


def test_the_same_goes_over_dicomweb_and_into_a_bucket(
    tmp_path: Path, sound_study: Path, tiny_bundle: Path
) -> None:
    bucket = ThreadedMotoServer(port=0, verbose=False)
    bucket.start()
    _, port = bucket.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    storage = S3Store(
        "archived",
        endpoint=endpoint,
        access_key_id="a",
        secret_access_key="b",  # noqa: S106 - of a server of the test's own
        region="eu-1",
        client_options={"allow_http": True},
    )
    made = urllib.request.Request(f"{endpoint}/archived", method="PUT")  # noqa: S310 - our own
    urllib.request.urlopen(made, timeout=10).close()  # noqa: S310 - our own
    key, token = tmp_path / "s3.key", tmp_path / "stow.token"
    key.write_text("a:b")
    token.write_text("let me in")
    b = Orthanc(tmp_path / "b", aet="ARCHIVE_B")
    settings = (
        f'[nodes.b]\nurl = "{b.url}"\n'
        '[destinations.b]\nby = "stow-rs"\nnode = "b"\nalways = true\n'
        '[destinations.bucket]\nby = "s3"\nbucket = "s3://archived/heart"\nalways = true\n'
        f'endpoint = "{endpoint}"\nregion = "eu-1"\ncredentials = "{key}"\n'
    )
    hospital = Hospital(
        tmp_path / "vesalius", settings, receive=f'http_token = "{token}"', models=tiny_bundle
    )
    server = {
        "Url": f"http://127.0.0.1:{hospital.http_port}/",
        "HttpHeaders": {"Authorization": "Bearer let me in"},
    }
    a = Orthanc(
        tmp_path / "a",
        aet="ARCHIVE_A",
        settings={"DicomWeb": {"Enable": True, "Servers": {"vesalius": server}}},
    )
    with a, b, hospital:
        for name in NAMES:
            a.upload(*named_study(sound_study, tmp_path / name, name))
        body = {"Resources": a.rest("/studies"), "Synchronous": True}
        a.rest("/dicom-web/servers/vesalius/stow", body)
        wait_until(lambda: list(hospital.deliveries().values()) == ["done"] * 6, 100, hospital.told)
        check_results(b, tmp_path / "read")
        check_names(tmp_path / "read", len(b.rest("/instances")))
        stored = {one["path"] for one in storage.list("heart").collect()}
    bucket.stop()
    written = {path.name for path in (tmp_path / "vesalius" / "out").rglob("*.dcm")}
    assert written
    assert {Path(path).name for path in stored} >= written


def named_study(study: Path, folder: Path, name: str) -> list[Path]:
    """Write a study anew for a patient with one of the names, and return its files."""
    charset, encoded = NAMES[name]
    folder.mkdir()
    files = []
    for path in sorted(study.rglob("*.dcm")):
        instance = pydicom.dcmread(path)
        instance.SpecificCharacterSet = charset
        instance.PatientName, instance.PatientID = "N" * len(encoded), name
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            number = int(instance[keyword].value.rpartition(".")[2]) + 1 + list(NAMES).index(name)
            instance[keyword].value = f"2.25.{number}"
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        files.append(folder / path.name)
        instance.save_as(files[-1])
        content = files[-1].read_bytes()
        assert content.count(b"N" * len(encoded)) == 1
        files[-1].write_bytes(content.replace(b"N" * len(encoded), encoded))
    return files


def check_names(folder: Path, count: int) -> None:
    """Check that each result has its patient's name, byte for byte, and its character set."""
    found = []
    for path in folder.glob("*.dcm"):
        instance = pydicom.dcmread(path)
        charset, encoded = NAMES[str(instance.PatientID)]
        assert instance.get_item("PatientName").value.rstrip(b" ") == encoded
        told = instance.SpecificCharacterSet
        # An empty first value and the name of what it means are the same (PS3.3, C.12.1.1.2).
        same = [one or "ISO 2022 IR 6" for one in charset] if isinstance(charset, list) else charset
        assert (told if isinstance(told, str) else list(told)) == same
        found.append(path)
    assert len(found) == count


def check_results(orthanc: Orthanc, folder: Path) -> None:
    """Check that an archive's viewer, highdicom and DCMTK read what was sent there."""
    folder.mkdir()
    kinds = set()
    for one in orthanc.rest("/instances"):
        path = folder / f"{one}.dcm"
        path.write_bytes(orthanc.file(one))
        instance = pydicom.dcmread(path)
        kinds.add(UID(instance.SOPClassUID).name)
        dumped = subprocess.run(["dcmdump", path], capture_output=True, check=False)
        assert dumped.returncode == 0, dumped.stderr
        if instance.Modality == "SEG":
            segmentation = highdicom.seg.segread(path)
            assert segmentation.get_volume().array.any()
            Image.open(io.BytesIO(orthanc.preview(one))).verify()
        elif instance.Modality == "SR":
            highdicom.sr.srread(path)
            read = subprocess.run(["dsrdump", path], capture_output=True, check=False)
            assert read.returncode == 0, read.stderr
        elif "PixelData" in instance:
            Image.open(io.BytesIO(orthanc.preview(one))).verify()
    assert kinds >= {
        "Segmentation Storage",
        "Parametric Map Storage",
        "Comprehensive 3D SR Storage",
        "Secondary Capture Image Storage",
        "Key Object Selection Document Storage",
    }
