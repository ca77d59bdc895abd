"""Flow of slices: where it is measured, where it is refused, and how research is marked."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.flow import real
from pipeline.analyses.perfusion.aha import SegmentedSlice
from pipeline.analyses.perfusion.flow.bloodpool import blood_core
from pipeline.analyses.perfusion.flow.measure import flow_notes, measure_flow
from pipeline.analyses.perfusion.flow.result import (
    CONCENTRATION,
    FERMI,
    RESEARCH,
    FlowResult,
    flow_outcome,
    of_signals,
)
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM, AhaResult
from pipeline.analyses.perfusion.segmentnames import Layer
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.errors import UnusableCall
from pipeline.imaging.volume import TimeSeries
from tests.support.flows import known, ring, series_of
from tests.support.realdata import real_data


@pytest.fixture(scope="module")
def slices() -> list[SegmentedSlice]:
    return [ring((1.0, 1.0)), ring((2.0, 2.0), index=1)]


@pytest.fixture(scope="module")
def image(slices: list[SegmentedSlice]) -> TimeSeries:
    return series_of(slices)


@pytest.fixture(scope="module")
def flow(slices: list[SegmentedSlice], image: TimeSeries) -> FlowResult:
    anterior = {(0, 7, Layer.ENDOCARDIAL.value): known(1.0).tissue}
    return measure_flow(slices, image, AhaResult(layer_curves=anterior), "refuse")


def test_concentrations_give_the_flow_of_each_slice_and_their_mean(flow: FlowResult) -> None:
    assert (flow.basis, flow.refused) == (CONCENTRATION, None)
    walls = {
        (e.slice_index, e.method): e.flow_ml_min_g for e in flow.estimates if e.segment is None
    }
    for method in ("fermi", "model_free"):
        assert walls[0, method] == pytest.approx(1.0, rel=0.06)
        assert walls[1, method] == pytest.approx(2.0, rel=0.12)
        assert walls[None, method] == pytest.approx(
            (walls[0, method] + walls[1, method]) / 2, rel=1e-6
        )
    for each in flow.estimates:
        assert each.low_ml_min_g <= each.flow_ml_min_g <= each.high_ml_min_g


def test_a_layer_of_a_segment_is_measured_by_its_own_curve(flow: FlowResult) -> None:
    (found,) = (e for e in flow.estimates if e.segment == 7 and e.method == FERMI)
    assert (found.slice_index, found.layer, found.segment_name) == (
        0,
        "endocardial",
        "mid anterior",
    )
    assert found.flow_ml_min_g == pytest.approx(1.0, rel=0.06)
    assert found.delay_s == pytest.approx(0.7, abs=0.3)
    assert found.residual is not None
    assert found.residual < 0.02


def test_the_map_shows_each_half_of_a_wall_with_its_own_flow() -> None:
    one = ring((1.0, 2.5))
    found = measure_flow([one], series_of([one]), AhaResult(), "refuse")
    assert found.map is not None
    wall = one.classes == MYOCARDIUM
    columns = np.indices(wall.shape)[1]
    values = found.map.array[0]
    assert np.median(values[wall & (columns < 20)]) == pytest.approx(1.0, rel=0.15)
    assert np.median(values[wall & (columns > 28)]) == pytest.approx(2.5, rel=0.2)
    assert (values[~wall] == 0).all()


def test_signals_are_refused_by_default(slices: list[SegmentedSlice]) -> None:
    image = series_of(slices, unit=None)
    found = measure_flow(slices, image, AhaResult(), "refuse")
    assert found.basis is None
    assert found.refused is not None
    assert "signals" in found.refused
    assert found.estimates == ()
    assert found.map is None
    assert list(flow_notes(found, image)) == []


def test_a_flow_of_signals_is_marked_as_research_everywhere(slices: list[SegmentedSlice]) -> None:
    image = series_of(slices, unit=None)
    found = measure_flow(slices[:1], image, AhaResult(), "research")
    assert (found.basis, found.is_research) == (RESEARCH, True)
    assert found.arterial_input is not None
    assert found.arterial_input.unit == "{intensity}"
    (note,) = flow_notes(found, image)
    assert note.startswith("flow: research, from signal")
    outcome = flow_outcome(found)
    assert outcome is not None
    assert outcome["basis"] == RESEARCH
    assert of_signals(outcome) == "research"
    assert of_signals(None) == "refuse"


def test_counted_beats_are_no_times(slices: list[SegmentedSlice], image: TimeSeries) -> None:
    found = measure_flow(slices, replace(image, times_are_estimated=True), AhaResult(), "refuse")
    assert found.refused is not None
    assert "beats are only counted" in found.refused
    (note,) = flow_notes(found, image)
    assert note.startswith("no flow: beats are only counted")


def test_a_clipped_input_of_every_slice_is_refused_with_each_slices_reason() -> None:
    one = ring((1.0, 1.0))
    square = np.minimum(one.square, 0.7 * one.square.max())
    cut = replace(one, square=square)
    found = measure_flow([cut], series_of([cut]), AhaResult(), "refuse")
    assert found.refused is not None
    assert found.refused.startswith("slice 0: clipped")


def test_the_sound_slice_with_the_highest_peak_is_the_input(image: TimeSeries) -> None:
    low = ring((1.0, 1.0), unit_scale=0.8)
    high = ring((1.0, 1.0), index=1)
    found = measure_flow([low, high], image, AhaResult(), "refuse")
    assert found.arterial_input is not None
    assert found.arterial_input.slice_index == 1
    assert found.arterial_input.peak == pytest.approx(5.0, rel=0.05)


def test_blood_is_taken_from_the_middle_of_its_pool() -> None:
    classes = ring((1.0, 1.0)).classes
    core = blood_core(classes)
    pool = classes == BLOOD_POOL
    assert (core <= pool).all()
    assert 0.1 < core.sum() / pool.sum() < 0.5
    small = np.where(core, classes, 0).astype(np.uint8)
    small[:, 24:] = 0
    small[:23] = 0
    assert blood_core(small).sum() <= (small == BLOOD_POOL).sum()


def test_what_is_done_with_signals_is_one_of_two_things() -> None:
    with pytest.raises(UnusableCall, match="flow is 'yes', possible are refuse, research"):
        PerfusionSettings(flow="yes")
    assert "flow" not in PerfusionSettings().as_dict()
    assert PerfusionSettings(flow="research").as_dict()["flow"] == "research"


def test_the_real_concentration_series_has_the_flow_of_a_heart_at_rest() -> None:
    real_data("perfusion", "quantification", "perf_data.mat")
    found = real()
    assert found is not None
    for method in ("fermi", "model_free"):
        _, median, _ = found["quartiles"][method]  # type: ignore[index]
        assert 0.85 < median < 1.15
