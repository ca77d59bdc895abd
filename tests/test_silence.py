"""Nothing of a patient outside the objects: a marked patient goes through the whole service."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE

from tests.support.encoded import EXPLICIT, MR
from tests.support.hospital import Hospital
from tests.support.service import ROOT, wait_until

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

MARK = "ZZMARK"
DAY = "19110203"
MARKS = (MARK.encode(), MARK.lower().encode(), DAY.encode(), b"1911-02-03")
"""What must not be found."""

PERSONAL = {
    "PatientName": f"{MARK}NAME^GIVEN",
    "PatientID": f"{MARK}ID",
    "PatientBirthDate": DAY,
    "OtherPatientNames": f"{MARK}OTHER",
    "PatientComments": f"{MARK} comment",
    "PatientAddress": f"{MARK} street",
    "ReferringPhysicianName": f"{MARK}REF",
    "OperatorsName": f"{MARK}OP",
    "AccessionNumber": f"{MARK}ACC",
    "StudyID": f"{MARK}SID",
    "InstitutionName": f"{MARK} hospital",
    "StudyDescription": f"{MARK} study",
}
"""Attributes that name a person, or that people type, as the series of the test states them."""


def marked(study: Path, folder: Path, number: int, **changes: object) -> list[Path]:
    """Write a study anew as that of a marked patient, and return its files."""
    folder.mkdir()
    files = []
    for path in sorted(study.rglob("*.dcm")):
        instance = pydicom.dcmread(path)
        for keyword, value in {**PERSONAL, **changes}.items():
            setattr(instance, keyword, value)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            instance[keyword].value = f"2.25.{int(instance[keyword].value[5:]) + number}"
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        files.append(folder / path.name)
        instance.save_as(files[-1])
    return files


def send(hospital: Hospital, files: list[Path]) -> None:
    """Send files to the receiver."""
    entity = AE(ae_title="MODALITY")
    entity.add_requested_context(MR, EXPLICIT)
    association = entity.associate("127.0.0.1", hospital.port, ae_title="VESALIUS")
    assert association.is_established
    for file in files:
        association.send_c_store(pydicom.dcmread(file))
    association.release()


def test_a_marked_patient_leaves_no_mark_outside_the_objects(
    tmp_path: Path, sound_study: Path, tiny_bundle: Path
) -> None:
    (tmp_path / "share").mkdir()
    settings = (
        '[drift]\nequipment = "plain"\ndescriptions = "hashed"\n'
        f'[destinations.share]\nby = "folder"\nfolder = "{tmp_path / "share"}"\nalways = true\n'
        '[destinations.nowhere]\nby = "c-store"\nnode = "nobody"\nalways = true\n'
        '[nodes.nobody]\nae_title = "NOBODY"\nhost = "127.0.0.1"\nport = 9\n'
    )
    good = marked(sound_study, tmp_path / "good", 1)
    gap = marked(sound_study, tmp_path / "gap", 2, EchoTime="2.0")
    del gap[len(gap) // 2]
    mixed = marked(sound_study, tmp_path / "mixed", 3)
    other = pydicom.dcmread(mixed[0])
    other.PatientName = f"{MARK}SECOND"
    other.save_as(mixed[0])
    hospital = Hospital(tmp_path / "vesalius", settings, models=tiny_bundle)
    with hospital:
        for files in (good, gap, mixed):
            send(hospital, files)
        wait_until(
            lambda: (
                sum(
                    "share" in key and state == "done"
                    for key, state in hospital.deliveries().items()
                )
                >= 1
                and len(taken(hospital)) == 2
            ),
            200,
            hospital.told,
        )
        address = f"http://127.0.0.1:{hospital.monitor}"
        told = [read(f"{address}/metrics"), read(f"{address}/readyz")]
        jobs = hospital.call("jobs")["jobs"]
        for words in (("arrivals",), ("suspects",), ("deliveries",), ("status",), ("turnaround",)):
            told.append(json.dumps(hospital.call(*words)).encode())
        told += [json.dumps(hospital.call("why", job["job_id"])).encode() for job in jobs]
        told.append(json.dumps(jobs).encode())
    assert jobs
    refused = subprocess.run(
        [
            sys.executable,
            "-m",
            "workers.cli",
            "run",
            str(tmp_path / "gap"),
            str(tmp_path / "mixed"),
            "--output",
            str(tmp_path / "run"),
            "--config",
            str(hospital.config),
            "--ledger",
            str(tmp_path / "run.db"),
            "--models",
            str(tiny_bundle),
        ],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    told += [refused.stdout, refused.stderr]
    assert b"Traceback" not in refused.stderr
    for content in told:
        assert not found_in(content), content[:2000]
    objects, places = 0, [tmp_path / "vesalius", tmp_path / "run", tmp_path / "share"]
    for path in (*(p for place in places for p in place.rglob("*")), *tmp_path.glob("run.db*")):
        assert not found_in(path.name.encode()), path
        if path.is_file():
            is_object = path.suffix == ".dcm" or "inbox" in path.parts
            objects += is_object and bool(found_in(path.read_bytes()))
            assert is_object or not found_in(path.read_bytes()), path
    assert objects > len(good)


def taken(hospital: Hospital) -> list[object]:
    """Return the arrivals that were taken."""
    return [a for a in hospital.call("arrivals")["arrivals"] if a["state"] == "taken"]


def read(address: str) -> bytes:
    """Return what an address of the service tells."""
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - our own
        return bytes(answer.read())


def found_in(content: bytes) -> list[bytes]:
    """Return the marks that stand in some bytes."""
    return [mark for mark in MARKS if mark in content]
