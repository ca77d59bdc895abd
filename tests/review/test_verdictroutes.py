"""Verdicts, corrections, statistics and exports over HTTP."""

import io
import json
import zipfile
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pydicom
import pytest

from pipeline.imaging.nifti import read_labels
from pipeline.ledger.audit import Sought, entries
from pipeline.ledger.pastjobs import past_job
from pipeline.review.corrections import MOST_BYTES
from tests.review.test_corrections import body, grown, segmentation_of
from tests.support.readings import Readings
from tests.support.reviewserver import Served


@pytest.fixture
def labels(served: Served, job: UUID, tmp_path: Path) -> bytes:
    """Return the segmentation of the result, one pixel wider."""
    segmentation = segmentation_of(Readings(served.site.ledger, job))
    return body(segmentation.with_array(grown(segmentation.array)), tmp_path)


def test_a_reader_corrects_and_accepts_and_another_comes_too_late(
    served: Served, job: UUID, labels: bytes
) -> None:
    rita, rolf = served.person("rita"), served.person("rolf")
    kept = rita.post(f"/api/jobs/{job}/corrections/segmentation", data=labels)
    assert kept.status_code == 201
    by_name = {m["name"]: m for m in kept.json()["measurements"]}
    assert by_name["myocardium_area_mm2"]["unit"] == "mm²"
    said = {"verdict": "accepted", "correction": kept.json()["correction"], "words": "apex"}
    answer = rita.post(f"/api/jobs/{job}/verdicts", json=said)
    assert answer.status_code == 201
    reading = answer.json()
    assert (reading["reviewer"], reading["review"]) == ("Rita", "edited")
    successor = past_job(served.site.ledger, UUID(reading["successor_job_id"]))
    assert successor.record.folder is not None
    report = pydicom.dcmread(successor.record.folder / "report.dcm")
    assert str(report.VerifyingObserverSequence[0].VerifyingObserverName) == "Rita"
    late = rolf.post(f"/api/jobs/{job}/verdicts", json={"verdict": "rejected", "reason": "motion"})
    assert (late.status_code, late.json()) == (409, {"detail": "the review has ended: edited"})
    assert rita.post(f"/api/jobs/{job}/corrections/segmentation", data=labels).status_code == 409
    (event,) = entries(served.site.ledger, Sought(action="verdict"))
    assert (event.audited.actor, event.audited.role) == ("rita", "reviewer")
    assert event.audited.address == "127.0.0.1"


def test_the_same_request_again_gets_the_same_answer(served: Served, job: UUID) -> None:
    rita = served.person("rita")
    answers = [
        rita.post(f"/api/jobs/{job}/verdicts", json={"verdict": "accepted"}) for _ in range(2)
    ]
    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"verdict": "maybe"}, 422),
        ({}, 422),
        ({"verdict": "rejected"}, 409),
        ({"verdict": "accepted", "words": "x" * 2001}, 422),
        ({"verdict": "accepted", "correction": str(uuid4())}, 404),
    ],
)
def test_a_verdict_that_cannot_be_is_refused(
    said: dict[str, str], status: int, served: Served, job: UUID
) -> None:
    answer = served.person("rita").post(f"/api/jobs/{job}/verdicts", json=said)
    assert answer.status_code == status
    assert set(answer.json()) == {"detail"}


def test_a_job_that_is_not_there_is_not_judged(served: Served) -> None:
    rita = served.person("rita")
    answer = rita.post(f"/api/jobs/{uuid4()}/verdicts", json={"verdict": "accepted"})
    assert answer.status_code == 404
    for kind, given in (("members", {"0": "member_1"}), ("phases", {"segments": []})):
        answer = rita.post(f"/api/jobs/{uuid4()}/corrections/{kind}", json=given)
        assert answer.status_code in (404, 422)


def test_a_body_that_is_too_long_is_refused_before_it_is_kept(served: Served, job: UUID) -> None:
    rita = served.person("rita")
    answer = rita.post(f"/api/jobs/{job}/corrections/segmentation", data=bytes(MOST_BYTES + 1))
    assert answer.status_code == 413


def test_corrections_of_another_kind_of_result_are_refused(served: Served, job: UUID) -> None:
    segment = {"start_s": 0.0, "end_s": 1.0, "phase": "preparation"}
    answer = served.person("rita").post(
        f"/api/jobs/{job}/corrections/phases", json={"segments": [segment]}
    )
    assert answer.status_code == 409
    assert "has no phases" in answer.json()["detail"]


def test_another_member_is_chosen_by_its_slice(served: Served, job: UUID) -> None:
    rita = served.person("rita")
    outcome = past_job(served.site.ledger, job).record.outcome or {}
    (scored,) = outcome["uncertainty"]  # type: ignore[misc]
    other = next(
        score["member"]
        for score in scored["members"]
        if score["member"] != scored["chosen_member"] and score["implausible"] is None
    )
    answer = rita.post(f"/api/jobs/{job}/corrections/members", json={"0": other})
    assert answer.status_code == 201, answer.text
    u_pp = next(s["u_pp"] for s in scored["members"] if s["member"] == other)
    found = {m["name"]: m["value"] for m in answer.json()["measurements"]}
    assert found["u_pp"] == pytest.approx(u_pp)


def test_insertions_are_kept_and_their_segments_told(served: Served, job: UUID) -> None:
    rita = served.person("rita")
    before = rita.get(f"/api/jobs/{job}").json()["perfusion"]
    (found,) = before["slices"]
    points = found["insertions"]
    # The septum on the other side: each segment has the numbers of another one.
    swapped = {"anterior": points["inferior"], "inferior": points["anterior"]}
    answer = rita.post(f"/api/jobs/{job}/corrections/insertions", json={"0": swapped})
    assert answer.status_code == 201, answer.text
    segments = answer.json()["segments"]
    own, now = (
        {each["id"]: each["value"] for each in eye["segments"]}
        for eye in (before["bullseye"], segments["bullseye"])
    )
    assert {id_ for id_ in own if own[id_] is not None} == {
        id_ for id_ in now if now[id_] is not None
    }
    assert now != own
    assert segments["notes"] is not None
    kept = rita.get(f"/api/jobs/{job}/corrections/{answer.json()['correction']}").json()
    assert kept["0"]["anterior_lps_mm"] == points["inferior"]
    far = {**points, "anterior": [900.0, 0.0, 0.0]}
    refused = rita.post(f"/api/jobs/{job}/corrections/insertions", json={"0": far})
    assert refused.status_code == 409
    assert "mm from the heart" in refused.json()["detail"]


def test_reasons_are_told_with_their_analyses(served: Served) -> None:
    reasons = served.person("vera").get("/api/reasons").json()
    assert {"code": "motion", "label": "Motion or breathing spoils the series"}.items() <= {
        **next(r for r in reasons if r["code"] == "motion")
    }.items()
    assert len({r["code"] for r in reasons}) == len(reasons)


def test_statistics_are_told_to_whoever_may_see(served: Served, job: UUID) -> None:
    vera = served.person("vera")
    assert vera.get("/api/statistics").json()["by_version"] == []
    served.person("rita").post(f"/api/jobs/{job}/verdicts", json={"verdict": "accepted"})
    found = vera.get("/api/statistics?analysis=perfusion").json()
    (row,) = found["by_version"]
    assert (row["readings"], row["accepted"]) == (1, 1)
    assert found["calibration"][0]["readings"] == 1
    assert found["release"][0]["risk_upper"] > 0.9
    assert vera.get("/api/statistics?analysis=phases").json()["by_version"] == []


def test_an_administrator_gets_a_training_set(served: Served, job: UUID) -> None:
    served.person("rita").post(f"/api/jobs/{job}/verdicts", json={"verdict": "accepted"})
    answer = served.person("adam").post("/api/exports", json={"deidentified": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        document = json.loads(packed.read("training-set/dataset.json"))
        names = set(packed.namelist())
    (case,) = document["cases"]
    assert {f"training-set/{case[k]['path']}" for k in ("image", "label")} <= names
    (event,) = entries(served.site.ledger, Sought(action="export"))
    assert event.audited.actor == "adam"


def test_a_second_reader_sees_nothing_of_the_first_until_both_have_judged(
    served_twice: Served, job: UUID, tmp_path: Path
) -> None:
    rita, rolf, adam = (served_twice.person(name) for name in ("rita", "rolf", "adam"))
    segmentation = segmentation_of(Readings(served_twice.site.ledger, job))
    content = body(segmentation.with_array(grown(segmentation.array)), tmp_path)
    kept = rita.post(f"/api/jobs/{job}/corrections/segmentation", data=content).json()
    said = {"verdict": "accepted", "correction": kept["correction"]}
    assert rita.post(f"/api/jobs/{job}/verdicts", json=said).json()["review"] == "open"
    assert rolf.get(f"/api/jobs/{job}").json()["readings"] == []
    assert len(rita.get(f"/api/jobs/{job}").json()["readings"]) == 1
    other = {"verdict": "rejected", "reason": "motion"}
    assert rolf.post(f"/api/jobs/{job}/verdicts", json=other).json()["review"] == "disagreement"
    shown = adam.get(f"/api/jobs/{job}").json()
    assert shown["review"] == "disagreement"
    first, second = shown["readings"]
    assert (first["correction"], second["correction"]) == (kept["correction"], None)
    labels = rolf.get(f"/api/jobs/{job}/corrections/{kept['correction']}")
    assert labels.headers["content-type"] == "application/gzip"
    (tmp_path / "kept.nii.gz").write_bytes(labels.content)
    np.testing.assert_array_equal(read_labels(tmp_path / "kept.nii.gz"), grown(segmentation.array))
    assert rolf.get(f"/api/jobs/{job}/corrections/{uuid4()}").status_code == 404
    decided = adam.post(f"/api/jobs/{job}/verdicts", json=said).json()
    assert decided["review"] == "edited"
