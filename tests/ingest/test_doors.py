"""What a file from outside may claim: refused by name before anything is allocated."""

import gzip
import struct
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from pipeline.errors import StudyRejected, UnreadableFile
from pipeline.ingest.codestream import ITEM, Picture, check_codestreams
from pipeline.ingest.dicomfile import read_dicom
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.limits import Limits, in_force, put_in_force
from pipeline.ingest.niftibeginning import check_beginning
from pipeline.ingest.preamble import BEGINNINGS, MARKUP
from pipeline.ingest.raw.hdf5 import dataset as checked_dataset
from pipeline.ingest.uids import is_uid
from pipeline.options import site_configuration
from tests.support.traps import instances_of, stack, write_all
from tests.support.videos import write_dicom_video, write_video

LIMITS = Limits()


def instance() -> Dataset:
    return instances_of(stack())[0]


def written(tmp_path: Path) -> Path:
    return write_all([instance()], tmp_path) / "0000"


def compressed(tmp_path: Path, fragments: list[bytes]) -> Path:
    path = written(tmp_path)
    found = dcmread(path)
    found.file_meta.TransferSyntaxUID = JPEGLSLossless
    found.PixelData = encapsulate(fragments)
    found["PixelData"].is_undefined_length = True
    found.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("beginning", [b for b, _ in BEGINNINGS] + [b" \n" + m for m in MARKUP])
def test_a_preamble_of_another_kind_of_file_is_refused(beginning: bytes, tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(beginning.ljust(128, b"\0") + path.read_bytes()[128:])
    with pytest.raises(UnreadableFile, match=r"0000: its preamble makes it .* as well"):
        read_dicom(path, "0000", LIMITS)
    read_dicom(path, "0000", replace(LIMITS, refuse_foreign_preamble=False))


@pytest.mark.parametrize("beginning", [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"\0" * 8])
def test_a_preamble_of_tiff_is_what_it_is_for(beginning: bytes, tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(beginning.ljust(128, b"\0") + path.read_bytes()[128:])
    assert read_dicom(path, "0000", LIMITS).pixels is not None


@pytest.mark.parametrize(
    ("syntax", "said"),
    [
        ("1.2.840.113619.5.2", "is 1.2.840.113619.5.2: private"),
        ("1.2.840.10008.1.1", "is 1.2.840.10008.1.1: none that is known"),
        ("1.2.840.10008.1.2.9999", "none that is known"),
        ("../../etc/passwd", "is no UID"),
        ("<script>", "is no UID"),
    ],
)
def test_a_transfer_syntax_of_somebodys_own_is_refused(
    syntax: str, said: str, tmp_path: Path
) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    old = b"1.2.840.10008.1.2.1"
    at = content.index(struct.pack("<HH2sH", 2, 0x10, b"UI", 20))
    assert content[at + 8 :].startswith(old)
    new = syntax.encode() + b"\0" * (len(syntax) % 2)
    changed = struct.pack("<HH2sH", 2, 0x10, b"UI", len(new)) + new
    path.write_bytes(content[:at] + changed + content[at + 28 :])
    with pytest.raises(UnreadableFile, match=r"\(0002,0010\)") as refused:
        read_dicom(path, "0000", LIMITS)
    assert said in str(refused.value)
    assert "script" not in str(refused.value)


def test_fragments_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    path = compressed(tmp_path, [b"ab"] * 12)
    read_dicom(path, "0000", replace(LIMITS, max_fragments=12))
    with pytest.raises(UnreadableFile, match="over 11 fragments, the limit"):
        read_dicom(path, "0000", replace(LIMITS, max_fragments=11))


def test_a_fragment_past_the_end_is_refused(tmp_path: Path) -> None:
    path = compressed(tmp_path, [b"abcd", b"efgh"])
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x04\0\0\0efgh", b"\xff\xff\xff\x7fefgh"))
    with pytest.raises(UnreadableFile, match=r"a fragment runs \d+ bytes past the end"):
        read_dicom(path, "0000", LIMITS)


@pytest.mark.parametrize(
    "uid", ["..", ".", "1..2", "1.2.", ".1", "1/2", "1" * 65, "", "\u0661.\u0662", "1\n"]
)
def test_what_is_no_uid_names_nothing(uid: str) -> None:
    assert not is_uid(uid)


@given(st.lists(st.from_regex(r"[0-9]{1,9}", fullmatch=True), min_size=1, max_size=6))
def test_numbers_and_dots_are_a_uid(parts: list[str]) -> None:
    assert is_uid(".".join(parts))


def test_an_instance_whose_uid_names_a_folder_is_refused(tmp_path: Path) -> None:
    path, uid = written(tmp_path), instance().StudyInstanceUID.encode()
    path.write_bytes(path.read_bytes().replace(uid, b"..".ljust(len(uid), b"\0")))
    (refusal,) = take_inventory([path]).refusals
    assert "(0020,000D) is no UID" in refusal.reason


def jpeg(rows: int, columns: int, samples: int = 1) -> bytes:
    """Return the headers of a JPEG codestream, and nothing after them."""
    comment = b"\xff\xfe\x00\x06abcd"
    return (
        b"\xff\xd8"
        + comment
        + b"\xff\xc3\x00\x0b\x10"
        + struct.pack(">HHB", rows, columns, samples)
        + b"\x01\x11\x00\xff\xda"
    )


def jpeg_2000(rows: int, columns: int, tile: int = 1 << 16) -> bytes:
    """Return the first header of a codestream of JPEG 2000."""
    sizes = struct.pack(">8L", columns, rows, 0, 0, tile, tile, 0, 0)
    return b"\xff\x4f\xff\x51\x00\x29\x00\x00" + sizes + b"\x00\x01\x0f\x01\x01"


@pytest.mark.parametrize("make", [jpeg, jpeg_2000])
def test_a_codestream_must_be_as_large_as_the_data_set_says(make: object) -> None:
    assert callable(make)
    picture = Picture(rows=12, columns=10)
    check_codestreams(encapsulate([make(12, 10)] * 3), picture, is_rle=False)
    with pytest.raises(UnreadableFile, match=r"claims 60000 x 60000 x 1, .* say 12 x 10 x 1"):
        check_codestreams(encapsulate([make(12, 10), make(60000, 60000)]), picture, is_rle=False)


def test_a_codestream_of_countless_tiles_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="16000000 tiles, limit 65535"):
        check_codestreams(
            encapsulate([jpeg_2000(4000, 4000, tile=1)]),
            Picture(rows=4000, columns=4000),
            is_rle=False,
        )


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (struct.pack("<16L", 16, *range(15)), "16 segments"),
        (struct.pack("<16L", 1, 4000, *[0] * 14), "outside it"),
        (b"\x01", "cut short"),
    ],
)
def test_an_rle_frame_that_contradicts_itself_is_refused(header: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile, match=said):
        check_codestreams(encapsulate([header]), Picture(rows=4, columns=4), is_rle=True)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_codestream_or_refused(content: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP"):
        for is_rle in (False, True):
            items = struct.pack("<4sL4sL", ITEM, 0, ITEM, len(start + content)) + start + content
            with suppress(UnreadableFile):
                check_codestreams(items, Picture(rows=4, columns=4), is_rle=is_rle)


def test_a_small_file_that_asks_for_a_gigabyte_is_refused_before_it_is_decoded(
    tmp_path: Path,
) -> None:
    path = compressed(tmp_path, [jpeg(30000, 30000) + bytes(4000)])
    assert path.stat().st_size < 8000
    (candidate,) = take_inventory([path]).candidates
    with pytest.raises(UnreadableFile, match="claims 30000 x 30000 x 1"):
        candidate.load()


def nifti(shape: tuple[int, ...], kind: type[np.generic] = np.int16) -> bytes:
    """Return the header of a NIfTI-1 file that claims a shape; no values follow."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(kind)
    header.set_data_shape(shape)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    return bytes(header.binaryblock) + b"\0" * 4


def test_a_nifti_header_that_claims_terabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(nifti((32000, 32000, 3200)))
    with pytest.raises(UnreadableFile, match="6553600000000 bytes in a file of 352"):
        check_beginning(path, "a.nii", LIMITS)


def test_a_nifti_of_nothing_but_zeros_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti((512, 512, 100)) + bytes(2 * 512 * 512 * 100)))
    (refusal,) = take_inventory([path]).refusals
    assert "compressed bytes claim 52428800 bytes of values, limit 16777216" in refusal.reason


def test_a_nifti_extension_of_gigabytes_is_refused(tmp_path: Path) -> None:
    content = bytearray(nifti((4, 4, 4)))
    struct.pack_into("<f", content, 108, 2.0**31)
    path = tmp_path / "a.nii"
    path.write_bytes(content)
    (refusal,) = take_inventory([path]).refusals
    assert "vox_offset is 2147483648, limit 16777216" in refusal.reason


@given(content=st.binary(min_size=340, max_size=560), first=st.sampled_from([348, 540]))
def test_any_bytes_are_a_nifti_header_or_left_to_the_library(
    content: bytes, first: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("nifti") / "a.nii"
    path.write_bytes(struct.pack("<i", first) + content)
    with suppress(UnreadableFile):
        check_beginning(path, "a.nii", LIMITS)


def test_an_hdf5_chunk_of_gigabytes_is_refused() -> None:
    with h5py.File(BytesIO(), "w") as file:
        file.create_dataset("kspace", shape=(8192, 8192), chunks=(8192, 8192), dtype="c16")
        with pytest.raises(UnreadableFile, match="chunks of 1073741824 bytes, limit 268435456"):
            checked_dataset(file, "kspace", "a.h5")


def test_a_video_longer_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, 75)
    before = in_force()
    put_in_force(replace(before, max_video_seconds=2))
    try:
        (refusal,) = take_inventory([path]).refusals
    finally:
        put_in_force(before)
    assert "a.mp4: 3 s of video, limit 2" in refusal.reason


def test_a_video_of_another_size_than_its_data_set_says_is_refused(tmp_path: Path) -> None:
    path = write_dicom_video(tmp_path / "a.dcm", 25, Rows=1080, Columns=1920)
    (refusal,) = take_inventory([path]).refusals
    assert "(0028,0010) and (0028,0011) say 1080 x 1920" in refusal.reason


def test_a_sites_limits_are_in_force_at_every_door(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[limits]\nmax_file_bytes = 100\n")
    path, before = written(tmp_path), in_force()
    try:
        site_configuration(tmp_path / "site.toml")
        (refusal,) = take_inventory([path]).refusals
    finally:
        put_in_force(before)
    assert "bytes, limit 100" in refusal.reason
    assert not take_inventory([path]).refusals


def test_limits_of_nothing_are_refused() -> None:
    with pytest.raises(StudyRejected.__mro__[1], match="max_frames is 0, needed is more than 0"):
        Limits(max_frames=0)
