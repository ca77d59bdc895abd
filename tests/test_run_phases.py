"""``vesalius run`` on video: results of what is sound, reasons for what is not."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.support.phases import write_tiny_phases
from tests.support.videos import write_dicom_video, write_sound, write_video

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_phases(tmp_path_factory.mktemp("tiny") / "bundle")


def run(folder: Path, bundle: Path, *inputs: Path) -> tuple[int, dict[str, object]]:
    """Call the command; return its exit status and its manifest, held to the schema."""
    words = [*inputs, "--output", folder / "out", "--ledger", folder / "ledger.db"]
    words += ["--models", bundle, "--analysis", "phases", "--json"]
    found = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "run", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in found.stderr
    manifest = json.loads(found.stdout)
    jsonschema.validate(manifest, json.loads((DOCS / "result.schema.json").read_text()))
    return found.returncode, manifest


def test_videos_become_results_and_what_is_none_a_reason(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "a.mp4", 250)
    write_dicom_video(folder / "b.dcm", 125)
    write_sound(folder / "sound.mp4")
    # A sound index, and nothing behind it that can be decoded.
    write_video(folder / "noise.avi", 50, codec="mpeg2video")
    content = bytearray((folder / "noise.avi").read_bytes())
    start, stop = content.index(b"movi") + 4, content.rindex(b"idx1")
    content[start:stop] = bytes(stop - start)
    (folder / "noise.avi").write_bytes(content)
    status, manifest = run(tmp_path, bundle, folder)
    assert status == 1
    jobs = {job["input"]["label"]: job for job in manifest["jobs"]}  # type: ignore[attr-defined]
    assert {label for label, job in jobs.items() if job["state"] == "done"} == {
        *("a.mp4", "1.2.826.0.1.9.2")
    }
    refused = {r["label"] for r in manifest["refused"]}  # type: ignore[attr-defined]
    failed = {label for label, job in jobs.items() if job["state"] == "failed"}
    assert refused | failed == {"sound.mp4", "noise.avi"}
    done = jobs["1.2.826.0.1.9.2"]
    kinds = {artifact["kind"] for artifact in done["artifacts"]}
    assert kinds >= {"phases", "table", "chapters", "figure", "report", "anticipated"}
    document = tmp_path / "out" / done["folder"] / "phases.json"
    schema = json.loads((DOCS / "phases.schema.json").read_text())
    jsonschema.validate(json.loads(document.read_text(encoding="utf-8")), schema)
    status, manifest = run(tmp_path, bundle, folder / "a.mp4", folder / "b.dcm")
    assert status == 0
    assert all(job["reused"] for job in manifest["jobs"])  # type: ignore[attr-defined]
