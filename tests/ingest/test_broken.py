"""Whatever is wrong with a file, it is said in one line, and the series beside it is done."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.demo import write_study
from pipeline.errors import StudyRejected, UnreadableFile, UnusableCall
from pipeline.ingest.inventory import Inventory, take_inventory
from pipeline.ingest.limits import Limits
from pipeline.quiet import quietly
from tests.support.broken import good_image, write_broken_inputs
from tests.support.geometry import affine_of, series_on
from tests.support.traps import AXIAL, instances_of, stack, write_all
from tests.support.vendors import write_enhanced


def verdicts(inventory: Inventory) -> list[str]:
    """Return all that is said of what cannot be used, at once or when it is loaded."""
    said = [refusal.reason for refusal in inventory.refusals]
    for candidate in inventory.candidates:
        try:
            candidate.load()
        except StudyRejected as error:
            said.append(str(error))
    return said


def test_every_broken_input_is_named_and_the_good_series_is_done(tmp_path: Path) -> None:
    names = write_broken_inputs(tmp_path / "broken")
    assert len(names) >= 30
    write_study(good_image(), tmp_path / "good", name="good")
    inventory = take_inventory([tmp_path])
    said = verdicts(inventory)
    for name in names:
        about = [text for text in said if f"broken/{name}" in text or text.startswith(name)]
        assert len(about) == 1, name
        assert "\n" not in about[0]
        assert len(about[0]) < 400
    good = [c for c in inventory.candidates if c.n_beats == good_image().n_beats]
    np.testing.assert_array_equal(good[0].load().image.array, good_image().array)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.dcm", "the file is empty"),
        ("text.dcm", "not a DICOM file"),
        ("zero_frames.dcm", "NumberOfFrames (0028,0008) is 0"),
        ("gigantic_matrix.dcm", "65535 rows, 65535 columns, limit 4096"),
        ("no_pixel_data.dcm", "no pixel data"),
        ("truncated_header.dcm", "truncated: element (0008,1030) runs 18 bytes past the end"),
        ("lying_length.dcm", "truncated: element (0008,0070) runs"),
        ("truncated_pixels.dcm", "truncated: 154 of 240 bytes of pixel data"),
        ("wrong_transfer_syntax.dcm", "the pixel data is not encapsulated"),
        ("jpeg_extended.dcm", "JPEG Extended (Process 2 and 4) (1.2.840.10008.1.2.4.51)"),
        ("deep_nesting.dcm", "sequences nest deeper than 32 levels"),
        ("deflate_bomb.dcm", "more than the limit of 16777216"),
        ("nan_slope.dcm", "RescaleSlope (0028,1053)"),
        ("zero_spacing.dcm", "PixelSpacing (0028,0030) is not positive"),
        ("no_position.dcm", "ImagePositionPatient (0020,0032) is missing"),
        ("gigantic.nii", "bytes in a file of 1352"),
        ("nan.nii.gz", "1 values are NaN or infinite"),
        ("truncated.nii.gz", "fewer values than its header says"),
        ("damaged_jpeg2000.dcm", "a compressed frame claims"),
    ],
)
def test_the_reason_says_what_is_wrong(name: str, reason: str, tmp_path: Path) -> None:
    write_broken_inputs(tmp_path)
    (said,) = verdicts(take_inventory([tmp_path / name]))
    assert reason in said
    assert name in said


def test_a_broken_file_names_its_series_where_that_can_be_read(tmp_path: Path) -> None:
    instance = instances_of(stack())[0]
    folder = write_all([instance], tmp_path)
    content = (folder / "0000").read_bytes()
    (folder / "0000").write_bytes(content[: content.index(b"\xe0\x7f\x10\x00OW")])
    (refusal,) = take_inventory([folder]).refusals
    assert refusal.series_instance_uids == (instance.SeriesInstanceUID,)
    assert "no pixel data" in refusal.reason


@pytest.mark.parametrize("uid", ["..", ".", "1..2", "1.", ".1"])
def test_dots_alone_are_no_uid(uid: str, tmp_path: Path) -> None:
    instance = instances_of(stack(1, n_slices=1))[0]
    with quietly():
        instance.StudyInstanceUID = uid
        folder = write_all([instance], tmp_path)
    (refusal,) = take_inventory([folder]).refusals
    assert "StudyInstanceUID (0020,000D) is no UID" in refusal.reason


def test_an_element_that_comes_twice_is_refused(tmp_path: Path) -> None:
    """Readers differ in which of two they take: here, in whose images they are."""
    instance = instances_of(stack(1, n_slices=1))[0]
    folder = write_all([instance], tmp_path)
    content = (folder / "0000").read_bytes()
    at = content.index(b"\x10\x00\x20\x00LO")
    end = at + 8 + int.from_bytes(content[at + 6 : at + 8], "little")
    (folder / "0000").write_bytes(content[:end] + content[at:end] + content[end:])
    (refusal,) = take_inventory([folder]).refusals
    assert "element (0010,0020) comes twice" in refusal.reason


@pytest.mark.parametrize("name", ["empty", "junk"])
def test_a_folder_without_images_is_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    if name == "junk":
        (folder / "notes.txt").write_text("nothing here")
    inventory = take_inventory([folder])
    assert inventory.refusals[0].label == name
    assert "no DICOM or NIfTI file" in inventory.refusals[0].reason


def test_an_input_that_does_not_exist_is_an_unusable_call(tmp_path: Path) -> None:
    with pytest.raises(UnusableCall, match="no such file or folder"):
        take_inventory([tmp_path / "nowhere"])


def test_a_file_that_changes_after_the_inventory_is_not_loaded(tmp_path: Path) -> None:
    folder = write_all(instances_of(stack()), tmp_path)
    (candidate,) = take_inventory([folder]).candidates
    content = bytearray((folder / "0004").read_bytes())
    content[-1] ^= 1
    (folder / "0004").write_bytes(content)
    with pytest.raises(UnreadableFile, match="0004: the file has changed"):
        candidate.load()


def test_a_series_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    folder = write_all(instances_of(stack()), tmp_path)
    inventory = take_inventory([folder], limits=Limits(max_pixel_bytes=1000))
    assert "limits 20000 and 1000" in inventory.refusals[0].reason


def test_a_file_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    folder = write_all(instances_of(stack())[:1], tmp_path)
    inventory = take_inventory([folder], limits=Limits(max_file_bytes=1000))
    assert "bytes, limit 1000" in inventory.refusals[0].reason


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sound file."""
    folder = tmp_path_factory.mktemp("sound")
    image = series_on(affine_of(AXIAL, (4.0, 2.0, 1.0), (0.0, 0.0, 0.0)), (1, 1, 4, 4))
    return write_study(image, folder, name="sound")[0]


def test_a_file_cut_anywhere_is_refused_or_lacks_its_pixels(sound: Path, tmp_path: Path) -> None:
    path, content = tmp_path / "cut.dcm", sound.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        inventory = take_inventory([path])
        assert not inventory.candidates, length
        assert len(inventory.refusals) == 1, length


@pytest.fixture(scope="module")
def sound_enhanced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sound multi-frame file: its functional groups are sequences in sequences."""
    folder = tmp_path_factory.mktemp("enhanced")
    return write_enhanced(stack(2, n_slices=2), folder, name="sound")[0]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_but_a_refusal(
    data: st.DataObject,
    sound: Path,
    sound_enhanced: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = bytearray(data.draw(st.sampled_from([sound, sound_enhanced])).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    path.write_bytes(content)
    verdicts(take_inventory([path]))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(noise=st.binary(min_size=1, max_size=400))
def test_noise_behind_a_preamble_is_refused(
    noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.dcm"
    path.write_bytes(bytes(128) + b"DICM" + noise)
    inventory = take_inventory([path])
    assert not inventory.candidates
    assert len(inventory.refusals) == 1
