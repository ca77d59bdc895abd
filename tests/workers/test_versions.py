"""Versions through the whole service: studies are stored while roles change, nothing restarts."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import MRImageStorage
from pynetdicom import AE
from sqlalchemy import select

from pipeline.admit import admit
from pipeline.ingest.inventory import take_inventory
from pipeline.inservice import place_of
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import Job
from pipeline.ledger.versions import Versions
from pipeline.registry.store import Registry
from tests.support.hospital import Hospital
from tests.support.service import wait_until
from tests.support.versions import version_of

ACTOR = "anna@ward"

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]


class Ward:
    """A service that receives, with versions of its bundle."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder, self.models = folder, models
        share = '[destinations.share]\nby = "folder"\nalways = true\n'
        share += f'folder = "{folder / "share"}"\n'
        settings = f"{share}[perfusion]\nuncertainty_stride = 8\n[compare]\nleast_studies = 1\n"
        self.hospital = Hospital(
            folder / "vesalius", settings, receive='callers = ["*"]', models=models
        )

    def change(self, change: Callable[[Versions], object]) -> None:
        """Change what versions do, beside the service."""
        with Ledger.open(str(self.hospital.ledger)) as ledger:
            change(Versions(ledger))

    def version(self, label: str) -> str:
        """Import and enable a version; return its digest."""
        bundle = version_of(self.models, self.folder / label, label)
        registry = Registry(root=self.hospital.ledger.parent / "registry")
        with Ledger.open(str(self.hospital.ledger)) as ledger:
            found = admit(bundle.folder, registry, ledger, ACTOR)
            return Versions(ledger).enable(found.digest, ACTOR).digest

    def store(self, study: Path, number: int) -> str:
        """C-STORE a copy of a study under UIDs of its own, and return its UID."""
        uid = f"2.25.77{number}"
        entity = AE(ae_title="MODALITY")
        entity.add_requested_context(MRImageStorage)
        association = entity.associate("127.0.0.1", self.hospital.port, ae_title="VESALIUS")
        assert association.is_established
        for path in sorted(path for path in study.rglob("*") if path.is_file()):
            instance = pydicom.dcmread(path)
            instance.StudyInstanceUID, instance.SeriesInstanceUID = uid, f"{uid}.1"
            instance.SOPInstanceUID = f"{instance.SOPInstanceUID}.{number}"
            instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
            assert association.send_c_store(instance).Status == 0
        association.release()
        return uid

    def jobs(self) -> list[tuple[str, str, str, str]]:
        """Return role, version, state and id of each job, in the order they were made."""
        with Ledger.open(str(self.hospital.ledger)) as ledger, ledger.reading() as session:
            rows = session.scalars(select(Job).order_by(Job.created_at, Job.role))
            return [(j.role, j.bundle_version, j.state, str(j.id)) for j in rows]

    def wait_for(self, count: int) -> list[tuple[str, str]]:
        """Wait until so many jobs are done, and return role and version of all."""

        def done() -> bool:
            return [state for _, _, state, _ in self.jobs()] == ["done"] * count

        wait_until(done, 120, lambda: f"{self.jobs()}\n{self.hospital.told()}")
        return [(role, version) for role, version, _, _ in self.jobs()]

    def delivered(self) -> set[str]:
        """Return the jobs that are delivered or on their way."""
        return {key.split()[-1] for key in self.hospital.deliveries()}


def test_shadow_live_and_canary_change_while_the_service_runs(
    tmp_path: Path, sound_study: Path, tiny_bundle: Path
) -> None:
    models = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    ward = Ward(tmp_path, models)
    with ward.hospital:
        first = ward.version("1.0.0")
        ward.change(lambda versions: versions.shadow(first, ACTOR))
        ward.store(sound_study, 1)
        assert ward.wait_for(2) == [("live", "0.0.1"), ("shadow", "1.0.0")]

        compared = ward.hospital.say(
            *("compare", "perfusion@live", "perfusion@1.0.0", "--shadow"),
            *("--output", str(tmp_path / "compared")),
        )
        assert "within the limits" in compared
        verdict = tmp_path / "compared" / "verdict.json"
        assert json.loads(verdict.read_text())["second"]["digest"] == first

        ward.hospital.say("models", "promote", first, "--evidence", str(verdict))
        ward.store(sound_study, 2)
        assert ward.wait_for(3)[2:] == [("live", "1.0.0")]

        second = ward.version("2.0.0")
        ward.change(lambda versions: versions.canary(second, 0.5, ACTOR))
        numbers = {place(f"2.25.77{n}", second, sound_study) < 0.5: n for n in range(3, 30)}
        ward.store(sound_study, numbers[True])
        assert ward.wait_for(4)[3:] == [("canary", "2.0.0")]
        ward.store(sound_study, numbers[False])
        assert ward.wait_for(5)[4:] == [("live", "1.0.0")]

        ward.change(lambda versions: versions.rollback("perfusion", ACTOR))
        ward.change(lambda versions: versions.enable(second, ACTOR))
        ward.store(sound_study, 40)
        assert ward.wait_for(6)[5:] == [("live", "0.0.1")]
        counted = {job for role, _, _, job in ward.jobs() if role != "shadow"}
        wait_until(lambda: ward.delivered() == counted, 60, ward.hospital.told)


def place(study_instance_uid: str, digest: str, study: Path) -> float:
    """Return where a study lies for a version."""
    (candidate,) = take_inventory([study]).candidates
    return place_of(replace(candidate, study_instance_uid=study_instance_uid), digest)
