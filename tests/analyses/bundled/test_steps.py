"""Each step against MONAI's own transform, on grids of random size, direction and spacing."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from monai import transforms as mt
from monai.data import MetaTensor
from monai.inferers import sliding_window_inference
from nibabel.affines import apply_affine
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pipeline.analyses.bundled import discrete, intensity, spatial
from pipeline.analyses.bundled.declaration import Windows
from pipeline.analyses.bundled.grid import Image
from pipeline.analyses.bundled.sliding import slide
from pipeline.errors import AnalysisFailed

CODES = ["RAS", "LPS", "PIR", "SAL", "ILA"]
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Return an image of random values, turned by up to a right angle and mirrored at random."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = [draw(st.integers(3, 9)) for _ in range(3)]
    spacing = [draw(st.sampled_from([0.7, 1.0, 1.5, 2.0, 3.0])) for _ in range(3)]
    turn = Rotation.from_euler("xyz", rng.uniform(-180, 180, 3), degrees=True).as_matrix()
    if draw(st.booleans()):
        turn = np.eye(3)[:, rng.permutation(3)] * rng.choice([-1.0, 1.0], 3)
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    return Image(array=rng.normal(size=(1, *shape)).astype(np.float32), affine=affine)


def tensor(image: Image) -> MetaTensor:
    return MetaTensor(torch.from_numpy(image.array.copy()), affine=torch.from_numpy(image.affine))


def close(ours: Image, theirs: MetaTensor, tolerance: float = 1e-5) -> bool:
    assert ours.array.shape == tuple(theirs.shape)
    assert np.allclose(ours.affine, theirs.affine.numpy(), atol=1e-4)
    return bool(np.allclose(ours.array, theirs.numpy(), atol=tolerance))


@QUICK
@given(images(), st.sampled_from(CODES))
def test_an_image_is_turned_as_monai_turns_it(image: Image, codes: str) -> None:
    there = mt.Orientation(axcodes=codes, labels=(("L", "R"), ("P", "A"), ("I", "S")))
    theirs = there(tensor(image))
    ours, undo = spatial.orient(image, codes)
    assert close(ours, theirs)
    assert "".join(aff2axcodes(ours.affine)) == codes
    back = undo(ours, False)
    assert np.array_equal(back.array, image.array)
    assert np.array_equal(back.affine, image.affine)


@QUICK
@given(images(), st.lists(st.sampled_from([-1.0, 0.8, 1.0, 2.0, 2.6]), min_size=3, max_size=3))
def test_an_image_is_resampled_as_monai_does_and_back(image: Image, pixdim: list[float]) -> None:
    there = mt.Spacing(pixdim=pixdim, mode="bilinear", padding_mode="border")
    theirs = there(tensor(image))
    how = spatial.Resampling(mode="bilinear", zeros_outside=False)
    ours, undo = spatial.respace(image, pixdim, how)
    assert close(ours, theirs)
    assert close(undo(ours, False), there.inverse(theirs), 2e-5)


@QUICK
@given(images(), st.lists(st.sampled_from([0.8, 1.0, 2.0, 2.6]), min_size=3, max_size=3))
def test_the_nearest_voxel_is_the_one_that_monai_takes(image: Image, pixdim: list[float]) -> None:
    there = mt.Spacing(pixdim=pixdim, mode="nearest", padding_mode="zeros")
    theirs = there(tensor(image))
    how = spatial.Resampling(mode="nearest", zeros_outside=True)
    ours, _ = spatial.respace(image, pixdim, how)
    differ = np.argwhere((ours.array != theirs.numpy())[0])
    # Halfway between two voxels, which one torch takes hangs on how many threads it has.
    places = apply_affine(np.linalg.inv(image.affine) @ ours.affine, differ)
    assert (np.abs(places % 1 - 0.5) < 1e-3).any(axis=1).all()
    assert len(differ) <= 0.1 * ours.array.size


@QUICK
@given(images(), st.integers(0, 3), st.booleans(), st.integers(1, 4))
def test_an_image_is_cropped_as_monai_crops_it(
    image: Image, margin: int, inside: bool, divisor: int
) -> None:
    image = Image(array=np.maximum(image.array - 1.2, 0), affine=image.affine)
    if not image.array.any():
        with pytest.raises(AnalysisFailed, match="no value lies above 0"):
            spatial.foreground_widths(image, margin=[0] * 3, divisor=[1] * 3, inside=True)
        return
    there = mt.CropForeground(margin=margin, allow_smaller=inside, k_divisible=divisor)
    theirs = there(tensor(image))
    widths = spatial.foreground_widths(
        image, margin=[margin] * 3, divisor=[divisor] * 3, inside=inside
    )
    ours, undo = spatial.pad(image, widths, 0.0)
    assert close(ours, theirs)
    assert close(undo(ours, False), there.inverse(theirs))


@QUICK
@given(images(), st.integers(1, 12), st.booleans())
def test_an_image_is_padded_as_monai_pads_it(image: Image, size: int, at_end: bool) -> None:
    method = "end" if at_end else "symmetric"
    there = mt.SpatialPad(spatial_size=size, method=method, value=-3.0)
    theirs = there(tensor(image))
    widths = spatial.widths_to(image.grid.shape, [size] * 3, at_end=at_end)
    ours, undo = spatial.pad(image, widths, -3.0)
    assert close(ours, theirs)
    assert close(undo(ours, False), there.inverse(theirs))


@pytest.mark.parametrize("clip", [False, True])
def test_values_are_scaled_as_monai_scales_them(clip: bool) -> None:
    array = np.random.default_rng(1).normal(0, 300, (1, 6, 7, 8)).astype(np.float32)
    array[0, :2] = 0
    given = torch.from_numpy(array)
    pairs = [
        (
            intensity.scale_range(array, (-200, 300), (-1, 2), clip=clip),
            mt.ScaleIntensityRange(-200, 300, -1, 2, clip=clip),
        ),
        (
            intensity.scale_percentiles(array, (1, 99), (0, 1), clip=clip),
            mt.ScaleIntensityRangePercentiles(1, 99, 0, 1, clip=clip),
        ),
        (intensity.scale_extremes(array, (-1, 1)), mt.ScaleIntensity(-1, 1)),
        (intensity.normalise(array, None, None, nonzero=clip), mt.NormalizeIntensity(nonzero=clip)),
        (intensity.normalise(array, 5.0, 2.0, nonzero=clip), mt.NormalizeIntensity(5.0, 2.0, clip)),
    ]
    for ours, theirs in pairs:
        assert ours.dtype == np.float32
        assert np.allclose(ours, theirs(given.clone()).numpy(), atol=1e-5)


@QUICK
@given(
    st.lists(st.integers(3, 14), min_size=3, max_size=3),
    st.lists(st.integers(2, 9), min_size=3, max_size=3),
    st.sampled_from([0.0, 0.25, 0.5, 0.8]),
    st.sampled_from(["constant", "gaussian"]),
    st.sampled_from(["constant", "replicate"]),
)
@example([10, 10, 10], [10, 4, 5], 0.5, "gaussian", "constant")
def test_windows_are_joined_as_monai_joins_them(
    shape: list[int], roi: list[int], overlap: float, mode: str, around: str
) -> None:
    rng = np.random.default_rng(sum(shape))
    fill = -1.0 if around == "constant" else 0.0  # torch takes no value for the other one
    array = rng.normal(size=(1, *shape)).astype(np.float32)
    ramp = rng.normal(size=(2, *roi)).astype(np.float32)

    def network(window: NDArray[np.float32]) -> NDArray[np.float32]:
        # What it gives depends on the place within the window, as with padded convolutions.
        return window * ramp

    theirs = sliding_window_inference(
        torch.from_numpy(array)[None],
        roi_size=roi,
        sw_batch_size=1,
        predictor=lambda window: window * torch.from_numpy(ramp),
        overlap=overlap,
        mode=mode,
        padding_mode=around,
        cval=fill,
    )
    windows = Windows(
        roi_size=(roi[0], roi[1], roi[2]),
        overlap=(overlap,) * 3,
        mode=mode,
        sigma_scale=0.125,
        padding_mode=around,
        cval=fill,
    )
    shares: list[float] = []
    ours = slide(array, network, windows, shares.append)
    assert np.allclose(ours, theirs[0].numpy(), atol=1e-5)
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


@pytest.mark.parametrize("connectivity", [1, 3])
@pytest.mark.parametrize("labels", [None, (1,), (2,), (1, 2)])
def test_pieces_and_holes_are_those_of_monai(
    connectivity: int, labels: tuple[int, ...] | None
) -> None:
    rng = np.random.default_rng(4)
    array = rng.choice([0, 1, 2], p=[0.3, 0.4, 0.3], size=(1, 12, 11, 10)).astype(np.float32)
    for independent in (True, False):
        theirs = mt.KeepLargestConnectedComponent(
            applied_labels=labels, independent=independent, connectivity=connectivity
        )(torch.from_numpy(array.copy()))
        ours = discrete.largest_components(
            array, labels, independent=independent, connectivity=connectivity, n=1
        )
        assert np.array_equal(ours, theirs.numpy())
    theirs = mt.FillHoles(applied_labels=labels, connectivity=connectivity)(
        torch.from_numpy(array.copy())
    )
    ours = discrete.fill_holes(array, labels, connectivity=connectivity)
    assert np.array_equal(ours, theirs.numpy())


def test_activations_are_those_of_torch() -> None:
    array = np.random.default_rng(2).normal(0, 40, (3, 4, 4, 4)).astype(np.float32)
    given = torch.from_numpy(array)
    assert np.allclose(discrete.softmax(array), given.softmax(0).numpy(), atol=1e-6)
    assert np.allclose(discrete.sigmoid(array), given.sigmoid().numpy(), atol=1e-6)
    assert np.array_equal(discrete.argmax(array)[0], given.argmax(0).numpy())
