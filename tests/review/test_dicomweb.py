"""DICOMweb of our own objects, by a client of others."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom.uid import (
    MRImageStorage,
    ParametricMapStorage,
    RLELossless,
    SegmentationStorage,
)

from pipeline.ledger.audit import Sought, entries
from pipeline.review.frames import frames_of
from tests.support.reviewserver import Served


@pytest.fixture
def client(served: Served) -> Iterator[DICOMwebClient]:
    """Return a client that is signed in."""
    session = create_session()
    session.trust_env = False
    session.cookies.update(served.person("vera").cookies)
    yield DICOMwebClient(f"{served.url}dicomweb", session=session)
    session.close()


def study_of(client: DICOMwebClient) -> str:
    """Return the study that is held."""
    (study,) = client.search_for_studies()
    return str(study["0020000D"]["Value"][0])


def instances(client: DICOMwebClient, sop_class: str) -> list[tuple[str, str, str]]:
    """Return study, series and instance of the objects of a class."""
    return [
        tuple(each[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        for each in client.search_for_instances(study_of(client))
        if each["00080016"]["Value"] == [sop_class]
    ]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 1),
        ({"PatientName": "PHANTOM^Perf*"}, 1),
        ({"PatientName": "phantom"}, 0),
        ({"PatientName": "[a-z]*"}, 0),
        ({"StudyDate": "20260302"}, 1),
        ({"StudyDate": "20260101-20260301"}, 0),
        ({"StudyDate": "20260101-"}, 1),
        ({"StudyDate": "-20260101"}, 0),
        ({"PatientID": "someone else"}, 0),
        ({"AccessionNumber": "1"}, 0),
        ({"StudyInstanceUID": "1.2.3"}, 0),
    ],
)
def test_studies_are_found(client: DICOMwebClient, filters: dict[str, str], count: int) -> None:
    assert len(client.search_for_studies(search_filters=filters)) == count


def test_series_and_instances_are_inputs_and_results(client: DICOMwebClient, study: Path) -> None:
    uid = study_of(client)
    series = client.search_for_series(uid)
    assert {each["00080060"]["Value"][0] for each in series} >= {"MR", "SEG", "SR"}
    inputs = instances(client, MRImageStorage)
    assert len(inputs) == len(list(study.iterdir()))
    assert len(client.search_for_instances(uid, inputs[0][1])) == len(inputs)


def test_objects_come_as_they_lie_in_their_files(client: DICOMwebClient, served: Served) -> None:
    (place,) = instances(client, SegmentationStorage)
    found = client.retrieve_instance(*place)
    (own,) = served.site.dicom.instances(*place)
    assert found == pydicom.dcmread(own.path)
    assert len(client.retrieve_series(*place[:2])) == 1
    whole = client.retrieve_study(place[0])
    assert len(whole) == len(client.search_for_instances(place[0]))


def test_metadata_has_all_but_the_pixels(client: DICOMwebClient) -> None:
    place = instances(client, MRImageStorage)[0]
    told = pydicom.Dataset.from_json(client.retrieve_instance_metadata(*place))
    assert told.PatientName == "Phantom^Perfusion"
    assert told.ImagePositionPatient
    assert "PixelData" not in told
    assert len(client.retrieve_series_metadata(*place[:2])) > 1
    assert len(client.retrieve_study_metadata(place[0])) > 1


@pytest.mark.parametrize("sop_class", [MRImageStorage, SegmentationStorage, ParametricMapStorage])
def test_frames_are_those_of_the_pixel_data(client: DICOMwebClient, sop_class: str) -> None:
    place = instances(client, sop_class)[0]
    whole = client.retrieve_instance(*place)
    n_frames = int(whole.get("NumberOfFrames") or 1)
    (content,) = client.retrieve_instance_frames(*place, frame_numbers=[n_frames])
    pixels = whole.get("PixelData") or whole.get("FloatPixelData")
    bits = whole.Rows * whole.Columns * whole.BitsAllocated
    assert content == pixels[(n_frames - 1) * bits // 8 : n_frames * bits // 8]


def test_frames_of_one_bit_that_end_within_a_byte_are_cut_there(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm"))
    frames = np.random.default_rng(1).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    dataset.save_as(tmp_path / "bits.dcm")
    for number in (1, 2, 3):
        _, (content,) = frames_of(tmp_path / "bits.dcm", [number])
        bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
        assert (bits[:35].reshape(5, 7) == frames[number - 1]).all()


def test_compressed_frames_stay_compressed(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm"))
    size = len(dataset.PixelData)
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "rle.dcm")
    kind, (content,) = frames_of(tmp_path / "rle.dcm", [1])
    assert kind == f"image/dicom-rle; transfer-syntax={RLELossless}"
    assert len(content) < size


@pytest.mark.parametrize("frame", ["0", "2", "a", "1,,2", "99999999"])
def test_frames_that_are_not_there_are_refused(
    client: DICOMwebClient, served: Served, frame: str
) -> None:
    study, series, uid = instances(client, MRImageStorage)[0]
    path = f"/dicomweb/studies/{study}/series/{series}/instances/{uid}/frames/{frame}"
    assert served.person("vera").get(path).status_code in (400, 422)


def test_one_instance_comes_alone_if_asked_so(client: DICOMwebClient, served: Served) -> None:
    study, series, uid = instances(client, SegmentationStorage)[0]
    path = f"/dicomweb/studies/{study}/series/{series}/instances/{uid}"
    answer = served.person("vera").get(path, headers={"Accept": "application/dicom"})
    assert answer.headers["Content-Type"] == "application/dicom"
    assert pydicom.dcmread(BytesIO(answer.content)).SOPInstanceUID == uid


def test_a_look_at_a_study_is_audited_once_a_session(
    client: DICOMwebClient, served: Served
) -> None:
    for place in instances(client, MRImageStorage)[:3]:
        client.retrieve_instance_frames(*place, frame_numbers=[1])
    (look,) = entries(served.site.ledger, Sought(action="study retrieved"))
    assert look.audited.subject == f"study {study_of(client)}"


def test_what_is_not_of_the_study_is_not_found(client: DICOMwebClient, served: Served) -> None:
    study, series, uid = instances(client, MRImageStorage)[0]
    vera = served.person("vera")
    for path in (
        f"studies/1.2.3/series/{series}/instances/{uid}",
        f"studies/{study}/series/1.2.3/instances/{uid}",
        f"studies/{study}/series/{series}/instances/1.2.3",
    ):
        assert vera.get(f"/dicomweb/{path}/metadata").status_code == 404
