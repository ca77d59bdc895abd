"""One result: what the page is told, and the files that it may have."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import av
import nibabel
import numpy as np
import pytest

from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES
from pipeline.config import Configuration
from pipeline.imaging.nifti import read_time_series
from pipeline.imaging.timedframe import TimedFrame
from pipeline.imaging.volume import TimeSeries
from pipeline.ledger.audit import Sought, entries
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviewlist import result_job
from pipeline.ledger.tables import Job
from pipeline.review.cache import Cache
from pipeline.review.video import encode
from pipeline.reviewsettings import ReviewSettings
from tests.review.test_worklist import add_job
from tests.support.readings import phases_job
from tests.support.reviewserver import Served, serving
from tests.support.videos import write_dicom_video


def test_a_result_has_all_that_is_needed_to_judge_it(
    served: Served, job: UUID, phantom_image: TimeSeries
) -> None:
    found = served.person("rita").get(f"/api/jobs/{job}").json()
    assert found["patient"]["name"] == "Phantom, Perfusion"
    area = next(m for m in found["measurements"] if m["name"] == "myocardium_area_mm2")
    assert (area["label"], area["unit"], area["slice"]) == ("myocardium area", "mm²", 0)
    perfusion = found["perfusion"]
    assert len(perfusion["t_seconds"]) == phantom_image.n_beats
    assert perfusion["t_seconds"][1] == pytest.approx(phantom_image.times_s[1, 0], abs=1e-3)
    (only,) = perfusion["slices"]
    assert only["chosen"] in {member["name"] for member in only["members"]}
    assert found["may"] == {"judge": True, "edit": True, "why_not": None}
    assert (found["reconstruction"], found["phases"]) == (None, None)
    for url in (perfusion["segmentation"], perfusion["uncertainty"]):
        assert served.person("rita").get(url).status_code == 200


def test_a_viewer_is_told_that_judging_is_for_others(served: Served, job: UUID) -> None:
    may = served.person("vera").get(f"/api/jobs/{job}").json()["may"]
    assert (may["judge"], may["edit"]) == (False, False)
    assert "reviewer" in may["why_not"]


def test_a_view_is_in_the_log(served: Served, job: UUID) -> None:
    served.person("vera").get(f"/api/jobs/{job}")
    (view,) = entries(served.site.ledger, Sought(action="result viewed"))
    assert (view.audited.actor, view.audited.subject) == ("vera", f"job {job}")


def test_what_is_no_result_is_not_found(served: Served) -> None:
    vera = served.person("vera")
    assert vera.get(f"/api/jobs/{uuid4()}").status_code == 404
    assert vera.get("/api/jobs/none").status_code == 422
    assert served.site.ledger.find(uuid4()) is None
    assert entries(served.site.ledger, Sought(action="result viewed")) == ()


def test_the_source_lies_on_the_grid_of_the_segmentation(
    served: Served, job: UUID, phantom_image: TimeSeries, tmp_path: Path
) -> None:
    vera = served.person("vera")
    for name, url in (("source", "source.nii.gz"), ("labels", "files/segmentation.nii.gz")):
        content = vera.get(f"/api/jobs/{job}/{url}").content
        (tmp_path / f"{name}.nii.gz").write_bytes(content)
    source, labels = (nibabel.load(tmp_path / f"{n}.nii.gz") for n in ("source", "labels"))
    assert source.shape[:3] == labels.shape
    assert np.allclose(source.affine, labels.affine)
    found = read_time_series(tmp_path / "source.nii.gz")
    assert np.array_equal(found.array, phantom_image.array.round())


def test_the_source_is_made_once(served: Served, job: UUID) -> None:
    vera = served.person("vera")
    first = vera.get(f"/api/jobs/{job}/source.nii.gz").content
    inputs = result_job(served.site.ledger, job)
    assert inputs is not None
    (served.site.cache.root / "unrelated").mkdir()
    assert vera.get(f"/api/jobs/{job}/source.nii.gz").content == first
    assert len(list(served.site.cache.root.glob("*-source"))) == 1


@pytest.mark.parametrize(
    "path",
    [
        "../ledger.db",
        "../../ledger.db",
        "%2e%2e/%2e%2e/ledger.db",
        "..%2f..%2fledger.db",
        "figures/../../../ledger.db",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "",
        ".",
        "result.json",
        "report.dcm\x00.png",
    ],
)
def test_only_files_that_the_ledger_lists_are_served(served: Served, job: UUID, path: str) -> None:
    (served.site.cache.root.parent / "result.json").write_text("{}")
    vera = served.person("vera")
    answer = vera.get(f"/api/jobs/{job}/files/{path}")
    assert answer.status_code in (404, 422), answer.content[:80]


def test_a_listed_file_that_leads_elsewhere_is_not_served(
    served: Served, job: UUID, tmp_path: Path
) -> None:
    found = result_job(served.site.ledger, job)
    assert found is not None
    assert found.folder is not None
    (tmp_path / "secret").write_text("secret")
    report = found.folder / "report.dcm"
    report.unlink()
    report.symlink_to(tmp_path / "secret")
    assert served.person("vera").get(f"/api/jobs/{job}/files/report.dcm").status_code == 404


def test_a_file_runs_nothing_when_it_is_opened_by_itself(served: Served, job: UUID) -> None:
    answer = served.person("vera").get(f"/api/jobs/{job}/files/figures/curves.png")
    assert answer.headers["Content-Type"] == "image/png"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "script" not in answer.headers["Content-Security-Policy"]


def test_a_result_whose_input_is_gone_is_shown_without_it(served: Served, job: UUID) -> None:
    found = result_job(served.site.ledger, job)
    assert found is not None
    with served.site.ledger.transaction() as session:
        session.get_one(Job, job).input_root = "/nowhere"
    vera = served.person("vera")
    perfusion = vera.get(f"/api/jobs/{job}").json()["perfusion"]
    assert (perfusion["source"], perfusion["t_seconds"]) == (None, None)
    answer = vera.get(f"/api/jobs/{job}/source.nii.gz")
    assert (answer.status_code, "gone" in answer.json()["detail"]) == (404, True)


@pytest.fixture
def video_site(tmp_path: Path) -> Iterator[tuple[Served, UUID]]:
    """Return a server of a ledger with phases of a video, and the job."""
    (tmp_path / "video").mkdir()
    write_dicom_video(tmp_path / "video" / "a.dcm")
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        job = phases_job(ledger, tmp_path / "video", tmp_path / "out").job_id
    with serving(tmp_path / "ledger.db", Configuration(review=ReviewSettings(port=0))) as running:
        yield running, job


def test_phases_come_with_a_video_that_browsers_seek_in(
    video_site: tuple[Served, UUID], tmp_path: Path
) -> None:
    served, job = video_site
    vera = served.person("vera")
    phases = vera.get(f"/api/jobs/{job}").json()["phases"]
    assert phases["segments"]
    assert len(phases["seconds"]["phase"]) == len(phases["seconds"]["confidence"])
    names = {phase["name"] for phase in phases["phases"]}
    assert {segment["phase"] for segment in phases["segments"]} <= names
    whole = vera.get(phases["video"])
    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "video/mp4")
    part = vera.get(phases["video"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    (tmp_path / "played.mp4").write_bytes(whole.content)
    with av.open(tmp_path / "played.mp4") as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_what_was_anticipated_is_told_as_of_a_time(video_site: tuple[Served, UUID]) -> None:
    served, job = video_site
    vera = served.person("vera")
    early = vera.get(f"/api/jobs/{job}/anticipation?t_s=0").json()
    assert early["issued_at_s"] == 0.0
    assert all(0 <= each["probability"] <= 1 for each in early["next"])
    assert vera.get(f"/api/jobs/{job}/anticipation?t_s=-1").status_code == 422
    assert vera.get(f"/api/jobs/{job}/anticipation?t_s=nan").status_code == 422


def test_a_picture_is_encoded_at_its_time(tmp_path: Path) -> None:
    pictures = [
        TimedFrame(t_seconds=t, rgb=np.full((33, 47, 3), shade, np.uint8))
        for t, shade in ((0.0, 20), (0.5, 120), (4.0, 220))
    ]
    encode(pictures, Fraction(2), tmp_path / "video.mp4")
    with av.open(tmp_path / "video.mp4") as container:
        found = [
            (float(frame.time), int(frame.to_ndarray(format="gray").mean()))
            for frame in container.decode(video=0)
        ]
    assert [t for t, _ in found] == [0.0, 0.5, 4.0]
    for (_, shade), expected in zip(found, (20, 120, 220), strict=True):
        assert abs(shade - expected) < 12


def test_the_cache_keeps_what_was_asked_for_last(tmp_path: Path) -> None:
    cache = Cache.open(tmp_path, limit_bytes=250)
    jobs = [uuid4() for _ in range(3)]
    for n, job in enumerate(jobs):
        folder = cache.folder(job, "x", lambda made: (made / "f").write_bytes(b"x" * 100) and None)
        os.utime(folder, (n, n))
    left = {path.name for path in cache.root.iterdir()}
    assert left == {f"{job}-x" for job in jobs[1:]}


def test_what_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache.open(tmp_path, limit_bytes=250)

    def fails(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        cache.folder(uuid4(), "x", fails)
    assert list(cache.root.iterdir()) == []


def of_segment(
    number: int, slice_index: int, value: float, layer: str = "wall"
) -> dict[str, object]:
    """Return a measurement of a segment, as the outcome has it."""
    return {
        "segment": number,
        "segment_name": SEGMENT_NAMES[number],
        "slice_index": slice_index,
        "layer": layer,
        "name": "relative_upslope",
        "value": value,
        "unit": "1",
    }


def test_the_bulls_eye_has_the_wall_of_all_segments_and_its_pair(tmp_path: Path) -> None:
    of_rest = [of_segment(7, 0, 0.1), of_segment(7, 1, 0.3), of_segment(7, 0, 9.0, "epicardial")]
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        rest, stress = (
            add_job(ledger, state, {"aha_segments": segments, "heart_state": state})
            for state, segments in (("rest", of_rest), ("stress", [of_segment(1, 0, 0.5)]))
        )
    with serving(tmp_path / "ledger.db", Configuration(review=ReviewSettings(port=0))) as served:
        found = served.person("vera").get(f"/api/jobs/{rest}").json()["perfusion"]
    segments = {each["id"]: each["value"] for each in found["bullseye"]["segments"]}
    assert segments.keys() == set(range(1, 18))
    assert segments[7] == pytest.approx(0.2)
    assert segments[1] is None
    assert found["bullseye"]["state"] == "rest"
    assert found["paired"] == {"job_id": str(stress), "state": "stress"}


def detail_of_outcome(outcome: dict[str, object], folder: Path) -> dict[str, Any]:
    """Return what the page is told of perfusion with this outcome."""
    with Ledger.open(str(folder / "ledger.db")) as ledger:
        job_id = add_job(ledger, "any", outcome)
    with serving(folder / "ledger.db", Configuration(review=ReviewSettings(port=0))) as served:
        answer = served.person("vera").get(f"/api/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["perfusion"]
    return found


def test_trust_motion_flow_and_insertions_are_told_by_slice(tmp_path: Path) -> None:
    of_slice = {"slice_index": 1, "verdict": "review", "failure_probability": 0.25}
    of_all = {"method": "fermi", "low_ml_min_g": 0.8, "high_ml_min_g": 1.2}
    place = {
        "slice_index": 1,
        "anterior_insertion_lps_mm": [1.0, 2.0, 3.0],
        "inferior_insertion_lps_mm": [4, 5.5, 6],
    }
    outcome: dict[str, object] = {
        "uncertainty": [
            {"slice_index": 0, "motion_mm": 1.0, "residual_motion_mm": None},
            {"slice_index": 1, "motion_mm": 1.0, "residual_motion_mm": 0.75},
        ],
        "trust": {"slices": [{**of_slice, "against": ["it lies <b>elsewhere</b>", "too thin"]}]},
        "aha_slices": [place],
        "flow": {
            "basis": "concentration",
            "refused": None,
            "estimates": [
                {**of_all, "slice_index": None, "segment": None, "flow_ml_min_g": 1.0},
                {**of_all, "slice_index": 1, "segment": 7, "flow_ml_min_g": 9.0},
            ],
        },
    }
    found = detail_of_outcome(outcome, tmp_path)
    first, second = found["slices"]
    assert (first["trust"], first["insertions"], first["residual_motion_mm"]) == (None, None, None)
    assert second["trust"] == {
        "verdict": "review",
        "failure_probability": 0.25,
        "against": ["it lies <b>elsewhere</b>", "too thin"],
    }
    assert second["residual_motion_mm"] == 0.75
    assert second["insertions"] == {"anterior": [1.0, 2.0, 3.0], "inferior": [4.0, 5.5, 6.0]}
    assert found["flow"]["basis"] == "concentration"
    assert found["flow"]["estimates"] == [{**of_all, "flow_ml_min_g": 1.0}]


def test_an_outcome_of_before_says_nothing_that_it_did_not_measure(tmp_path: Path) -> None:
    outcome: dict[str, object] = {
        "uncertainty": [{"slice_index": 0, "residual_motion_mm": 2.0}],
        "aha_slices": [{"slice_index": 0, "anterior_insertion_lps_mm": [1.0, None, 3.0]}],
    }
    found = detail_of_outcome(outcome, tmp_path)
    (only,) = found["slices"]
    # Then it was the mean step between beats that went by the name.
    assert only["residual_motion_mm"] is None
    assert (only["trust"], only["insertions"], found["flow"]) == (None, None, None)
