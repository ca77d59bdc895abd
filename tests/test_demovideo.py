"""The demonstration's videos: sound, conformant, and the same each time."""

import subprocess
import sys
from pathlib import Path

from pipeline.demovideo import COURSE, write_video
from pipeline.identity import digest_file
from pipeline.ingest.inventory import take_inventory
from pipeline.study import VideoSeries

DCIODVFY = Path(sys.executable).parent / "dciodvfy"
LENGTH = sum(scene.seconds for scene in COURSE)


def test_a_file_and_an_object_that_ingest_takes(tmp_path: Path) -> None:
    paths = write_video(tmp_path, 1)
    inventory = take_inventory(paths)
    assert not inventory.refusals
    for candidate in inventory.candidates:
        series = candidate.load()
        assert isinstance(series, VideoSeries)
        times = [frame.t_seconds for frame in series.pictures(1.0)]
        assert times == list(range(LENGTH))
    found = subprocess.run([DCIODVFY, paths[1]], capture_output=True, text=True, check=False)
    assert "Error" not in found.stdout + found.stderr


def test_a_seed_is_a_video(tmp_path: Path) -> None:
    one, again, other = (
        [digest_file(path) for path in write_video(tmp_path / name, seed)]
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert one == again
    assert one != other
