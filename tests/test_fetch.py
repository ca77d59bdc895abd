"""Studies are fetched into the inbox once, one that fails keeps no other back, priors are found."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from pipeline.analysis import Kind, Priors, priors_of
from pipeline.config import Configuration
from pipeline.connections import Node, ReceiveSettings
from pipeline.errors import LedgerUnavailable, UnusableCall
from pipeline.fetch import Source, fetch, fetch_study, look
from pipeline.fetchinbox import open_inbox
from pipeline.gateways.found import Query
from pipeline.gateways.query import listing
from pipeline.priors import priors
from tests.support.archives import Shelf, write_named
from tests.support.dimsepeers import node_at, served
from tests.support.orthanc import Orthanc, needs_orthanc

SETTINGS = Configuration(receive=ReceiveSettings(ae_title="US", free_mib=1))


@pytest.fixture(scope="module")
def archive(sound_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Return an archive with a perfusion series and studies of two patients over time."""
    folder = tmp_path_factory.mktemp("archive")
    with Orthanc(folder / "orthanc", aet="PEER") as orthanc:
        orthanc.upload(*sorted(sound_study.iterdir()))
        for number in range(6):
            day = date(2026, 1, 1) + timedelta(days=10 * number)
            orthanc.upload(study_on(folder, number, day, "P*1" if number == 5 else "P1"))
        orthanc.upload(study_on(folder, 6, date(2026, 1, 1), "P12"))
        orthanc.upload(study_on(folder, 7, date(2026, 2, 10), "P1", StudyTime="110000"))
        orthanc.upload(study_on(folder, 8, date(2026, 1, 1), "P1", Modality="CT"))
        yield orthanc


def study_on(folder: Path, number: int, day: date, patient: str, **changes: Any) -> Path:
    """Write a study of a day."""
    path, _ = write_named(
        folder,
        "latin",
        **{
            "SOPInstanceUID": f"1.2.3.{number}",
            "StudyInstanceUID": f"1.2.1.{number}",
            "SeriesInstanceUID": f"1.2.2.{number}",
            "StudyDate": f"{day:%Y%m%d}",
            "PatientID": patient,
            "StudyDescription": "follow-up",
            **changes,
        },
    )
    return path


def source(archive: Orthanc, by: str | None = "get", **changes: Any) -> Source:
    """Return the archive as a source."""
    node = Node(ae_title="PEER", host="127.0.0.1", port=archive.port, url=archive.url, timeout_s=20)
    return Source(**{"name": "pacs", "node": node, "settings": SETTINGS, "by": by, **changes})


def perfusion(archive: Orthanc) -> str:
    """Return the study of the perfusion series."""
    found = archive.rest("/studies?expand")
    uids = [one["MainDicomTags"]["StudyInstanceUID"] for one in found]
    return str(next(uid for uid in uids if uid.startswith("2.25")))


@needs_orthanc
@pytest.mark.parametrize("by", ["get", "wado", None])
def test_a_study_comes_into_the_inbox_once(
    archive: Orthanc, sound_study: Path, tmp_path: Path, by: str | None
) -> None:
    number, uid = len(list(sound_study.iterdir())), perfusion(archive)
    with open_inbox(SETTINGS, str(tmp_path / "ledger.db"), tmp_path / "inbox") as inbox:
        assert look(source(archive, by), uid, inbox).there == 0
        (first,) = fetch(source(archive, by), Query(study=uid), inbox)
        assert (first.instances, first.there, first.fetched) == (number, 0, number)
        assert first.failure is None
        (again,) = fetch(source(archive, by), Query(study=uid), inbox)
        assert (again.instances, again.there, again.fetched) == (number, number, 0)
    assert len(list((tmp_path / "inbox" / "studies").rglob("*.dcm"))) == number


@needs_orthanc
@pytest.mark.parametrize("by", ["get", "wado"])
def test_a_fetch_that_was_broken_off_goes_on(archive: Orthanc, by: str) -> None:
    came = 0

    def breaks() -> None:
        nonlocal came
        came += 1
        if came > 10:
            raise LedgerUnavailable("away")

    uid, shelf = perfusion(archive), Shelf(before=breaks)
    with pytest.raises(LedgerUnavailable):
        fetch_study(source(archive, by), uid, shelf)
    assert len(shelf.kept) == 10
    shelf.before = lambda: None
    result = fetch_study(source(archive, by), uid, shelf)
    assert (result.there, result.failure) == (10, None)
    assert result.fetched == result.instances - 10 == len(shelf.kept) - 10
    assert shelf.senders == {"fetch pacs"}


@needs_orthanc
@pytest.mark.parametrize("by", ["get", "wado"])
def test_an_instance_that_is_not_taken_keeps_no_other_back(archive: Orthanc, by: str) -> None:
    uid = perfusion(archive)
    listed = listing(source(archive).node, uid, SETTINGS)
    shelf = Shelf(refuses={str(listed[3].sop_instance_uid)})
    result = fetch_study(source(archive, by), uid, shelf)
    assert result.fetched == result.instances - 1
    assert result.failure == "1 instances cannot be kept"


@needs_orthanc
def test_a_study_that_is_not_there_is_told(archive: Orthanc) -> None:
    assert fetch_study(source(archive), "1.9.9", Shelf()).failure == "the archive does not have it"
    assert fetch(source(archive), Query(study="1.9.9"), Shelf()) == []


def test_a_study_that_fails_keeps_no_other_back() -> None:
    def find(event: evt.Event) -> Iterator[Any]:
        answer = event.identifier
        for number in "123" if answer.QueryRetrieveLevel == "STUDY" else "1":
            if answer.QueryRetrieveLevel == "STUDY":
                answer.StudyInstanceUID = f"1.2.{number}"
                answer.StudyDate = "20260101"
            answer.SeriesInstanceUID = f"{answer.StudyInstanceUID}.1"
            answer.SOPInstanceUID = f"{answer.StudyInstanceUID}.1.1"
            yield 0xFF00, answer
        yield 0, None

    def refuse(_: evt.Event) -> Iterator[Any]:
        yield 1
        yield 0xA702, None

    models = [StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet]
    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, refuse)]
    with served(models, handlers) as port:
        node = Source(name="x", node=node_at(port), settings=SETTINGS)
        results = fetch(node, Query(dates="20260101"), Shelf())
    assert [one.study_instance_uid for one in results] == ["1.2.1", "1.2.2", "1.2.3"]
    assert all("A702" in str(one.failure) for one in results)


@needs_orthanc
def test_priors_are_earlier_studies_of_the_same_patient(archive: Orthanc) -> None:
    def found(study: str, **wanted: Any) -> list[str]:
        uids = priors(source(archive), f"1.2.1.{study}", Priors(**wanted))
        return [one.study_instance_uid.rpartition(".")[2] for one in uids]

    assert found("4") == ["7"]
    assert found("4", number=3) == ["7", "3", "2"]
    assert found("4", number=9, within_days=25) == ["7", "3", "2"]
    assert found("4", number=9, modality="CT") == ["8"]
    assert found("0", number=9) == []
    assert found("6", number=9) == []
    assert found("5", number=9) == []
    assert found("99") == []


def test_everything_is_not_fetched() -> None:
    node = Source(name="x", node=node_at(1), settings=SETTINGS)
    with pytest.raises(UnusableCall, match="too much"):
        fetch(node, Query(modality="MR"), Shelf())


def test_a_way_that_a_node_does_not_have() -> None:
    with pytest.raises(UnusableCall, match="has no url"):
        Source(name="x", node=node_at(1), settings=SETTINGS, by="wado")
    with pytest.raises(UnusableCall, match="possible is"):
        Source(name="x", node=node_at(1), settings=SETTINGS, by="ftp")


def test_an_analysis_says_whether_it_wants_priors() -> None:
    class Comparing:
        name, bundle_key = "comparing", "x"
        priors = Priors(number=2)

    class Alone:
        name, bundle_key = "alone", "x"

    wanting, not_wanting = (kind for kind in (Comparing, Alone))
    assert priors_of(as_kind(wanting)) == Priors(number=2)
    assert priors_of(as_kind(not_wanting)) is None


def as_kind(kind: Any) -> Kind:
    """Return a class as a kind of analysis."""
    return kind  # type: ignore[no-any-return]
