"""From raw data to images: methods, geometry, uncertainty, residual, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.analysis import reconstruct
from pipeline.analyses.reconstruction.fitting import why_not
from pipeline.analyses.reconstruction.networks import UnrolledNetworks, open_networks
from pipeline.analyses.reconstruction.settings import ReconstructionSettings
from pipeline.errors import BundleRejected, NotApplicable, UnusableCall
from pipeline.infer.bundle import load_bundle
from pipeline.infer.terms import Compute
from pipeline.mr.coils import root_sum_of_squares
from pipeline.mr.fourier import fft2c, ifft2c
from pipeline.mr.kspace import KSpace, Readout
from pipeline.mr.patterns import draw_pattern
from tests.support.bundles import write_tiny_bundle
from tests.support.reconstruction import disc_kspace, write_tiny_reconstruction

PLAIN = ReconstructionSettings(uncertainty_draws=0)


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_reconstruction(tmp_path_factory.mktemp("tiny") / "bundle", head=0.01)


@pytest.fixture(scope="module")
def operator(bundle_folder: Path) -> UnrolledNetworks:
    return open_networks(load_bundle(bundle_folder), "operator", Compute(threads=1))


def raw_data(
    array: NDArray[np.complex64],
    mask: NDArray[np.bool_],
    image_shape: tuple[int, int] | None = None,
) -> KSpace:
    """Return samples of shape ``(frames, slices, coils, ky, kx)`` as raw data."""
    frames, slices = array.shape[:2]
    whole = np.broadcast_to(mask, (frames, slices, *array.shape[3:]))
    return KSpace(
        array=(array * whole[:, :, None]).astype(np.complex64),
        mask=whole,
        image_shape=image_shape or (array.shape[3], array.shape[4]),
        readout=Readout.COLUMNS,
        affine=None,
        pixel_spacing_mm=None,
        times_s=np.zeros((frames, slices)),
        times_are_estimated=True,
    )


def undersampled(shape: tuple[int, int] = (64, 60), acceleration: float = 2.0) -> KSpace:
    mask = draw_pattern("equispaced", shape, acceleration, 1).mask
    return raw_data(disc_kspace(shape)[None, None], mask)


@pytest.mark.parametrize("method", ["operator", "varnet", "zero-filled"])
def test_every_method_gives_images_of_every_frame_and_slice(
    bundle_folder: Path, method: str
) -> None:
    networks = None
    if method != "zero-filled":
        networks = open_networks(load_bundle(bundle_folder), method, Compute(threads=1))
    mask = draw_pattern("random", (48, 40), 2.0, 1).mask
    array = np.stack([[disc_kspace((48, 40), seed=4 * f + s) for s in range(2)] for f in range(3)])
    settings = ReconstructionSettings(method=method, uncertainty_draws=2)
    told: list[float] = []
    found = reconstruct(raw_data(array, mask, (48, 32)), networks, settings, told.append)
    assert found.image.shape == found.zero_filled.shape == (3, 2, 48, 32)
    assert found.image.dtype == np.complex64
    assert found.uncertainty is not None
    assert found.uncertainty.shape == found.image.shape
    assert found.uncertainty.dtype == np.float32
    assert [q.slice_index for q in found.slices] == [0, 1]
    assert told[-1] == 1.0
    assert told == sorted(told)


def test_the_phase_is_kept_and_the_units_are_those_of_the_raw_data(
    operator: UnrolledNetworks,
) -> None:
    raw = undersampled(acceleration=1.5)
    first = reconstruct(raw, operator, PLAIN)
    truth = root_sum_of_squares(ifft2c(disc_kspace((64, 60))))
    error = np.abs(np.abs(first.image[0, 0]) - truth).mean() / truth.mean()
    assert error < 0.1
    assert np.abs(np.angle(first.image[0, 0][truth > 0.5 * truth.max()])).max() > 0.1
    huge = raw_data(raw.array * np.float32(4e13), raw.mask)
    second = reconstruct(huge, operator, PLAIN)
    np.testing.assert_allclose(
        second.image / 4e13, first.image, atol=1e-4 * float(np.abs(first.image).max())
    )


def test_the_model_explains_the_data_better_than_zeros_do(operator: UnrolledNetworks) -> None:
    quality = reconstruct(undersampled(acceleration=3.0), operator, PLAIN).slices[0]
    assert quality.kspace_residual < quality.zero_filled_residual
    assert quality.measured_acceleration == pytest.approx(3.0, rel=0.1)
    assert quality.calibration[1] == 60


def test_measured_samples_come_back_after_a_hard_last_step(operator: UnrolledNetworks) -> None:
    """With all but one line measured, what is measured decides the image, whatever the network."""
    kspace = disc_kspace((64, 60))
    mask = np.ones((64, 60), dtype=np.bool_)
    mask[3] = False
    truth = root_sum_of_squares(ifft2c(kspace))
    errors = {}
    for hard in (False, True):
        settings = ReconstructionSettings(hard_data_consistency=hard, uncertainty_draws=0)
        found = reconstruct(raw_data(kspace[None, None], mask), operator, settings)
        assert found.hard_data_consistency is hard
        errors[hard] = np.abs(np.abs(found.image[0, 0]) - truth).mean() / truth.mean()
    assert errors[True] < 0.3 * errors[False]
    assert errors[True] < 0.01


def test_fully_sampled_data_pass_no_network(operator: UnrolledNetworks) -> None:
    kspace = disc_kspace((40, 41))
    raw = raw_data(kspace[None, None], np.ones((40, 41), dtype=np.bool_))
    found = reconstruct(raw, operator, PLAIN)
    np.testing.assert_allclose(
        np.abs(found.image[0, 0]), root_sum_of_squares(ifft2c(kspace)), rtol=1e-4, atol=1e-5
    )
    assert any("no network was used" in note for note in found.notes)


def test_the_same_data_give_the_same_bits(operator: UnrolledNetworks) -> None:
    settings = ReconstructionSettings(uncertainty_draws=2)
    first, second = (reconstruct(undersampled(), operator, settings) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.uncertainty is not None
    assert second.uncertainty is not None
    assert first.uncertainty.tobytes() == second.uncertainty.tobytes()


def test_uncertainty_is_the_same_whether_draws_are_made_side_by_side(
    operator: UnrolledNetworks,
) -> None:
    settings = ReconstructionSettings(uncertainty_draws=3)
    one, three = (
        reconstruct(undersampled(), replace(operator, threads=n), settings) for n in (1, 3)
    )
    assert one.uncertainty is not None
    assert one.uncertainty.any()
    np.testing.assert_array_equal(one.uncertainty, three.uncertainty)


def test_more_noise_is_more_uncertainty(operator: UnrolledNetworks) -> None:
    rng = np.random.default_rng(5)
    quiet = undersampled()
    noise = rng.normal(0, 0.1, (*quiet.array.shape, 2)) @ np.array([1, 1j])
    loud = raw_data((quiet.array + noise).astype(np.complex64), quiet.mask)
    settings = ReconstructionSettings(uncertainty_draws=4)
    found = [reconstruct(raw, operator, settings).slices[0] for raw in (quiet, loud)]
    assert found[0].mean_relative_uncertainty is not None
    assert found[1].mean_relative_uncertainty is not None
    assert found[1].mean_relative_uncertainty > 1.5 * found[0].mean_relative_uncertainty


def test_air_and_silent_coils_give_zeros_and_no_nan(operator: UnrolledNetworks) -> None:
    image = np.zeros((3, 64, 64), dtype=np.complex64)
    image[0, 20:30, 20:30] = 1
    raw = raw_data(fft2c(image)[None, None], draw_pattern("random", (64, 64), 2.0, 1).mask)
    found = reconstruct(raw, operator, ReconstructionSettings(uncertainty_draws=2))
    assert np.isfinite(found.image).all()
    assert found.uncertainty is not None
    assert np.isfinite(found.uncertainty).all()


def test_data_without_a_centre_are_refused_and_the_way_out_is_named(
    operator: UnrolledNetworks,
) -> None:
    mask = np.zeros((64, 64), dtype=np.bool_)
    mask[::4] = True
    raw = raw_data(disc_kspace((64, 64))[None, None], mask)
    with pytest.raises(NotApplicable, match=r"frame 0, slice 0: .*1 x 64.*zero-filled needs none"):
        reconstruct(raw, operator, PLAIN)
    found = reconstruct(raw, None, ReconstructionSettings(method="zero-filled"))
    assert np.isfinite(found.image).all()


def test_a_matrix_too_small_for_networks_is_refused(operator: UnrolledNetworks) -> None:
    mask = np.ones((12, 64), dtype=np.bool_)
    mask[0] = False
    raw = raw_data(disc_kspace((12, 64))[None, None], mask)
    with pytest.raises(NotApplicable, match="at least 16 a side"):
        reconstruct(raw, operator, PLAIN)


def test_images_are_not_raw_data() -> None:
    assert why_not("KSPACE") is None
    assert why_not("MR") == "modality is MR, reconstruction needs raw data"


def test_a_bundle_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle")
    with pytest.raises(BundleRejected, match=r"vesalius\.image_radius is None"):
        open_networks(load_bundle(folder), "operator")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "magic"}, "method is 'magic', possible are operator, varnet, zero-filled"),
        ({"uncertainty_draws": 1}, "possible are 0 and 2 to 32"),
        ({"uncertainty_draws": 99}, "possible are 0 and 2 to 32"),
    ],
)
def test_settings_that_are_not_possible_are_refused(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(UnusableCall, match=message):
        ReconstructionSettings(**values)  # type: ignore[arg-type]


def test_a_dynamic_acquisition_without_a_centre_in_any_frame_is_reconstructed(
    operator: UnrolledNetworks,
) -> None:
    shape = (64, 60)
    masks = np.zeros((2, 1, *shape), dtype=np.bool_)
    for frame in range(2):
        masks[frame, 0, frame::2] = True
    array = np.stack([disc_kspace(shape)[None]] * 2)
    whole = raw_data(array, np.ones(shape, dtype=np.bool_))
    raw = replace(whole, array=(array * masks[:, :, None]).astype(np.complex64), mask=masks)
    truth = root_sum_of_squares(ifft2c(disc_kspace(shape)))
    found = reconstruct(raw, operator, PLAIN)
    for frame in range(2):
        error = np.abs(np.abs(found.image[frame, 0]) - truth).mean() / truth.mean()
        assert error < 0.2
    assert "coil sensitivities of 2 of 2 images come from the mean over time" in found.notes
