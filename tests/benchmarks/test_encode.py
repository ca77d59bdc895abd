"""The area of encoding writes the same pixels in both ways, and measures time and memory."""

from pathlib import Path

import pydicom
import pytest

from benchmarks import encode
from benchmarks.row import Terms


@pytest.mark.parametrize("kind", ["seg", "map"])
def test_both_ways_show_the_same_and_ours_can_be_read_back(tmp_path: Path, kind: str) -> None:
    files = [tmp_path / f"{whose}.dcm" for whose in ("our", "plain")]
    for whose, file in zip(("our", "plain"), files, strict=True):
        encode.written(encode.SMALL_SIDE, f"{kind}-{whose}", file)
    shown = encode.pixels_of(files[0])
    assert shown == encode.pixels_of(files[1])
    assert any(shown)
    instance = pydicom.dcmread(files[0])
    n_frames = encode.N_SLICES * (encode.N_SEGMENTS if kind == "seg" else 1)
    assert instance.NumberOfFrames == n_frames


def test_time_and_memory_of_each_kind_are_measured(tmp_path: Path) -> None:
    rows = list(encode.measure(Terms(rounds=1, is_small=True, place=tmp_path)))
    assert [(row.unit, row.aim) for row in rows] == [("s", 1.0), ("MiB", 0.25)] * 2
    assert all(took > 0 for row in rows for took in row.ours)
