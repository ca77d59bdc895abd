"""The input function of a dual sequence: its pool, its concentration, and what makes it none."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy.ndimage import shift

from pipeline.analyses.perfusion.aha import SegmentedSlice
from pipeline.analyses.perfusion.concentration import SaturationRecovery, relative_signal
from pipeline.analyses.perfusion.flow.bloodpool import brightest_with, centred_on, rise_s
from pipeline.analyses.perfusion.flow.dual import DualInput, dual_input
from pipeline.analyses.perfusion.flow.measure import flow_notes, measure_flow
from pipeline.analyses.perfusion.flow.result import (
    CONCENTRATION,
    DUAL,
    DUAL_IMAGES,
    LINEAR,
    OWN_IMAGES,
    FlowResult,
    flow_outcome,
    of_signals,
)
from pipeline.analyses.perfusion.result import BLOOD_POOL, AhaResult
from pipeline.analyses.perfusion.sequence import ReadOut, read_out_of
from pipeline.imaging.volume import CONCENTRATION_UNIT, TimeSeries
from pipeline.study import ArterialImages
from tests.analyses.perfusion.flow.test_linear import fermi, signals
from tests.analyses.perfusion.test_sequence import header
from tests.support.flows import SIZE, known, ring, series_of

GAIN = 300.0
"""Signal of whole recovery of the images of low resolution: none that the series' own have."""

COARSENESS = 3
AHEAD_S = 0.2
DOSE = 2.0
"""A bolus of 10 mmol/l: the series' own images are clipped."""


def read_out(**changed: object) -> ReadOut:
    found = read_out_of(header(**changed), (0.002, 0.5))
    assert isinstance(found, ReadOut), found
    return found


OWN, LOW = read_out(), read_out(InversionTime=15.0)


@pytest.fixture(scope="module")
def dense() -> SegmentedSlice:
    """Return a slice of concentrations of a dense bolus."""
    return ring((2.0, 2.0), unit_scale=DOSE)


@pytest.fixture(scope="module")
def clipped(dense: SegmentedSlice) -> SegmentedSlice:
    """Return the slice as the series' own images show it."""
    seen = signals(dense, OWN).square
    # A scanner's scale ends somewhere: what is brighter is cut off.
    return replace(dense, square=np.minimum(seen, 0.93 * float(seen.max())))


def low_series(
    one: SegmentedSlice, blood: SaturationRecovery = LOW.blood, ahead_s: float = AHEAD_S
) -> TimeSeries:
    """Return the images of low resolution of a slice, as the sequence shows blood."""
    fine = GAIN * relative_signal(one.square.astype(np.float64), blood)
    side = SIZE // COARSENESS
    low = fine.reshape(len(fine), side, COARSENESS, side, COARSENESS).mean(axis=(2, 4))
    image = series_of([one])
    affine = image.affine.copy()
    affine[:3, 1:3] *= COARSENESS
    affine[:, 3] = image.affine @ (0.0, 0.5 * (COARSENESS - 1), 0.5 * (COARSENESS - 1), 1.0)
    # What a beat's image shows is what it is at its own time.
    own, times = image.times_s[:, 0], image.times_s[:, 0] - ahead_s
    flat = low.reshape(len(low), -1)
    at = np.stack([np.interp(times, own, values) for values in flat.T], axis=1)
    return replace(
        image,
        array=at.reshape(low.shape)[:, None].astype(np.float32),
        affine=affine,
        times_s=times[:, None],
        unit=None,
    )


def images(series: TimeSeries, **changed: object) -> ArterialImages:
    stated: dict[str, object] = {"InversionTime": 15.0, **changed}
    return ArterialImages(image=series, frames=(), header=header(**stated))


@pytest.fixture(scope="module")
def arterial(dense: SegmentedSlice) -> ArterialImages:
    return images(low_series(dense))


def measured(one: SegmentedSlice, arterial: ArterialImages | None) -> FlowResult:
    return measure_flow([one], series_of([one], None), AhaResult(), "research", OWN, arterial)


def test_the_input_of_a_dense_bolus_is_that_of_low_resolution(
    clipped: SegmentedSlice, arterial: ArterialImages
) -> None:
    alone = measured(clipped, None)
    assert alone.refused is not None
    assert "clipped" in alone.refused
    found = measured(clipped, arterial)
    assert (found.basis, found.refused, found.is_research) == (DUAL, None, True)
    taken = found.arterial_input
    assert taken is not None
    assert (taken.images, taken.unit, taken.own_peak) == (DUAL_IMAGES, CONCENTRATION_UNIT, None)
    assert taken.own_refused is not None
    assert taken.peak == pytest.approx(5.0 * DOSE, rel=0.05)
    assert fermi(found)[0] == pytest.approx(2.0, rel=0.15)


def test_both_peaks_are_told_where_both_are_known(arterial: ArterialImages) -> None:
    bent = signals(ring((2.0, 2.0), unit_scale=DOSE), OWN)
    found = measured(bent, arterial)
    taken = found.arterial_input
    assert taken is not None
    assert taken.own_peak is not None
    assert taken.own_refused is None
    notes = " ".join(flow_notes(found, series_of([bent], None)))
    assert f"dual sequence, peak {taken.peak:.1f} mmol/l" in notes
    assert f"images of the series: peak {taken.own_peak:.1f} mmol/l" in notes
    outcome = flow_outcome(found)
    assert outcome is not None
    assert outcome["basis"] == DUAL
    assert of_signals(outcome) == "research", "corrections are measured the same way"


def test_the_scale_of_the_images_and_their_baseline_do_not_matter(
    clipped: SegmentedSlice, arterial: ArterialImages
) -> None:
    """Before contrast noise is as large as the signal: it must not make the concentration."""
    noisy = arterial.image.array.copy()
    noisy[:9] += np.float32(0.02 * GAIN)
    other = images(replace(arterial.image, array=7.0 * noisy))
    found = measured(clipped, other).arterial_input
    assert found is not None
    assert found.peak == pytest.approx(5.0 * DOSE, rel=0.06)


def test_the_pool_is_followed_as_the_heart_moves(
    clipped: SegmentedSlice, arterial: ArterialImages
) -> None:
    rng = np.random.default_rng(2)
    moves = rng.uniform(-14.0, 14.0, (len(clipped.square), 2))
    pixel = 1.6 * COARSENESS
    moved = np.stack(
        [
            shift(frame, by / pixel, order=1, mode="nearest")
            for frame, by in zip(arterial.image.array[:, 0], moves, strict=True)
        ]
    )
    away = images(replace(arterial.image, array=moved[:, None]))
    followed = measured(replace(clipped, shifts_mm=moves), away)
    assert followed.arterial_input is not None
    assert followed.arterial_input.peak == pytest.approx(5.0 * DOSE, rel=0.08)
    still = dual_input([clipped], series_of([clipped], None), away, OWN)
    assert isinstance(still, DualInput), still
    assert float(still.source.blood.max()) != pytest.approx(5.0 * DOSE, rel=0.08)


def test_images_that_lie_elsewhere_in_the_plane_are_read_by_their_place(
    clipped: SegmentedSlice, arterial: ArterialImages
) -> None:
    """Another field of view: fewer rows, and others first."""
    low = arterial.image
    affine = low.affine.copy()
    affine[:, 3] = low.affine @ (0.0, 3.0, 2.0, 1.0)
    cut = images(replace(low, array=low.array[:, :, 3:, 2:], affine=affine))
    found, whole = measured(clipped, cut).arterial_input, measured(clipped, arterial).arterial_input
    assert found is not None
    assert whole is not None
    assert found.peak == pytest.approx(whole.peak, rel=1e-6)


@pytest.mark.parametrize("by_mm", [(0.0, 0.0), (8.0, -4.0), (-6.0, 8.0)])
def test_a_pool_that_lies_beside_its_place_is_found(
    by_mm: tuple[float, float], clipped: SegmentedSlice, arterial: ArterialImages
) -> None:
    """Another phase of the heart, or a breath within a beat."""
    low = arterial.image
    affine = low.affine.copy()
    affine[:3, 3] += affine[:3, 1:3] @ (np.array(by_mm) / (1.6 * COARSENESS))
    found = measured(clipped, images(replace(low, affine=affine)))
    assert found.basis == DUAL
    assert found.arterial_input is not None
    assert found.arterial_input.peak == pytest.approx(5.0 * DOSE, rel=0.06)


def test_the_search_passes_over_blood_that_comes_too_early() -> None:
    """The right ventricle lies beside the left one, and is brighter."""
    course = known(1.0)
    rows, columns = np.indices((SIZE, SIZE))
    right = 2.0 * np.interp(course.times_s + 4.0, course.times_s, course.blood)
    square = np.zeros((len(course.times_s), SIZE, SIZE), dtype=np.float32)
    left_pool = np.hypot(rows - 24, columns - 28) < 5
    square[:, left_pool] = course.blood[:, None]
    square[:, np.hypot(rows - 24, columns - 16) < 6] = right[:, None]
    core = np.hypot(rows - 24, columns - 24) < 4
    earliest = rise_s(course.times_s, course.blood) - 0.75
    found = centred_on(square, core, (course.times_s, earliest), 1.6)
    np.testing.assert_allclose(found[:, core].mean(axis=1), course.blood, rtol=0.05, atol=0.05)


def earlier(series: TimeSeries, by_s: float) -> TimeSeries:
    """Return images whose contrast comes so much earlier, as that of the right ventricle does."""
    times = series.times_s[:, 0]
    flat = series.array.reshape(len(times), -1)
    moved = np.stack([np.interp(times + by_s, times, values) for values in flat.T], axis=1)
    return replace(series, array=moved.reshape(series.array.shape).astype(np.float32))


@pytest.mark.parametrize("by_s", [3.0, 5.0])
def test_the_right_ventricle_is_never_taken(
    by_s: float, clipped: SegmentedSlice, arterial: ArterialImages
) -> None:
    found = measured(clipped, images(earlier(arterial.image, by_s)))
    assert found.basis is None
    (note,) = found.notes
    assert note.startswith("flow: dual sequence not used")
    assert "as that of the right one does" in note


def test_points_that_the_right_ventricle_shines_into_are_left_out() -> None:
    course = known(1.0)
    blood, times = course.blood, course.times_s
    right = 2.0 * np.interp(times + 4.0, times, blood)
    curves = np.stack([*([blood] * 30), *([0.5 * blood + right] * 20)], axis=1)
    np.testing.assert_allclose(brightest_with(times, curves, blood), blood)
    assert rise_s(times, right) == pytest.approx(rise_s(times, blood) - 4.0, abs=0.2)


def test_muscle_in_the_pool_is_left_out() -> None:
    course = known(1.0)
    share = np.linspace(0.5, 1.0, 60)
    curves = course.blood[:, None] * share + course.tissue[:, None] * (1.0 - share)
    core = curves.mean(axis=1)
    found = brightest_with(course.times_s, curves, core)
    assert found.max() > 0.9 * course.blood.max() > 1.1 * core.max()


def at_height(arterial: ArterialImages, mm: float) -> ArterialImages:
    low = arterial.image
    affine = low.affine.copy()
    affine[:3, 3] += mm * affine[:3, 0] / np.linalg.norm(affine[:3, 0])
    return replace(arterial, image=replace(low, affine=affine))


def concentrations(arterial: ArterialImages) -> ArterialImages:
    return replace(arterial, image=replace(arterial.image, unit=CONCENTRATION_UNIT))


def stating(arterial: ArterialImages, **changed: object) -> ArterialImages:
    return images(arterial.image, **changed)


def test_what_cannot_be_used_is_told_and_the_series_goes_on(arterial: ArterialImages) -> None:
    bent = signals(ring((2.0, 2.0)), OWN)
    alone = measured(bent, None)
    assert alone.basis == LINEAR
    for unusable, why in (
        (at_height(arterial, 12.0), "on none of their slices"),
        (concentrations(arterial), "they are concentrations"),
        (stating(arterial, InversionTime=None), "no saturation delay"),
        (stating(arterial, InversionTime=100.0), "not below that of the series"),
        (stating(arterial, ScanningSequence="IR"), "inversion recovery"),
        (stating(arterial, MagneticFieldStrength=0.5), "known at 1.5 and 3 T"),
    ):
        found = measured(bent, unusable)
        (note,) = found.notes
        assert note.startswith("flow: dual sequence not used: "), note
        assert why in note
        assert (found.basis, found.estimates) == (LINEAR, alone.estimates)
        assert found.arterial_input is not None
        assert found.arterial_input.images == OWN_IMAGES


def test_without_the_sequence_of_the_series_its_tissue_is_no_concentration(
    arterial: ArterialImages,
) -> None:
    bent = signals(ring((2.0, 2.0)), OWN)
    image = series_of([bent], None)
    found = measure_flow([bent], image, AhaResult(), "research", None, arterial)
    assert "sequence of the series' own images is not known" in found.notes[0]


def test_a_series_that_ends_with_the_bolus_gives_no_scale(
    clipped: SegmentedSlice, arterial: ArterialImages
) -> None:
    peak = int(clipped.square[:, clipped.classes == BLOOD_POOL].mean(axis=1).argmax())
    n_beats = peak + 6
    low = arterial.image
    short = images(replace(low, array=low.array[:n_beats], times_s=low.times_s[:n_beats]))
    image = series_of([clipped], None)
    one = replace(clipped, square=clipped.square[:n_beats])
    image = replace(image, array=image.array[:n_beats], times_s=image.times_s[:n_beats])
    found = dual_input([one], image, short, OWN)
    assert "fewer than 5 beats after the peak" in str(found)


def test_concentrations_of_both_are_taken_as_they_are(dense: SegmentedSlice) -> None:
    """The input says so of both: nothing is taken for granted."""
    cut = replace(dense, square=np.minimum(dense.square, 6.0))
    low = low_series(dense)
    side = SIZE // COARSENESS
    mean = dense.square.reshape(len(dense.square), side, COARSENESS, side, COARSENESS)
    handed = ArterialImages(
        image=replace(
            low,
            array=mean.mean(axis=(2, 4))[:, None],
            times_s=series_of([dense]).times_s,
            unit=CONCENTRATION_UNIT,
        ),
        frames=(),
        header=Dataset(),
    )
    assert measure_flow([cut], series_of([cut]), AhaResult(), "refuse").basis is None
    found = measure_flow([cut], series_of([cut]), AhaResult(), "refuse", None, handed)
    assert (found.basis, found.is_research) == (CONCENTRATION, False)
    assert found.arterial_input is not None
    assert found.arterial_input.images == DUAL_IMAGES
    assert fermi(found)[0] == pytest.approx(2.0, rel=0.1)


def test_signals_stay_refused_unless_a_site_asks(
    clipped: SegmentedSlice, arterial: ArterialImages
) -> None:
    found = measure_flow(
        [clipped], series_of([clipped], None), AhaResult(), "refuse", OWN, arterial
    )
    assert (found.basis, found.notes) == (None, ())
    assert "signals" in str(found.refused)


def test_a_slice_that_the_images_show_beside_others_is_found(
    clipped: SegmentedSlice, arterial: ArterialImages
) -> None:
    """The basal one of three: the input is its, and all slices are deconvolved by it."""
    three = [replace(clipped, slice_index=index) for index in range(3)]
    found = dual_input(three, series_of(three, None), basal(arterial), OWN)
    assert isinstance(found, DualInput), found
    assert found.slice_index == 2


def basal(arterial: ArterialImages) -> ArterialImages:
    """Return the images at the place of the last of three slices."""
    low = arterial.image
    step: NDArray[np.float64] = series_of([ring((1.0, 1.0))] * 3).affine
    offset = step @ (2.0, 0.0, 0.0, 1.0) - series_of([ring((1.0, 1.0))]).affine[:, 3]
    affine = low.affine.copy()
    affine[:, 3] += offset
    return replace(arterial, image=replace(low, affine=affine))
