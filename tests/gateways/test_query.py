"""What an archive has is found the same by C-FIND and by QIDO-RS, and counted as others count."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.gateways.found import Level, Query
from pipeline.gateways.query import counts, listing, query
from tests.support.archives import NAMES, write_named
from tests.support.dimsepeers import node_at, served
from tests.support.orthanc import Orthanc, needs_orthanc

SETTINGS = Configuration()
FIND = StudyRootQueryRetrieveInformationModelFind


@pytest.fixture(scope="module")
def archive(sound_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Return an archive with a perfusion series and three small studies."""
    folder = tmp_path_factory.mktemp("archive")
    with Orthanc(folder / "orthanc", aet="PEER") as orthanc:
        orthanc.upload(*sorted(sound_study.iterdir()))
        orthanc.upload(*(write_named(folder / "named", name)[0] for name in NAMES))
        yield orthanc


@pytest.fixture(params=["c-find", "qido"])
def node(archive: Orthanc, request: pytest.FixtureRequest) -> Node:
    """Return the archive, reached in one way or the other."""
    if request.param == "qido":
        return Node(url=archive.url, timeout_s=10)
    return node_at(archive.port)


@needs_orthanc
def test_both_ways_find_the_same(archive: Orthanc) -> None:
    by_dimse, by_web = (
        {one.study_instance_uid: one for one in query(node, Query(), SETTINGS)}
        for node in (node_at(archive.port), Node(url=archive.url))
    )
    assert len(by_dimse) == 4
    assert by_dimse == by_web


@needs_orthanc
@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"accession": "A2"}, {"A2"}),
        ({"patient": "named-3"}, {"A3"}),
        ({"dates": "20260102"}, {"A2"}),
        ({"dates": "20260102-20260131"}, {"A2", "A3"}),
        ({"dates": "-20260102"}, {"A1", "A2"}),
        ({"dates": "20260101-", "description": "Heart ?"}, {"A1", "A2", "A3"}),
        ({"description": "*2"}, {"A2"}),
        ({"modality": "CT"}, set()),
        ({"modality": "MR", "dates": "20260103"}, {"A3"}),
        ({"study": "2.25.20001"}, {"A1"}),
    ],
)
def test_studies_are_found_by_each_key(node: Node, keys: dict[str, str], found: set[str]) -> None:
    answers = query(node, Query(**keys), SETTINGS)
    assert {one.accession for one in answers} == found
    assert "named" not in repr(answers)
    assert "A1" not in repr(answers)


@needs_orthanc
def test_counts_are_those_of_findscu(node: Node, archive: Orthanc, sound_study: Path) -> None:
    uid = max(query(node, Query(), SETTINGS), key=lambda one: one.instances or 0).study_instance_uid
    told = counts(node, uid, SETTINGS)
    lines = subprocess.run(
        [
            *("findscu", "-S", "-aec", "PEER", "127.0.0.1", str(archive.port)),
            *("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}"),
            *("-k", "NumberOfStudyRelatedInstances"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = (
        line
        for line in (lines.stdout + lines.stderr).splitlines()
        if "NumberOfStudyRelatedInstances" in line and "[" in line
    )
    number = int(line.partition("[")[2].partition("]")[0])
    assert told.study == number == len(list(sound_study.iterdir()))
    assert list(told.series.values()) == [number]
    listed = listing(node, uid, SETTINGS)
    assert len(listed) == number
    assert {one.series_instance_uid for one in listed} == set(told.series)


@needs_orthanc
def test_levels_and_limits(node: Node) -> None:
    assert len(query(node, Query(limit=2), SETTINGS)) == 2
    series = query(node, Query(level=Level.SERIES, description="First-pass*"), SETTINGS)
    assert [one.modalities for one in series] in ([], [("MR",)])
    assert len(query(node, Query(level=Level.IMAGE, limit=3), SETTINGS)) == 3
    assert counts(node, "2.25.9", SETTINGS).study is None


def answering(*answers: Dataset, last: int = 0) -> list[Any]:
    """Return a handler that gives these answers, whatever is asked for."""

    def handle(_: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for answer in answers:
            yield 0xFF00, answer
        yield last, None

    return [(evt.EVT_C_FIND, handle)]


def a_study(number: int, **values: Any) -> Dataset:
    """Return an answer about a study."""
    answer = Dataset()
    answer.StudyInstanceUID = f"2.25.{number}"
    for keyword, value in values.items():
        setattr(answer, keyword, value)
    return answer


def test_answers_that_do_not_fit_are_left_out() -> None:
    answers = [
        a_study(1, PatientID="one", AccessionNumber="A"),
        a_study(2, PatientID="two", AccessionNumber="B"),
        a_study(3, AccessionNumber="A"),
        a_study(1, PatientID="one", AccessionNumber="A"),
    ]
    with served([FIND], answering(*answers)) as port:
        found = query(node_at(port), Query(patient="one"), SETTINGS)
        assert [one.study_instance_uid for one in found] == ["2.25.1"]
        found = query(node_at(port), Query(accession="A"), SETTINGS)
        assert [one.study_instance_uid for one in found] == ["2.25.1", "2.25.3"]


def test_an_archive_that_does_not_count_is_counted() -> None:
    def handle(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        level = event.identifier.QueryRetrieveLevel
        answer = a_study(1)
        for number in range(2) if level == "SERIES" else range(1):
            answer.SeriesInstanceUID = event.identifier.get("SeriesInstanceUID") or f"3.{number}"
            for instance in range(3 if level == "IMAGE" else 1):
                answer.SOPInstanceUID = f"{answer.SeriesInstanceUID}.{instance}"
                yield 0xFF00, answer
        yield 0, None

    with served([FIND], [(evt.EVT_C_FIND, handle)]) as port:
        told = counts(node_at(port), "2.25.1", SETTINGS)
    assert told.study == 6
    assert told.series == {"3.0": 3, "3.1": 3}


@pytest.mark.parametrize(
    ("status", "failure"), [(0xA700, PeerUnavailable), (0xA900, PeerRefused), (0xC001, PeerRefused)]
)
def test_a_query_that_fails_is_told_by_its_status(status: int, failure: type[Exception]) -> None:
    with (
        served([FIND], answering(last=status)) as port,
        pytest.raises(failure, match=f"C-FIND was answered {status:04X}"),
    ):
        query(node_at(port), Query(patient="secret"), SETTINGS)


@pytest.mark.parametrize(
    "keys",
    [{"dates": "2026"}, {"patient": " "}, {"accession": "a\\b"}, {"study": "../x"}],
)
def test_keys_that_match_nothing_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(UnusableCall):
        Query(**keys)
