"""Known flows are recovered, and the intervals hold them."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analyses.perfusion.flow.fermi import FermiModel, fermi
from pipeline.analyses.perfusion.flow.modelfree import ModelFree
from pipeline.analyses.perfusion.flow.response import DENSITY, Deconvolved, on_grid
from pipeline.phantom.flowcurves import RESIDUES
from tests.support.flows import Known, known

METHODS: dict[str, type[FermiModel | ModelFree]] = {
    "fermi": FermiModel,
    "model_free": ModelFree,
}
MOST_BIAS = {"fermi": 0.15, "exponential": 0.20}
"""Relative to flows up to 2 ml/min/g, at a noise of 5 %."""


def measured(method: str, given_: Known) -> Deconvolved:
    return METHODS[method](given_.source, given_.times_s).fit(given_.tissue)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MOST_BIAS)
def test_known_flows_are_recovered_within_the_stated_error(method: str, model: str) -> None:
    for flow in (0.5, 1.0, 2.0):
        found = [measured(method, known(flow, model).with_noise(n, 0.05)).flow for n in range(5)]
        sys.stdout.write(f"{model} {method} {flow}: {np.mean(found):.2f} +- {np.std(found):.2f}\n")
        assert abs(np.mean(found) - flow) < MOST_BIAS[model] * flow


@pytest.mark.parametrize("method", METHODS)
def test_flows_under_stress_are_recovered_too_where_the_residue_is_one_that_is_fitted(
    method: str,
) -> None:
    found = [measured(method, known(3.5).with_noise(n, 0.02)).flow for n in range(5)]
    assert abs(np.mean(found) - 3.5) < 0.5


@pytest.mark.parametrize("method", METHODS)
def test_most_intervals_hold_the_true_flow_and_are_no_wider_than_they_need_be(method: str) -> None:
    found = [measured(method, known(1.0).with_noise(n, 0.05)) for n in range(16)]
    assert sum(each.low <= 1.0 <= each.high for each in found) >= 13
    assert np.median([each.high - each.low for each in found]) < 0.6
    assert all(each.low <= each.flow <= each.high for each in found)


def test_less_noise_makes_narrower_intervals() -> None:
    for method in METHODS:
        wide, narrow = (measured(method, known(1.0).with_noise(1, share)) for share in (0.1, 0.01))
        assert narrow.high - narrow.low < wide.high - wide.low


@pytest.mark.parametrize("method", METHODS)
@given(factor=st.floats(0.1, 8.0), later=st.floats(-5.0, 100.0))
@settings(max_examples=4, deadline=None)
def test_units_and_the_clock_leave_the_flow(method: str, factor: float, later: float) -> None:
    noisy = known(1.5).with_noise(3, 0.03)
    source = noisy.source
    usual = METHODS[method](source, noisy.times_s).fit(noisy.tissue).flow
    moved = Known(times_s=noisy.times_s + later, blood=noisy.blood, tissue=noisy.tissue)
    assert measured(method, moved).flow == pytest.approx(usual, rel=0.02)
    scaled = Known(
        times_s=noisy.times_s,
        blood=np.clip(factor, 0.2, 3.5) * noisy.blood,
        tissue=np.clip(factor, 0.2, 3.5) * noisy.tissue,
    )
    assert measured(method, scaled).flow == pytest.approx(usual, rel=0.02)


@pytest.mark.parametrize("method", METHODS)
@given(factor=st.floats(0.3, 2.0))
@settings(max_examples=4, deadline=None)
def test_twice_the_tissue_is_twice_the_flow(method: str, factor: float) -> None:
    noisy = known(1.5).with_noise(3, 0.03)
    model = METHODS[method](noisy.source, noisy.times_s)
    usual, scaled = (model.fit(share * noisy.tissue).flow for share in (1.0, factor))
    assert scaled == pytest.approx(factor * usual, rel=0.02)


def test_what_never_leaves_adds_up_by_the_definition_of_flow() -> None:
    given_ = known(1.0)
    blood = on_grid(given_.source)
    response = blood.responses(np.ones_like(blood.lags_s))
    expected = DENSITY / 60.0 * np.trapezoid(blood.blood, blood.grid_s)
    assert response[-1] == pytest.approx(expected, rel=1e-6)


def test_a_fermi_function_begins_at_one_and_falls_to_half_at_its_width() -> None:
    lags = np.linspace(0.0, 40.0, 400)
    found = fermi(lags, 12.0, 1.5)
    assert found[0] == pytest.approx(1.0)
    assert (np.diff(found) <= 0).all()
    assert np.interp(12.0, lags, found) == pytest.approx(0.5, abs=0.01)
    assert np.isfinite(fermi(np.array([1e4]), 0.5, 3.0)).all()


@pytest.mark.parametrize("name", RESIDUES)
@pytest.mark.parametrize("flow", [0.3, 1.0, 5.0])
def test_a_residue_of_the_reference_object_begins_at_one_and_only_falls(
    name: str, flow: float
) -> None:
    residue = RESIDUES[name](np.linspace(0.0, 200.0, 2001), flow)
    assert residue[0] == pytest.approx(1.0)
    assert (np.diff(residue) <= 1e-12).all()
    assert (residue >= 0).all()


def test_the_table_of_pixels_agrees_with_the_fit() -> None:
    noisy = [known(flow).with_noise(5, 0.02) for flow in (0.7, 1.5, 2.5)]
    model = FermiModel(noisy[0].source, noisy[0].times_s)
    found = model.flows(np.stack([each.tissue for each in noisy], axis=1))
    np.testing.assert_allclose(found, [model.fit(each.tissue).flow for each in noisy], rtol=0.15)


def test_tissue_that_holds_nothing_has_no_flow() -> None:
    given_ = known(1.0)
    rng = np.random.default_rng(2)
    nothing = rng.normal(0.0, 0.01, len(given_.tissue))
    for method in METHODS.values():
        found = method(given_.source, given_.times_s).fit(nothing)
        assert found.flow < 0.15
        assert found.low < 0.02
