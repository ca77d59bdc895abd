"""A study's life: received, analysed, delivered, and forgotten so that nothing tells of it."""

import json
import shutil
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage  # type: ignore[attr-defined]

from tests.support.hospital import Hospital
from tests.support.service import wait_until

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

MARK = "ZZVANISHED"
"""Stands in what names the patient, and nowhere else."""


def test_a_study_is_received_analysed_delivered_and_forgotten(
    tmp_path: Path, sound_study: Path, tiny_bundle: Path
) -> None:
    share, folder = tmp_path / "share", tmp_path / "vesalius"
    share.mkdir()
    settings = f'[destinations.share]\nby = "folder"\nfolder = "{share}"\nalways = true\n'
    with Hospital(folder, settings, models=tiny_bundle) as hospital:
        study = send(marked(sound_study, tmp_path / "sent"), hospital.port)
        wait_until(lambda: set(hospital.deliveries().values()) == {"done"}, 240, hospital.told)
        assert holders(folder, MARK, study), "the search finds what is there"
        delivered = sorted(share.rglob("*.dcm"))
        assert all(dcmread(path).PatientID == f"{MARK}P" for path in delivered)
        said = hospital.say("forget", "--study", study, "--json")
        (removed,) = json.loads(said)["removed"]
        assert removed["is_clean"]
        assert hospital.say("forget", "verify", removed["certificate"]).endswith(
            "nothing is left\n"
        )
        # Other systems' copies are theirs to remove.
        assert delivered == sorted(share.rglob("*.dcm")) != []
    shutil.rmtree(tmp_path / "sent")
    assert not holders(folder, MARK, "")


def marked(study: Path, folder: Path) -> list[Path]:
    """Copy a study so that its patient is marked."""
    folder.mkdir()
    for path in sorted(study.glob("*.dcm")):
        instance = dcmread(path)
        instance.PatientName, instance.PatientID = f"{MARK}^N", f"{MARK}P"
        instance.AccessionNumber = f"{MARK}A"
        instance.save_as(folder / path.name)
    return sorted(folder.iterdir())


def send(paths: list[Path], port: int) -> str:
    """Send a study by C-STORE; return its UID."""
    ae = AE(ae_title="MODALITY")
    ae.add_requested_context(MRImageStorage)
    association = ae.associate("127.0.0.1", port, ae_title="VESALIUS")
    assert association.is_established
    instances = [dcmread(path) for path in paths]
    assert {association.send_c_store(instance).Status for instance in instances} == {0}
    association.release()
    return str(instances[0].StudyInstanceUID)


def holders(folder: Path, *words: str) -> list[Path]:
    """Return the files whose content or name has one of some words."""
    wanted = [word for word in words if word]
    return [
        path
        for path in folder.rglob("*")
        if any(word in str(path.relative_to(folder)) for word in wanted)
        or (path.is_file() and any(word.encode() in path.read_bytes() for word in wanted))
    ]
