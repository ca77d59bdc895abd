"""Flow of signals whose sequence is known: made linear, marked as research, refused if clipped."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.analyses.perfusion.aha import SegmentedSlice
from pipeline.analyses.perfusion.concentration import relative_signal
from pipeline.analyses.perfusion.flow.measure import flow_notes, measure_flow
from pipeline.analyses.perfusion.flow.result import (
    CONCENTRATION,
    LINEAR,
    RESEARCH,
    FlowResult,
    flow_outcome,
    of_signals,
)
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM, AhaResult
from pipeline.analyses.perfusion.sequence import ReadOut, read_out_of
from pipeline.imaging.volume import TimeSeries
from tests.analyses.perfusion.test_sequence import header
from tests.support.flows import ring, series_of

GAIN = 700.0
"""Signal of whole recovery."""


@pytest.fixture(scope="module")
def read_out() -> ReadOut:
    """Return a sequence that a header states."""
    found = read_out_of(header())
    assert isinstance(found, ReadOut), found
    return found


def signals(one: SegmentedSlice, read_out: ReadOut) -> SegmentedSlice:
    """Return a slice of concentrations as the sequence shows it."""
    square = one.square.astype(np.float64)
    seen = np.zeros_like(square)
    for value, tissue in ((MYOCARDIUM, read_out.myocardium), (BLOOD_POOL, read_out.blood)):
        points = one.classes == value
        seen[:, points] = GAIN * relative_signal(square[:, points], tissue)
    return replace(one, square=seen.astype(np.float32))


@pytest.fixture(scope="module")
def slices(read_out: ReadOut) -> list[SegmentedSlice]:
    return [signals(ring((1.0, 1.0)), read_out), signals(ring((2.0, 2.0), index=1), read_out)]


@pytest.fixture(scope="module")
def image(slices: list[SegmentedSlice]) -> TimeSeries:
    return series_of(slices, unit=None)


@pytest.fixture(scope="module")
def flow(slices: list[SegmentedSlice], image: TimeSeries, read_out: ReadOut) -> FlowResult:
    return measure_flow(slices, image, AhaResult(), "research", read_out)


def clipped(one: SegmentedSlice, structure: int) -> SegmentedSlice:
    """Return a slice of which a structure is brighter for a while than whole recovery."""
    square = one.square.copy()
    course = square[:, one.classes == structure].mean(axis=1)
    for beat in np.argsort(course)[-3:]:
        square[beat, one.classes == structure] = 1.2 * GAIN
    return replace(one, square=square)


def fermi(found: FlowResult) -> dict[int | None, float]:
    return {
        e.slice_index: e.flow_ml_min_g
        for e in found.estimates
        if e.method == "fermi" and e.segment is None
    }


def test_signals_made_linear_give_the_flow_that_signals_do_not(
    flow: FlowResult, slices: list[SegmentedSlice], image: TimeSeries
) -> None:
    assert fermi(flow)[0] == pytest.approx(1.0, rel=0.08)
    assert fermi(flow)[1] == pytest.approx(2.0, rel=0.15)
    plain = measure_flow(slices, image, AhaResult(), "research")
    assert plain.basis == RESEARCH
    assert fermi(plain)[0] > 1.5, "a bent input function makes flow too high"


def test_the_map_is_made_linear_too(flow: FlowResult, slices: list[SegmentedSlice]) -> None:
    assert flow.map is not None
    wall = slices[0].classes == MYOCARDIUM
    assert np.median(flow.map.array[0][wall]) == pytest.approx(1.0, rel=0.15)


def test_it_is_marked_with_a_basis_of_its_own(flow: FlowResult, image: TimeSeries) -> None:
    assert (flow.basis, flow.is_research) == (LINEAR, True)
    assert flow.arterial_input is not None
    assert flow.arterial_input.unit == "mmol/l"
    assert flow.arterial_input.peak == pytest.approx(5.0, rel=0.05)
    (note,) = flow_notes(flow, image)
    assert note.startswith(f"flow: {LINEAR}: ")
    outcome = flow_outcome(flow)
    assert outcome is not None
    assert outcome["basis"] == LINEAR
    assert of_signals(outcome) == "research", "corrections are measured the same way"


def test_signals_stay_refused_by_default(
    slices: list[SegmentedSlice], image: TimeSeries, read_out: ReadOut
) -> None:
    found = measure_flow(slices, image, AhaResult(), "refuse", read_out)
    assert found.basis is None
    assert "signals" in str(found.refused)


def test_stated_concentrations_are_taken_as_they_are(read_out: ReadOut) -> None:
    one = ring((1.0, 1.0))
    found = measure_flow([one], series_of([one]), AhaResult(), "research", read_out)
    assert found.basis == CONCENTRATION
    assert fermi(found)[0] == pytest.approx(1.0, rel=0.06)


def test_blood_that_was_clipped_is_refused_with_the_reason(
    slices: list[SegmentedSlice], read_out: ReadOut
) -> None:
    cut = clipped(slices[0], BLOOD_POOL)
    found = measure_flow([cut], series_of([cut], unit=None), AhaResult(), "research", read_out)
    assert found.basis is None
    assert found.refused == (
        "slice 0: clipped: the blood has a signal that the stated sequence cannot give"
    )


def test_a_wall_that_was_clipped_has_no_flow_and_a_note(
    slices: list[SegmentedSlice], image: TimeSeries, read_out: ReadOut
) -> None:
    both = [slices[0], clipped(slices[1], MYOCARDIUM)]
    found = measure_flow(both, image, AhaResult(), "research", read_out)
    assert set(fermi(found)) == {None, 0}
    assert fermi(found)[None] == pytest.approx(fermi(found)[0])
    assert found.map is not None
    assert (found.map.array[1] == 0).all()
    noted = list(flow_notes(found, image))
    assert noted[1:] == [
        "flow: none of the wall of slice 1: it has a signal that the stated sequence cannot give"
    ]


def test_without_the_time_before_contrast_there_is_none(
    slices: list[SegmentedSlice], read_out: ReadOut
) -> None:
    late = replace(slices[0], square=slices[0].square[12:])
    series = series_of([late], unit=None)
    cut = replace(series, times_s=series.times_s[: len(late.square)])
    found = measure_flow([late], cut, AhaResult(), "research", read_out)
    assert found.basis is None
    assert str(found.refused).startswith("slice 0: no baseline")
