"""``vesalius route``: what rules would do with real files, told and not done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from pipeline.demo import write_study
from pipeline.demoraw import write_raw
from pipeline.demovideo import write_video
from pipeline.phantom import perfusion_phantom

ROOT = Path(__file__).parents[1]
RULES = ROOT / "configs" / "routing.toml"
MARK = "Zzyzx"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a perfusion study whose texts all carry a mark, as a name would."""
    folder = tmp_path_factory.mktemp("study")
    for path in write_study(perfusion_phantom(1).image, folder, name=f"{MARK} 1"):
        header = pydicom.dcmread(path)
        header.PatientName = header.PatientID = header.StationName = MARK
        header.SeriesDescription = f"{MARK} adenosine stress"
        header.StudyDescription = header.ProtocolName = MARK
        header.save_as(path)
    return folder


def called(*words: str | Path) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VESALIUS_")}
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "route", *map(str, words)],
        env=kept | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_shipped_rules_send_a_stress_perfusion_first(study: Path) -> None:
    done = called(study, "--rules", RULES, "--json")
    assert done.returncode == 0, done.stderr
    (series,) = json.loads(done.stdout)["series"]
    assert series["jobs"] == ["perfusion"]
    routing = series["routing"]
    assert (routing["lane"], routing["priority"], routing["destinations"]) == ("stat", 5, ["pacs"])
    assert {rule["rule"]: rule["holds"] for rule in routing["rules"]} == {
        "phantoms and service scans": False,
        "perfusion": True,
        "stress first": True,
        "raw data": False,
        "operations on video": False,
    }
    assert MARK not in done.stdout + done.stderr


def test_what_is_told_says_why_and_names_nobody(study: Path) -> None:
    done = called(study, "--rules", RULES)
    assert done.returncode == 0, done.stderr
    assert "rule 'stress first' holds" in done.stdout
    assert "no  when source is 'raw' (image)" in done.stdout
    assert MARK not in done.stdout + done.stderr


def test_raw_data_and_video_are_told_from_images(tmp_path: Path) -> None:
    write_raw(tmp_path, 1)
    write_video(tmp_path, 1)
    done = called(tmp_path, "--rules", RULES, "--json")
    assert done.returncode == 0, done.stderr
    found = {series["label"]: series["jobs"] for series in json.loads(done.stdout)["series"]}
    assert sorted(found.values()) == [["phases"], ["phases"], ["reconstruction"]]


def test_rules_that_name_no_analysis_of_ours_are_refused(study: Path, tmp_path: Path) -> None:
    rules = tmp_path / "mine.toml"
    rules.write_text("[[rule]]\nname = 'x'\nanalyses = ['tractography']\n")
    done = called(study, "--rules", rules)
    assert done.returncode == 2
    assert "mine.toml: rule 'x': no analysis 'tractography'" in done.stderr


def test_a_call_without_rules_says_where_to_set_them(study: Path) -> None:
    done = called(study)
    assert done.returncode == 2
    assert "give --rules, or set routing.rules" in done.stderr
