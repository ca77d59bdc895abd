"""The area ``phases`` analyses every second of its video, and steps under load."""

from pathlib import Path

from benchmarks.phases import decoded_pictures, measure, write_clip
from benchmarks.row import Terms


def test_a_video_is_analysed_whole_and_live_steps_take_time(tmp_path: Path) -> None:
    # Raises where seconds are missing or torch gives other features.
    recorded, pictures, features, eager = measure(Terms(rounds=1, is_small=True, place=tmp_path))
    assert recorded.ours[0] > 0
    assert recorded.theirs[0] > 0
    assert eager.what.startswith("features of 4 pictures")
    assert features.ours[0] > 0
    assert pictures.ours[0] > 0
    assert {row.theirs for row in (pictures, features)} == {(5.0,)}


def test_the_other_decodes_every_picture(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 2, (96, 160), 5)
    assert decoded_pictures(tmp_path / "clip.mp4", 1) == 10
