"""Videos of every container and codec: the picture that is shown at each second."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import NotApplicable, UnreadableFile
from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.video.container import shape_of
from pipeline.ingest.video.pictures import Pictures, VideoSource
from tests.support.realdata import real_data
from tests.support.videos import RATE_HZ, level_of, shown_level, write_sound, write_video


def pictures_of(path: Path, rate_hz: float = 1.0) -> Pictures:
    """Return the pictures of a file."""
    source = VideoSource(name=path.name, start_seconds=0.0, open=lambda: path.open("rb"))
    return Pictures([source], rate_hz)


def assert_shown(frames: Sequence[TimedFrame], indices: Sequence[int]) -> None:
    """Check which pictures were taken."""
    found = [shown_level(frame.rgb) for frame in frames]
    np.testing.assert_allclose(found, [level_of(i) for i in indices], atol=8)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.mp4", "libx265"),
        ("a.mkv", "libx265"),
        ("a.mkv", "mpeg2video"),
        ("a.ts", "mpeg2video"),
        ("a.avi", "mpeg4"),
    ],
)
def test_every_container_gives_the_pictures_of_its_seconds(
    name: str, codec: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    write_video(path, 80, codec=codec)
    with path.open("rb") as file:
        shape = shape_of(file, name)
    assert (shape.rows, shape.columns, round(shape.rate_hz)) == (64, 96, RATE_HZ)
    pictures = pictures_of(path)
    frames = list(pictures)
    assert [f.t_seconds for f in frames] == [0.0, 1.0, 2.0, 3.0]
    assert_shown(frames, [0, 25, 50, 75])
    assert pictures.damage == []


def test_a_program_stream_is_read_though_few_of_its_pictures_have_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.mpg"
    write_video(path, 80, codec="mpeg2video")
    assert [f.t_seconds for f in pictures_of(path)] == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("rate_hz", [0.5, 2.0, 25.0])
def test_any_rate_gives_the_picture_that_is_shown_then(rate_hz: float, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, 75)
    frames = list(pictures_of(path, rate_hz))
    assert [f.t_seconds for f in frames] == [k / rate_hz for k in range(len(frames))]
    assert_shown(frames, [int(25 / rate_hz * k + 1e-6) for k in range(len(frames))])


def test_a_variable_rate_is_sampled_by_time_and_not_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    times = [0.0, 0.1, 0.2, 0.9, 1.7, 1.8, 2.0, 3.9, 4.1]
    write_video(path, times_s=times)
    frames = list(pictures_of(path))
    assert [f.t_seconds for f in frames] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert_shown(frames, [0, 3, 6, 6, 7])


def test_a_long_pause_is_no_still_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_video(path, times_s=[0.0, 1.0, 40.0, 41.0])
    times = [f.t_seconds for f in pictures_of(path)]
    assert times == [*range(12), 40.0, 41.0]


def test_one_picture_is_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, 1)
    assert [f.t_seconds for f in pictures_of(path)] == [0.0]


def test_damage_is_decoded_around_and_told_with_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    write_video(path, 500)
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 4000] = bytes(4000)
    path.write_bytes(content)
    pictures = pictures_of(path)
    times = [f.t_seconds for f in pictures]
    assert times[0] == 0.0
    assert times[-1] == 19.0
    assert 14 <= len(times) <= 20
    assert len(pictures.damage) >= 1
    assert all(5 < stretch.start_seconds < 15 for stretch in pictures.damage)
    assert pictures.notes[0].startswith("no picture from ")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_after_damage_times_are_those_of_the_whole_video(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_video(path, 250)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 1500] = bytes(1500)
    path.write_bytes(content)
    pictures = pictures_of(path, 25.0)
    for frame in pictures:
        index = round(25 * frame.t_seconds)
        is_damaged = any(
            s.start_seconds - 1.0 <= frame.t_seconds <= (s.end_seconds or 10.0) + 1.0
            for s in pictures.damage
        )
        assert is_damaged or abs(shown_level(frame.rgb) - level_of(index)) < 12, index
        last = frame.t_seconds
    assert last == pytest.approx(249 / 25)
    starts = [s.start_seconds for s in pictures.damage]
    ends = [s.end_seconds for s in pictures.damage]
    assert all(b > a for a, b in zip(ends, starts[1:], strict=False))


def test_what_is_missing_at_the_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_video(path, 250)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    pictures = pictures_of(path)
    assert len(list(pictures)) < 9
    assert pictures.notes[-1].endswith("to the end: damaged or missing")


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bits_never_stop_the_rest(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_video(path, 250)
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    rng = np.random.default_rng(seed)
    places = rng.integers(2000, content.size, 20)
    content[places] ^= rng.integers(1, 255, 20).astype(np.uint8)
    path.write_bytes(content.tobytes())
    times = [f.t_seconds for f in pictures_of(path)]
    assert times == sorted(set(times))
    assert len(times) >= 1


def test_a_file_that_was_cut_before_its_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, 75)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableFile, match=r"a\.mp4: no video container .* before its index"):
        list(pictures_of(path))


def test_a_transport_stream_that_was_cut_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    write_video(path, 250)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    times = [f.t_seconds for f in pictures_of(path)]
    assert times[0] == 0.0
    assert 2 <= len(times) < 10


def test_sound_alone_and_text_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match=r"s\.mp4: the container holds sound and no picture"):
        list(pictures_of(write_sound(tmp_path / "s.mp4")))
    path = tmp_path / "t.mp4"
    path.write_bytes(b"#EXTM3U\nhttp://127.0.0.1/never\n" * 50)
    with pytest.raises(UnreadableFile, match=r"t\.mp4: no video container"):
        list(pictures_of(path))
    path.write_bytes(b"")
    with pytest.raises(UnreadableFile, match=r"t\.mp4: no video container"):
        list(pictures_of(path))


def test_a_codec_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_video(path, 10, codec="ffv1")
    with pytest.raises(NotApplicable, match=r"a\.mkv: codec ffv1, read are h264"):
        list(pictures_of(path))


def test_real_clips_give_a_picture_a_second() -> None:
    path = real_data("surgical", "clips", "VID15_772_and_VID47_1133_b.mp4")
    frames = list(pictures_of(path))
    assert [f.t_seconds for f in frames] == list(range(32))
    assert {f.rgb.shape for f in frames} == {(480, 854, 3)}
