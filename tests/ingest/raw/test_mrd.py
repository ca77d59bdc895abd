"""MRD files: every line where it was measured, the image where it lies, and named refusals."""

from collections.abc import Callable
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, NotApplicable, StudyRejected, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.files import MRD, raw_format, read_raw
from pipeline.ingest.raw.mrdacquisitions import FLAGS
from pipeline.ingest.raw.part import RawContent
from pipeline.mr.fourier import fft2c, ifft1c, ifft2c
from pipeline.mr.noise import noise_covariance
from pipeline.mr.sense import zero_filled_rss
from tests.mr.test_fourier import draw
from tests.support.rawfiles import IDENTITY, Mrd, coil_images


def read(mrd: Mrd, folder: Path) -> RawContent:
    """Write a file and read it."""
    path = mrd.write(folder / "raw.h5")
    assert raw_format(path, path.name) is MRD
    return read_raw(path, path.name, Limits())


def test_a_full_acquisition_comes_back_without_oversampling(tmp_path: Path) -> None:
    mrd = Mrd(kspace=fft2c(coil_images(2, 3, 4, (32, 24))))
    kspace = read(mrd, tmp_path).kspace
    assert kspace.array.dtype == np.complex64
    np.testing.assert_allclose(kspace.array, mrd.kspace, atol=1e-4)
    assert kspace.mask.all()
    assert kspace.image_shape == (32, 24)
    assert kspace.pixel_spacing_mm == pytest.approx((1.5, 2.0))
    assert kspace.slice_thickness_mm == pytest.approx(5.0)


@pytest.mark.parametrize("shape", [(31, 24), (32, 25), (15, 17)])
def test_odd_sizes_are_read_as_exactly_as_even_ones(shape: tuple[int, int], tmp_path: Path) -> None:
    mrd = Mrd(kspace=fft2c(coil_images(shape=shape)))
    np.testing.assert_allclose(read(mrd, tmp_path).kspace.array, mrd.kspace, atol=1e-4)


def test_lines_that_come_without_the_oversampling_that_is_stated_are_taken_as_they_are(
    tmp_path: Path,
) -> None:
    mrd = Mrd()
    content = read(mrd.but(oversampling=1, xml=mrd._header()), tmp_path)
    np.testing.assert_allclose(content.kspace.array, mrd.kspace, atol=1e-4)
    assert content.kspace.mask.all()


def test_undersampled_lines_are_zero_and_the_mask_says_so(tmp_path: Path) -> None:
    mrd = Mrd(lines=(0, 4, 8, 14, 15, 16, 17, 20, 28))
    kspace = read(mrd, tmp_path).kspace
    assert np.flatnonzero(kspace.mask[0, 0, :, 0]).tolist() == list(mrd.lines or ())
    assert kspace.mask.shape == (1, 1, 32, 24)
    assert not kspace.array[~np.broadcast_to(kspace.mask[:, :, None], kspace.array.shape)].any()
    assert kspace.acceleration == pytest.approx(32 / 9)


def test_partial_fourier_is_placed_by_the_centre_that_is_stated(tmp_path: Path) -> None:
    mrd = Mrd(lines=tuple(range(10, 32)), centre=6)
    kspace = read(mrd, tmp_path).kspace
    assert np.flatnonzero(kspace.mask[0, 0, :, 0]).tolist() == list(range(10, 32))
    np.testing.assert_allclose(kspace.array[..., 10:, :], mrd.kspace[..., 10:, :], atol=1e-4)


def test_a_partial_echo_keeps_its_samples_at_their_place(tmp_path: Path) -> None:
    mrd = Mrd(first_sample=12)
    content = read(mrd, tmp_path)
    kspace = content.kspace
    assert np.flatnonzero(kspace.mask[0, 0, 3]).tolist() == list(range(6, 24))
    assert any("partial echo: 18 of 24 samples" in note for note in content.notes)
    inner = np.abs(kspace.array - mrd.kspace)[..., 8:]
    assert inner.max() < 0.02 * np.abs(mrd.kspace).max()


def test_averages_are_averaged_and_noted(tmp_path: Path) -> None:
    def scaled(one: ismrmrd.Acquisition, _: int) -> ismrmrd.Acquisition:
        one.data[:] *= 0.5 if one.idx.average == 0 else 1.5
        return one

    mrd = Mrd(averages=2, change=scaled)
    content = read(mrd, tmp_path)
    np.testing.assert_allclose(content.kspace.array, mrd.kspace, atol=1e-4)
    assert "lines were measured up to 2 times and averaged" in content.notes


def test_phase_oversampling_is_left_for_after_the_reconstruction(tmp_path: Path) -> None:
    kspace = read(Mrd(recon_rows=20), tmp_path).kspace
    assert (kspace.grid, kspace.image_shape) == ((32, 24), (20, 24))
    assert kspace.affine is not None
    # The middle of the cropped grid lies on the slice's centre all the same.
    np.testing.assert_allclose(kspace.affine @ (0, 9.5, 11.5, 1), (10, -20, 30, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("read_dir", "phase_dir"),
    [
        ((1, 0, 0), (0, 1, 0)),
        ((0, 1, 0), (0, 0, -1)),
        ((0.8, 0.6, 0), (-0.6, 0.8, 0)),
        ((-1, 0, 0), (0, 1, 0)),
    ],
)
def test_the_slices_centre_is_the_grids_middle_and_the_affine_its_first_voxel(
    read_dir: tuple[float, float, float], phase_dir: tuple[float, float, float], tmp_path: Path
) -> None:
    mrd = Mrd(read=read_dir, phase=phase_dir)
    affine = read(mrd, tmp_path).kspace.affine
    assert affine is not None
    np.testing.assert_allclose(affine @ (0, 15.5, 11.5, 1), (*mrd.position, 1), atol=1e-4)
    first = (
        np.array(mrd.position) - 11.5 * 2.0 * np.array(read_dir) - 15.5 * 1.5 * np.array(phase_dir)
    )
    np.testing.assert_allclose(affine[:3, 3], first, atol=1e-4)
    np.testing.assert_allclose(affine[:3, 2], 2.0 * np.array(read_dir), atol=1e-5)
    np.testing.assert_allclose(affine[:3, 1], 1.5 * np.array(phase_dir), atol=1e-5)


def test_slices_in_any_order_ascend_along_the_normal(tmp_path: Path) -> None:
    mrd = Mrd(kspace=fft2c(coil_images(1, 3)), slices=(2, 0, 1))
    kspace = read(mrd, tmp_path).kspace
    np.testing.assert_allclose(kspace.array, mrd.kspace[:, [1, 2, 0]], atol=1e-4)
    assert kspace.affine is not None
    np.testing.assert_allclose(kspace.affine[:3, 0], (0, 0, 5), atol=1e-4)
    np.testing.assert_allclose(kspace.affine @ (2, 15.5, 11.5, 1), (10, -20, 40, 1), atol=1e-4)


def test_frames_have_the_times_of_their_first_lines(tmp_path: Path) -> None:
    mrd = Mrd(kspace=fft2c(coil_images(3, 2)))
    plain = read(mrd, tmp_path).kspace
    assert not plain.times_are_estimated
    np.testing.assert_allclose(plain.times_s[:, 0], [0, 0.4, 0.8])
    siemens = read(mrd.but(sections=IDENTITY), tmp_path).kspace
    np.testing.assert_allclose(siemens.times_s[:, 1], [0, 1.0, 2.0])


def test_frames_without_times_are_counted(tmp_path: Path) -> None:
    def timeless(one: ismrmrd.Acquisition, _: int) -> ismrmrd.Acquisition:
        one.acquisition_time_stamp = 0
        return one

    kspace = read(Mrd(kspace=fft2c(coil_images(3)), change=timeless), tmp_path).kspace
    assert kspace.times_are_estimated
    assert kspace.times_s[:, 0].tolist() == [0, 1, 2]


def test_noise_acquisitions_whiten_the_coils(tmp_path: Path) -> None:
    mixing = np.eye(4) + 0.3 * np.eye(4, k=1)
    noise = (mixing @ draw(1, 4, 2000)).astype(np.complex64)
    lines = (mixing @ draw(2, 4, 64 * 64).reshape(4, -1)).reshape(1, 1, 4, 64, 64)
    kspace = read(Mrd(kspace=lines.astype(np.complex64), noise=noise), tmp_path).kspace
    found = noise_covariance(kspace.array[0, 0].reshape(4, -1))
    np.testing.assert_allclose(found, np.eye(4), atol=0.12)
    assert kspace.noise_sigma == 1.0


def test_an_image_from_the_file_is_the_image_that_was_measured(tmp_path: Path) -> None:
    images = coil_images(1, 1, 4, (40, 31))
    kspace = read(Mrd(kspace=fft2c(images)), tmp_path).kspace
    np.testing.assert_allclose(
        zero_filled_rss(kspace.array), np.sqrt((np.abs(images) ** 2).sum(2)), atol=1e-4
    )


def test_partitions_of_a_3d_acquisition_become_slices(tmp_path: Path) -> None:
    images = coil_images(1, 4)[0]
    partitions = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(images, 0), axis=0, norm="ortho"), 0)
    kspace = fft2c(partitions.astype(np.complex64))[None]

    def as_partition(one: ismrmrd.Acquisition, _: int) -> ismrmrd.Acquisition:
        one.idx.kspace_encode_step_2, one.idx.slice = one.idx.slice, 0
        one.position[:] = (10.0, -20.0, 30.0)
        return one

    mrd = Mrd(kspace=kspace, change=as_partition)
    mrd = mrd.but(
        xml=mrd._header().replace("<z>1</z>", "<z>4</z>").replace("<z>5.0</z>", "<z>20</z>")
    )
    found = read(mrd, tmp_path).kspace
    np.testing.assert_allclose(ifft2c(found.array)[0], images, atol=1e-4)
    assert found.affine is not None
    np.testing.assert_allclose(found.affine @ (1.5, 15.5, 11.5, 1), (10, -20, 30, 1), atol=1e-4)
    sparse = mrd.but(
        change=lambda a, n: _moved(as_partition(a, n), step_2=2) if n < 3 else as_partition(a, n)
    )
    with pytest.raises(NotApplicable, match=r"partitions \(kz\) of a 3-D acquisition are under"):
        read(sparse, tmp_path)
    assert ifft1c(kspace[0], 0).shape == images.shape


def _moved(one: ismrmrd.Acquisition, step_2: int) -> ismrmrd.Acquisition:
    """Return a line of another partition."""
    one.idx.kspace_encode_step_2 = step_2
    return one


def test_slices_that_are_counted_as_a_third_size_of_the_matrix_are_slices(tmp_path: Path) -> None:
    mrd = Mrd(kspace=fft2c(coil_images(1, 3)))
    xml = mrd._header().replace("<z>1</z>", "<z>3</z>").replace("<z>5.0</z>", "<z>15</z>")
    kspace = read(mrd.but(xml=xml), tmp_path).kspace
    np.testing.assert_allclose(kspace.array, mrd.kspace, atol=1e-4)
    assert kspace.slice_thickness_mm == pytest.approx(5)


def test_a_readout_of_twice_the_image_under_one_field_of_view_is_oversampled(
    tmp_path: Path,
) -> None:
    mrd = Mrd()
    xml = mrd._header().replace("<fieldOfView_mm><x>96.0</x>", "<fieldOfView_mm><x>48.0</x>")
    kspace = read(mrd.but(xml=xml), tmp_path).kspace
    np.testing.assert_allclose(kspace.array, mrd.kspace, atol=1e-4)
    assert kspace.pixel_spacing_mm == pytest.approx((1.5, 2.0))


def test_each_contrast_is_a_part_of_its_own(tmp_path: Path) -> None:
    def two_echoes(one: ismrmrd.Acquisition, _: int) -> ismrmrd.Acquisition:
        one.idx.contrast = one.idx.average
        one.data[:] *= 1 + one.idx.average
        return one

    mrd = Mrd(averages=2, change=two_echoes)
    path = mrd.write(tmp_path / "raw.h5")
    parts = MRD.parts(path, path.name, Limits())
    assert [p.name for p in parts] == [
        "encoding 0, contrast 0, set 0",
        "encoding 0, contrast 1, set 0",
    ]
    second = MRD.read(path, path.name, parts[1].name, Limits()).kspace
    np.testing.assert_allclose(second.array, 2 * mrd.kspace, atol=1e-3)


def test_a_scan_that_was_cut_short_loses_its_last_frame_only(tmp_path: Path) -> None:
    mrd = Mrd(kspace=fft2c(coil_images(3, 2)))
    path = mrd.write(tmp_path / "raw.h5")
    with h5py.File(path, "r+") as file:
        data = file["dataset/data"][:]
        last = (data["head"]["idx"]["repetition"] == 2) & (data["head"]["idx"]["slice"] == 1)
        del file["dataset/data"]
        file["dataset/data"] = data[~last]
    content = read_raw(path, path.name, Limits())
    assert content.kspace.n_frames == 2
    assert "32 lines of an incomplete last frame left out" in content.notes


def test_what_the_header_says_of_patient_and_study_is_taken_and_nothing_else(
    tmp_path: Path,
) -> None:
    content = read(Mrd(sections=IDENTITY), tmp_path)
    header = content.header
    assert header is not None
    assert (header.PatientName, header.PatientID, header.PatientSex) == ("Doe^Jane", "0042", "F")
    assert (header.PatientBirthDate, header.StudyDate) == ("19700131", "20210304")
    assert (header.StudyTime, header.StudyInstanceUID) == ("101112", "1.2.826.0.1.1")
    assert header.MagneticFieldStrength == pytest.approx(2.89)
    assert content.kspace.frame_of_reference_uid == "1.2.826.0.1.2"
    assert "AccessionNumber" not in header
    assert "the MRD accession number is an integer and was left out" in content.notes
    assert not any("Doe" in note or "0042" in note for note in content.notes)


def test_values_that_dicom_cannot_hold_are_left_out(tmp_path: Path) -> None:
    sections = (
        IDENTITY.replace("1.2.826.0.1.1", "none")
        .replace("1970-01-31", "1970")
        .replace("S7", "x" * 20)
    )
    header = read(Mrd(sections=sections), tmp_path).header
    assert header is not None
    for keyword in ("StudyInstanceUID", "PatientBirthDate", "StudyID"):
        assert keyword not in header


def test_a_file_without_directions_or_field_of_view_is_read_and_not_placed(tmp_path: Path) -> None:
    content = read(Mrd(read=(0, 0, 0), phase=(0, 0, 0)), tmp_path)
    assert content.kspace.affine is None
    assert any("states no slice direction" in note for note in content.notes)
    mrd = Mrd()
    header = mrd._header()
    start = header.index("<fieldOfView_mm>")
    stop = header.index("</fieldOfView_mm>") + len("</fieldOfView_mm>")
    content = read(mrd.but(xml=header[:start] + header[stop:]), tmp_path)
    assert content.kspace.affine is None
    assert content.kspace.pixel_spacing_mm is None
    assert any("states no field of view" in note for note in content.notes)


def test_flags_are_those_of_the_ismrmrd_package() -> None:
    assert {name: getattr(ismrmrd, name) for name in FLAGS} == FLAGS


@pytest.mark.parametrize(
    "flag", ["ACQ_IS_NAVIGATION_DATA", "ACQ_IS_DUMMYSCAN_DATA", "ACQ_IS_PHASE_STABILIZATION"]
)
def test_what_is_no_image_is_left_out(flag: str, tmp_path: Path) -> None:
    kspace = read(Mrd(flags={3: FLAGS[flag]}), tmp_path).kspace
    assert np.flatnonzero(~kspace.mask[0, 0, :, 0]).tolist() == [3]


def altered(number: int, **fields: object) -> Callable[[ismrmrd.Acquisition, int], object]:
    """Return a change of one acquisition's data or counters."""

    def change(one: ismrmrd.Acquisition, at: int) -> ismrmrd.Acquisition:
        if at == number:
            for name, value in fields.items():
                if name == "data":
                    one.data[:] = value
                elif name == "coils":
                    return _with_coils(one, int(str(value)))
                else:
                    setattr(one.idx, name, value)
        return one

    return change


def _with_coils(one: ismrmrd.Acquisition, n: int) -> ismrmrd.Acquisition:
    """Return an acquisition of fewer coils."""
    data: NDArray[np.complex64] = np.array(one.data[:n])
    fewer = ismrmrd.Acquisition.from_array(data)
    fewer.idx.kspace_encode_step_1 = one.idx.kspace_encode_step_1
    return fewer


@pytest.mark.parametrize(
    ("mrd", "error", "reason"),
    [
        (Mrd(trajectory="radial"), NotApplicable, "the trajectory is radial; only Cartesian"),
        (Mrd(trajectory="spiral"), NotApplicable, "the trajectory is spiral; only Cartesian"),
        (Mrd(trajectory="epi"), NotApplicable, r"echo-planar data \(EPI\): lines run both ways"),
        (Mrd(flags={2: 22}), NotApplicable, r"echo-planar data \(EPI\)"),
        (Mrd(change=altered(5, coils=2)), InconsistentSeries, "acquisition 5 has 2 coils, the fir"),
        (Mrd(change=altered(5, data=0)), InconsistentSeries, "acquisition 5 holds zeros only"),
        (
            Mrd(change=altered(5, data=np.nan)),
            UnreadableFile,
            "acquisition 5: 192 samples are NaN or infinite",
        ),
        (
            Mrd(change=altered(5, kspace_encode_step_1=99)),
            InconsistentSeries,
            r"acquisition 5 lies off the grid: frame, slice, kz, ky \(0, 0, 0, 99\)",
        ),
        (Mrd(flags=dict.fromkeys(range(32), 23)), InconsistentSeries, "it holds no imaging line"),
        (Mrd(xml="<a"), UnreadableFile, "the MRD header is no XML"),
        (Mrd(xml="<a/>"), UnreadableFile, "the MRD header has no encoding"),
        (
            Mrd(xml='<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
            UnreadableFile,
            "declares a document type or an entity",
        ),
        (Mrd(read=(2, 0, 0)), InconsistentSeries, "direction is no unit vector"),
        (Mrd(read=(0.8, 0.6, 0)), InconsistentSeries, "directions are not orthogonal"),
        (
            Mrd(kspace=fft2c(coil_images(1, 3)), slices=(0, 1, 3)),
            InconsistentSeries,
            "slices are not evenly spaced along their normal: off by",
        ),
        (
            Mrd(kspace=fft2c(coil_images(1, 2)), slices=(0, 0)),
            InconsistentSeries,
            "slices lie at the same place",
        ),
        (Mrd(noise=draw(1, 3, 99)), InconsistentSeries, "noise of 3 coils, data of 4"),
        (Mrd(noise=draw(1, 4, 3)), InconsistentSeries, "3 noise samples of 4 coils"),
    ],
)
def test_a_bad_file_is_refused_by_its_name_and_the_reason(
    mrd: Mrd, error: type[StudyRejected], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=rf"raw\.h5.*{reason}"):
        read(mrd, tmp_path)


def test_a_group_of_another_name_is_found(tmp_path: Path) -> None:
    mrd = Mrd()
    path = mrd.write(tmp_path / "raw.h5")
    with h5py.File(path, "r+") as file:
        file.move("dataset", "measurement")
    np.testing.assert_allclose(
        read_raw(path, path.name, Limits()).kspace.array, mrd.kspace, atol=1e-4
    )


def test_truncated_files_are_refused_wherever_they_are_cut(tmp_path: Path) -> None:
    content = Mrd().write(tmp_path / "whole.h5").read_bytes()
    path = tmp_path / "raw.h5"
    for share in (0.001, 0.01, 0.3, 0.7, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(UnreadableFile, match=r"raw\.h5: (HDF5 is|not an HDF5 file, or) trunc"):
            read_raw(path, path.name, Limits())


def test_a_missing_header_or_missing_acquisitions_are_refused(tmp_path: Path) -> None:
    path = Mrd().write(tmp_path / "raw.h5")
    with h5py.File(path, "r+") as file:
        del file["dataset/xml"]
    with pytest.raises(UnreadableFile, match=r"the MRD header \(dataset/xml\) is missing"):
        read_raw(path, path.name, Limits())
    path = Mrd().write(tmp_path / "other.h5")
    with h5py.File(path, "r+") as file:
        del file["dataset/data"]
    with pytest.raises(UnreadableFile, match=r"the MRD acquisitions \(dataset/data\) are missing"):
        read_raw(path, path.name, Limits())


def test_a_file_of_other_acquisitions_is_refused(tmp_path: Path) -> None:
    path = Mrd().write(tmp_path / "raw.h5")
    with h5py.File(path, "r+") as file:
        del file["dataset/data"]
        file["dataset/data"] = np.zeros(3)
    with pytest.raises(UnreadableFile, match="acquisitions lack flags, not an MRD file"):
        read_raw(path, path.name, Limits())


def test_more_than_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = Mrd().write(tmp_path / "raw.h5")
    with pytest.raises(UnreadableFile, match="6144 samples need 49152 bytes, limit 40000"):
        read_raw(path, path.name, Limits(max_pixel_bytes=40_000))


def test_a_length_that_cannot_be_is_refused_before_it_is_allocated(tmp_path: Path) -> None:
    path = Mrd().write(tmp_path / "raw.h5")
    with h5py.File(path, "r") as file:
        place = file["dataset/data"].id.get_chunk_info(5).byte_offset
        kind = file["dataset/data"].id.get_type()
        offset = kind.get_member_offset(kind.get_member_index(b"data"))
        at = place + offset
    content = bytearray(path.read_bytes())
    content[at : at + 4] = b"\xff\xff\xff\x7f"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"raw\.h5: acquisition 5 holds 2147483647 values"):
        read_raw(path, path.name, Limits())
    # The address of the heap, in the other bytes of the reference.
    content[at : at + 4] = (2 * 4 * 48).to_bytes(4, "little")
    content[at + 4 : at + 12] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"HDF5 is damaged: values that are not in the file"):
        read_raw(path, path.name, Limits())


def test_data_in_other_files_links_and_foreign_filters_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["kspace"] = draw(1, 1, 2, 8, 8)
    path = tmp_path / "raw.h5"
    with h5py.File(path, "w") as file:
        file["kspace"] = h5py.ExternalLink("outside.h5", "/kspace")
    with pytest.raises(UnreadableFile, match=r"raw\.h5: kspace is a link, links are not followed"):
        read_raw(path, path.name, Limits())
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout(shape=(1, 2, 8, 8), dtype=np.complex64)
        layout[:] = h5py.VirtualSource(outside, "kspace", shape=(1, 2, 8, 8))
        file.create_virtual_dataset("kspace", layout)
    with pytest.raises(UnreadableFile, match="kspace has its values in other files"):
        read_raw(path, path.name, Limits())
    (tmp_path / "values").write_bytes(bytes(1024))
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "kspace", (1, 2, 8, 8), np.complex64, external=[(tmp_path / "values", 0, 1024)]
        )
    with pytest.raises(UnreadableFile, match="kspace has its values in other files"):
        read_raw(path, path.name, Limits())


def _with_calibration_mode(mrd: Mrd, mode: str) -> Mrd:
    """Return a file that states how its calibration lines were measured."""
    stated = (
        "</trajectory><parallelImaging><accelerationFactor><kspace_encoding_step_1>4"
        "</kspace_encoding_step_1><kspace_encoding_step_2>1</kspace_encoding_step_2>"
        f"</accelerationFactor><calibrationMode>{mode}</calibrationMode></parallelImaging>"
    )
    return mrd.but(xml=mrd._header().replace("</trajectory>", stated))


def test_separate_calibration_lines_serve_the_coils_and_no_image(tmp_path: Path) -> None:
    full = fft2c(coil_images(1, 2, 4, (32, 24)))
    lines = tuple(sorted({*range(0, 32, 4), *range(11, 22)}))
    # Two slices a line: acquisitions are numbered line by line.
    of_coils = [n for n, line in enumerate(np.repeat(lines, 2)) if line % 4]

    def brighter(one: ismrmrd.Acquisition, number: int) -> ismrmrd.Acquisition:
        one.data[:] *= 3 if number in of_coils else 1
        return one

    mrd = Mrd(kspace=full, lines=lines, flags=dict.fromkeys(of_coils, 20), change=brighter)
    kspace = read(_with_calibration_mode(mrd, "separate"), tmp_path).kspace
    assert np.flatnonzero(kspace.mask[0, 1, :, 0]).tolist() == list(range(0, 32, 4))
    assert kspace.calibration is not None
    scan = kspace.calibration
    assert scan.mask.shape == (2, 32, 24)
    assert np.flatnonzero(scan.mask[1, :, 0]).tolist() == [n for n in range(11, 22) if n % 4]
    np.testing.assert_allclose(scan.array[1, :, 13], 3 * full[0, 1, :, 13], atol=1e-3)


def test_embedded_calibration_lines_are_lines_of_the_image(tmp_path: Path) -> None:
    lines = tuple(sorted({*range(0, 32, 4), *range(11, 22)}))
    flags = {n: 20 for n, line in enumerate(lines) if line % 4}
    mrd = _with_calibration_mode(Mrd(lines=lines, flags=flags), "embedded")
    kspace = read(mrd, tmp_path).kspace
    assert np.flatnonzero(kspace.mask[0, 0, :, 0]).tolist() == list(lines)
    assert kspace.calibration is None
