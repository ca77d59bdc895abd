"""AHA segments: the right ventricle is found, and segments are counted from where it meets."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.analyses.perfusion.aha import SegmentedSlice, measure_segments
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.motion import estimate_shifts
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM, AhaResult
from pipeline.analyses.perfusion.rightventricle import Contact, contact_of, right_ventricle
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES, Layer
from pipeline.analyses.perfusion.segments import (
    BASE_LPS,
    ROUND_THE_SEPTUM,
    Level,
    layer_masks,
    levels_of,
    segment_numbers,
)
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.perfusion.state import state_of
from pipeline.imaging.nifti import read_labels, read_time_series
from pipeline.ingest.inventory import take_inventory
from pipeline.phantom import Phantom, PhantomSettings, perfusion_phantom
from tests.support.realdata import real_data

SIZE, SPACING_MM = 96, 2.0


def tell(figures: str) -> None:
    """Show figures to whoever runs the tests with ``-s``."""
    sys.stdout.write(f"{figures}\n")


@pytest.fixture(scope="module")
def study() -> Phantom:
    return perfusion_phantom(3, PhantomSettings(n_beats=50, rows=112, columns=112))


def on_grid(
    frames: NDArray[np.float32],
    labels: NDArray[np.uint8],
    shifts_mm: NDArray[np.float64],
    spacing_mm: tuple[float, float] = (SPACING_MM, SPACING_MM),
    index: int = 0,
) -> SegmentedSlice:
    """Return a slice and its labels on a grid as the model's."""
    row, column = np.argwhere(labels == BLOOD_POOL).mean(axis=0)
    grid = SliceGrid(
        centre=(row, column), pixel_spacing_mm=spacing_mm, size=SIZE, spacing_mm=SPACING_MM
    )
    still = np.zeros((1, 2))
    shares = [grid.resample((labels == n).astype(np.float32)[None], still)[0] for n in range(3)]
    return SegmentedSlice(
        slice_index=index,
        square=grid.resample(frames, shifts_mm),
        classes=np.argmax(shares, axis=0).astype(np.uint8),
        grid=grid,
    )


def slices_of(phantom: Phantom) -> list[SegmentedSlice]:
    return [
        on_grid(phantom.image.array[:, n], phantom.labels[n], phantom.shifts_mm[:, n], index=n)
        for n in range(phantom.image.n_slices)
    ]


def degrees_apart(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the angle between two vectors [deg]."""
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def errors(phantom: Phantom, result: AhaResult) -> list[float]:
    """Return how far each insertion is from the truth, seen from the ventricle's middle [deg]."""
    found = []
    for place in result.slices:
        index = place.slice_index
        middle = np.argwhere(phantom.labels[index] == BLOOD_POOL).mean(axis=0)
        points = (place.anterior_insertion_lps_mm, place.inferior_insertion_lps_mm)
        for point, truth in zip(points, phantom.insertions[index], strict=True):
            centre, expected = (
                phantom.image.affine[:3] @ np.array([index, *at, 1.0]) for at in (middle, truth)
            )
            found.append(degrees_apart(np.array(point) - centre, expected - centre))
    return found


@pytest.mark.parametrize("randomise", [False, True])
def test_both_insertions_are_found_and_told_apart_whatever_way_the_heart_is_turned(
    randomise: bool,
) -> None:
    settings = PhantomSettings(n_beats=50, rows=112, columns=112, randomise=randomise)
    found, n_slices = [], 0
    for seed in range(12):
        phantom = perfusion_phantom(seed, replace(settings, pixel_spacing_mm=(2.0, 2.0)))
        result = measure_segments(slices_of(phantom), phantom.image)
        found += errors(phantom, result)
        n_slices += len(result.slices)
    tell(f"{len(found)} insertions: median {np.median(found):.1f}, worst {max(found):.1f} deg")
    assert n_slices == 36 if not randomise else n_slices > 22
    assert np.median(found) < 2.5
    assert max(found) < 12


def test_each_level_has_its_segments_and_each_segment_its_numbers(study: Phantom) -> None:
    result = measure_segments(slices_of(study), study.image)
    assert [s.level for s in result.slices] == ["apical", "mid", "basal"], "slices ascend to base"
    assert {m.segment for m in result.measurements} == set(range(1, 17))
    assert {m.layer for m in result.measurements} == set(Layer)
    for each in result.measurements:
        assert each.segment_name == SEGMENT_NAMES[each.segment]
        assert np.isfinite(each.value)
        assert each.value > 0
    units = {m.name: m.unit for m in result.measurements}
    assert units == {
        "baseline": "{intensity}",
        "noise": "{intensity}",
        "arrival_time": "s",
        "time_to_peak": "s",
        "peak_enhancement": "{intensity}",
        "upslope": "{intensity}/s",
        "area": "{intensity}.s",
        "contrast_ratio": "1",
        "contrast_to_noise": "1",
        "relative_upslope": "1",
    }
    assert set(result.curves) == {(m.slice_index, m.segment) for m in result.measurements}
    assert result.notes == ()


def test_a_defect_lies_in_the_segments_that_it_was_painted_into() -> None:
    settings = PhantomSettings(n_slices=1, n_beats=50, rows=112, columns=112)
    phantom = perfusion_phantom(3, settings)
    (one,) = slices_of(phantom)
    whole = measure_segments([one], phantom.image)
    (place,) = whole.slices
    assert place.level == "mid"
    rows, columns = np.indices(one.classes.shape)
    row, column = np.argwhere(one.classes == BLOOD_POOL).mean(axis=0)
    angle = np.arctan2(rows - row, columns - column)
    middle = np.argwhere(phantom.labels[0] == BLOOD_POOL).mean(axis=0)
    anterior, inferior = (float(np.arctan2(*(at - middle))) for at in phantom.insertions[0])
    toward = np.sign(np.angle(np.exp(1j * (inferior - anterior))))
    # 60 degrees from the anterior insertion through the septum: anteroseptal.
    away = np.mod(toward * (angle - anterior), 2 * np.pi)
    struck = (away < np.pi / 3) & (one.classes == MYOCARDIUM)
    square = one.square.copy()
    square[:, struck] = square[0, struck].mean()
    found = measure_segments([replace(one, square=square)], phantom.image)
    slopes = {
        m.segment: m.value
        for m in found.measurements
        if (m.layer, m.name) == (Layer.WALL, "relative_upslope")
    }
    assert min(slopes, key=lambda n: slopes[n]) == 8
    assert slopes[8] < 0.3 * np.median([v for n, v in slopes.items() if n != 8])


@given(turns=st.integers(0, 3), mirrored=st.booleans(), index=st.integers(0, 2))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_turning_or_mirroring_the_picture_turns_the_segments(
    turns: int, mirrored: bool, index: int
) -> None:
    study = perfusion_phantom(3, PhantomSettings(n_beats=50, rows=112, columns=112))
    one = slices_of(study)[index]
    numbers = numbers_of(one)

    def turned(array: NDArray[np.generic]) -> NDArray[np.generic]:
        moved = np.flip(array, -1) if mirrored else array
        return np.ascontiguousarray(np.rot90(moved, turns, axes=(-2, -1)))

    other = replace(one, square=turned(one.square), classes=turned(one.classes))
    right = right_ventricle(other.square, other.classes, SPACING_MM)
    assert right is not None
    contact = contact_of(right, other.classes, SPACING_MM)
    assert contact is not None
    # A mirrored picture has its contact in the other sense.
    for starts_anterior in (True, False):
        found = segment_numbers(other.classes, contact, Level.MID, starts_anterior=starts_anterior)
        if starts_anterior != mirrored:
            assert (found != turned(numbers)).mean() < 0.002
        else:
            assert (found != turned(numbers)).mean() > 0.02


def numbers_of(one: SegmentedSlice) -> NDArray[np.uint8]:
    """Return the segments, as if the contact began at the front."""
    right = right_ventricle(one.square, one.classes, SPACING_MM)
    assert right is not None
    contact = contact_of(right, one.classes, SPACING_MM)
    assert contact is not None
    return segment_numbers(one.classes, contact, Level.MID, starts_anterior=True)


def ring() -> NDArray[np.uint8]:
    rows, columns = np.indices((SIZE, SIZE))
    radius = np.hypot(rows - 47.5, columns - 47.5)
    classes = np.where(radius <= 20, MYOCARDIUM, 0)
    return np.where(radius <= 12, BLOOD_POOL, classes).astype(np.uint8)


@given(
    start=st.floats(-np.pi, np.pi),
    extent=st.floats(1.0, 3.0),
    starts_anterior=st.booleans(),
    level=st.sampled_from(Level),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_segments_are_equal_sectors_counted_from_the_anterior_insertion_through_the_septum(
    start: float, extent: float, starts_anterior: bool, level: Level
) -> None:
    contact = Contact(centre=(47.5, 47.5), start_rad=start, extent_rad=extent)
    numbers = segment_numbers(ring(), contact, level, starts_anterior=starts_anterior)
    assert (numbers > 0).sum() == (ring() == MYOCARDIUM).sum()
    order = ROUND_THE_SEPTUM[level]
    width = 2 * np.pi / len(order)
    reference = start if starts_anterior else start + extent
    sense = 1 if starts_anterior else -1
    offset = np.deg2rad(15) if level is Level.APICAL else 0.0
    for place, segment in enumerate(order):
        assert abs((numbers == segment).mean() * len(order) - (numbers > 0).mean()) < 0.004
        middle = reference + sense * (offset + (place + 0.5) * width)
        row, column = 47.5 + 16 * np.sin(middle), 47.5 + 16 * np.cos(middle)
        assert numbers[round(row), round(column)] == segment
    septal = order[0] if level is Level.APICAL else None
    middle = reference + sense * np.deg2rad(60)
    at = numbers[round(47.5 + 16 * np.sin(middle)), round(47.5 + 16 * np.cos(middle))]
    assert at in ((septal,) if septal else order[:2])


def test_layers_share_the_wall_out() -> None:
    masks = layer_masks(ring())
    inner, outer = masks[Layer.ENDOCARDIAL], masks[Layer.EPICARDIAL]
    np.testing.assert_array_equal(inner | outer, masks[Layer.WALL])
    assert not (inner & outer).any()
    rows, columns = np.nonzero(inner)
    assert np.hypot(rows - 47.5, columns - 47.5).max() < 17


@pytest.mark.parametrize(
    ("n_slices", "expected"),
    [
        (1, ["mid"]),
        (2, ["basal", "mid"]),
        (3, ["basal", "mid", "apical"]),
        (4, ["basal", "basal", "mid", "apical"]),
        (6, ["basal", "basal", "mid", "mid", "apical", "apical"]),
    ],
)
def test_heights_go_by_the_order_of_slices_from_the_base(
    n_slices: int, expected: list[str]
) -> None:
    indices = [2 * n + 1 for n in range(n_slices)]
    to_apex = levels_of(indices, -BASE_LPS)
    assert [to_apex[n].value for n in indices] == expected
    to_base = levels_of(indices, BASE_LPS)
    assert [to_base[n].value for n in reversed(indices)] == expected


def test_a_series_that_begins_too_late_has_no_segments_and_says_so(study: Phantom) -> None:
    one = slices_of(study)[1]
    blood = one.square[:, one.classes == BLOOD_POOL].mean(axis=1)
    late = one.square[int(blood.argmax()) - 1 :]
    image = replace(
        study.image,
        array=study.image.array[-len(late) :],
        times_s=study.image.times_s[-len(late) :],
    )
    found = measure_segments([replace(one, square=late)], image)
    assert (found.slices, found.measurements) == ((), ())
    assert found.notes[-1] == (
        "slice 1: no segments: the first pass does not show the right ventricle beside the left one"
    )


@pytest.mark.parametrize("axis", range(3))
def test_a_header_without_a_true_orientation_gives_no_segments(axis: int, study: Phantom) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.roll(np.eye(3), axis, axis=0)
    found = measure_segments(slices_of(study), replace(study.image, affine=affine))
    assert found.slices == ()
    assert found.notes == (
        "no segments: by their place in the patient the slices are no short-axis slices",
    )


def test_a_heart_without_blood_around_it_has_no_segments(study: Phantom) -> None:
    one = slices_of(study)[1]
    alone = one.square * (one.classes != 0)
    assert right_ventricle(alone, one.classes, SPACING_MM) is None
    assert right_ventricle(one.square, np.zeros_like(one.classes), SPACING_MM) is None


def test_a_real_right_ventricle_is_found_where_a_person_drew_it() -> None:
    folder = real_data("perfusion", "ge_dicom")
    (candidate,) = take_inventory([folder]).candidates
    image = candidate.load().image  # type: ignore[union-attr]
    drawn = np.load(folder / "masks.npz")
    labels = np.where(drawn["lv"], BLOOD_POOL, np.where(drawn["myo"], MYOCARDIUM, 0))
    frames, spacing = image.array[:, 0], image.spacing_mm[1:]
    row, column = np.argwhere(labels == BLOOD_POOL).mean(axis=0)
    shifts = estimate_shifts(frames, (row, column), spacing)
    shifts = shifts - np.median(shifts, axis=0)
    one = on_grid(frames, labels.astype(np.uint8), shifts, spacing)
    theirs = one.grid.resample(drawn["rv"].astype(np.float32)[None], np.zeros((1, 2)))[0] > 0.5
    ours = right_ventricle(one.square, one.classes, SPACING_MM)
    assert ours is not None
    dice = 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum())
    found, truth = (contact_of(mask, one.classes, SPACING_MM) for mask in (ours, theirs))
    assert found is not None
    assert truth is not None
    apart = [
        abs(np.degrees(np.angle(np.exp(1j * (a - b)))))
        for a, b in ((found.start_rad, truth.start_rad), (found.end_rad, truth.end_rad))
    ]
    result = measure_segments([one], image)
    (place,) = result.slices
    anterior, inferior = (
        np.array(p) for p in (place.anterior_insertion_lps_mm, place.inferior_insertion_lps_mm)
    )
    tell(
        f"GE: Dice {dice:.2f}, inferior {apart[0]:.1f} deg, anterior {apart[1]:.1f} deg, "
        f"anterior - inferior {anterior - inferior} mm"
    )
    assert dice > 0.85
    assert max(apart) < 12
    assert anterior[2] > inferior[2] + 20, "the anterior insertion lies above the other"
    assert {m.segment for m in result.measurements} == set(range(7, 13))


def test_the_right_ventricle_of_real_series_is_found() -> None:
    folder = real_data("perfusion", "internal")
    names = sorted(path for path in folder.glob("*.nii.gz") if "_label" not in path.name)[::10]
    missing = []
    for path in names:
        image = read_time_series(path)
        labels = read_labels(path.with_name(path.name.replace(".nii.gz", "_label.nii.gz")))[:, 0]
        labelled = np.flatnonzero((labels == BLOOD_POOL).sum(axis=(1, 2)) > 30)
        of_a_beat = labels[labelled[len(labelled) // 2]].astype(np.uint8)
        row, column = np.argwhere(of_a_beat == BLOOD_POOL).mean(axis=0)
        frames, spacing = image.array[:, 0], image.spacing_mm[1:]
        shifts = estimate_shifts(frames, (row, column), spacing)
        one = on_grid(frames, of_a_beat, shifts - np.median(shifts, axis=0), spacing)
        if right_ventricle(one.square, one.classes, SPACING_MM) is None:
            missing.append(path.name)
    tell(f"right ventricle found in {len(names) - len(missing)} of {len(names)} real series")
    assert len(names) >= 12
    assert len(missing) <= 1, missing


WORDS = PerfusionSettings()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("First pass REST",), "rest"),
        (("AdenoStress_SAX", "perf"), "stress"),
        (("perf_stress_1",), "stress"),
        (("SA FP Regadenoson",), "stress"),
        (("interest", "forest", "distress"), None),
        (("rest and stress",), None),
        (("", "SAX perfusion"), None),
        (("patient01_rest_basal.nii.gz",), "rest"),
    ],
)
def test_a_state_is_told_by_whole_words(texts: tuple[str, ...], expected: str | None) -> None:
    assert state_of(texts, WORDS.rest_words, WORDS.stress_words) == expected


def test_words_of_this_software_are_no_part_of_a_jobs_id() -> None:
    assert not {"rest_words", "stress_words"} & set(WORDS.as_dict())
    own = replace(WORDS, rest_words=("repose",))
    assert own.as_dict()["rest_words"] == ["repose"]
