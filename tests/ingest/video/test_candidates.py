"""Videos in an inventory: files, DICOM objects in one fragment or many, cases in parts, folders."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InconsistentSeries
from pipeline.ingest.inventory import Inventory, take_inventory
from pipeline.study import VideoSeries
from tests.support.realdata import real_data
from tests.support.videos import (
    level_of,
    shown_level,
    write_dicom_video,
    write_sound,
    write_video,
)


def load(inventory: Inventory) -> VideoSeries:
    """Load the only candidate."""
    (candidate,) = inventory.candidates
    series = candidate.load()
    assert isinstance(series, VideoSeries)
    return series


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264", "libx265"])
@pytest.mark.parametrize(("fragments", "has_offsets"), [(1, False), (1, True), (7, False)])
def test_the_stream_of_an_object_is_read_from_its_fragments(
    codec: str, fragments: int, has_offsets: bool, tmp_path: Path
) -> None:
    write_dicom_video(tmp_path / "a.dcm", codec=codec, fragments=fragments, has_offsets=has_offsets)
    series = load(take_inventory([tmp_path]))
    frames = list(series.pictures(1.0))
    found = [shown_level(f.rgb) for f in frames]
    np.testing.assert_allclose(found, [level_of(i) for i in (0, 25, 50)], atol=8)
    assert series.header is not None
    assert [i.start_seconds for i in series.instances] == [0.0]


def test_a_case_in_parts_is_one_case_in_order_of_its_clock(tmp_path: Path) -> None:
    write_dicom_video(
        tmp_path / "b.dcm",
        100,
        SOPInstanceUID="1.2.826.0.1.9.4",
        ContentTime="101510",
        InstanceNumber=1,
    )
    write_dicom_video(tmp_path / "a.dcm", 75, InstanceNumber=2)
    series = load(take_inventory([tmp_path]))
    assert [i.sop_instance_uid for i in series.instances] == ["1.2.826.0.1.9.3", "1.2.826.0.1.9.4"]
    assert [i.start_seconds for i in series.instances] == [0.0, 10.0]
    times = [f.t_seconds for f in series.pictures(1.0)]
    assert times == [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 13.0]


def test_parts_without_a_clock_follow_each_other(tmp_path: Path) -> None:
    for number in (1, 2):
        write_dicom_video(
            tmp_path / f"{number}.dcm",
            75,
            SOPInstanceUID=f"1.2.826.0.1.9.{number + 2}",
            ContentTime="",
            InstanceNumber=number,
        )
    series = load(take_inventory([tmp_path]))
    assert [i.start_seconds for i in series.instances] == pytest.approx([0.0, 3.0])
    assert [f.t_seconds for f in series.pictures(1.0)] == [0, 1, 2, 3, 4, 5]


def test_what_holds_no_video_is_refused_beside_what_does(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4", 30)
    write_sound(tmp_path / "sound.mp4")
    (tmp_path / "empty.mkv").write_bytes(b"")
    write_dicom_video(tmp_path / "cut.dcm", 75)
    content = (tmp_path / "cut.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: len(content) * 2 // 3])
    inventory = take_inventory([tmp_path])
    assert [c.label for c in inventory.candidates] == ["good.mp4"]
    reasons = {r.label: r.reason for r in inventory.refusals}
    assert set(reasons) == {"cut.dcm", "empty.mkv", "sound.mp4"}
    assert "Doe" not in str(reasons)


def test_an_object_of_another_transfer_syntax_is_refused_by_its_name(tmp_path: Path) -> None:
    path = write_dicom_video(tmp_path / "a.dcm")
    content = path.read_bytes().replace(b"1.2.840.10008.1.2.4.102\0", b"1.2.840.10008.1.2.4.50\0\0")
    path.write_bytes(content)
    (refusal,) = take_inventory([tmp_path]).refusals
    assert "transfer syntax 1.2.840.10008.1.2.4.50 is no video" in refusal.reason


def test_a_folder_of_pictures_is_a_video_by_its_names(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    for second in (3, 16, 17.5):
        picture = np.full((48, 64, 3), level_of(int(second)), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{second}.png")
    (folder / "16.png").rename(folder / "000016.png")
    (folder / "notes.txt").write_text("not a picture")
    series = load(take_inventory([folder]))
    frames = list(series.pictures(1.0))
    assert [f.t_seconds for f in frames] == [3.0, 16.0, 17.5]
    assert shown_level(frames[1].rgb) == level_of(16)


def test_a_table_says_the_times_of_pictures_of_any_name(tmp_path: Path) -> None:
    for index, name in enumerate(("first.png", "second.jpg", "other.png")):
        Image.fromarray(np.full((48, 64, 3), level_of(index), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "times.csv").write_text("file,t_seconds\nsecond.jpg,2.5\nfirst.png,1\n")
    inventory = take_inventory([tmp_path])
    assert "other.png" in inventory.ignored
    frames = list(load(inventory).pictures(1.0))
    assert [f.t_seconds for f in frames] == [1.0, 2.5]
    (tmp_path / "times.csv").write_text("name,time\n")
    (tmp_path / "times.csv").write_text("file,t_seconds\nfirst.png,soon\n")
    (refusal,) = take_inventory([tmp_path]).refusals
    assert "times.csv: no table of files and times" in refusal.reason


def test_two_pictures_of_one_time_are_refused(tmp_path: Path) -> None:
    for name in ("7.png", "07.png"):
        Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(tmp_path / name)
    (refusal,) = take_inventory([tmp_path]).refusals
    assert "have the same time" in refusal.reason


def test_a_picture_that_is_damaged_is_left_out_and_named(tmp_path: Path) -> None:
    for second in range(3):
        Image.fromarray(np.full((48, 64, 3), 90, dtype=np.uint8)).save(tmp_path / f"{second}.jpg")
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:40])
    series = load(take_inventory([tmp_path]))
    pictures = series.pictures(1.0)
    assert [f.t_seconds for f in pictures] == [0.0, 2.0]
    assert pictures.notes == ("1.jpg cannot be decoded",)


def test_a_video_that_changed_since_it_was_listed_is_not_read(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 30)
    (candidate,) = take_inventory([tmp_path]).candidates
    write_video(tmp_path / "a.mp4", 31)
    with pytest.raises(InconsistentSeries, match=r"a\.mp4: the file has changed"):
        candidate.load()


def test_the_digest_is_of_the_content_and_not_of_the_name(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 30)
    shutil.copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    first, second = take_inventory([tmp_path]).candidates
    assert first.input_digest == second.input_digest


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_the_shared_objects_are_read(codec: str) -> None:
    series = load(take_inventory([real_data("dicom", "video", f"synthetic_{codec}.dcm")]))
    assert [f.t_seconds for f in series.pictures(1.0)] == [0.0, 1.0]
