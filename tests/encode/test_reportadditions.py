"""What the one-page report says of trust and of flow: each verdict, each number, each refusal."""

from dataclasses import replace

import pytest
from matplotlib.text import Text

from pipeline.analyses.perfusion.flow.result import (
    CONCENTRATION,
    RESEARCH,
    FlowEstimate,
    FlowResult,
)
from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.analyses.perfusion.trust import assess
from pipeline.encode.reportadditions import NO_CALIBRATION, additions_of
from pipeline.encode.reportlines import ReportAddition
from pipeline.encode.reportpage import report_figure
from pipeline.study import InputSeries
from tests.support.results import CONTEXT, result_on
from tests.support.traps import stack
from tests.support.trust import signs, trust_model
from tests.support.vendors import STYLES, through

SIGNS = {0: signs(), 1: signs(agreement=0.5, u_pp=0.05)}


def flow_of(basis: str) -> FlowResult:
    """Return the flow of a slice and of the mean, by both methods."""
    estimates = tuple(
        FlowEstimate(
            slice_index=index,
            segment=None,
            segment_name=None,
            layer="wall",
            method=method,
            flow_ml_min_g=flow,
            low_ml_min_g=flow - 0.25,
            high_ml_min_g=flow + 0.5,
            delay_s=None,
            residual=None,
        )
        for index in (0, None)
        for method, flow in (("model_free", 1.0), ("fermi", 2.0))
    )
    return FlowResult(basis=basis, refused=None, estimates=estimates)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> InputSeries:
    return through(STYLES["standard"], stack(12, n_slices=3), tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def plain(series: InputSeries) -> PerfusionResult:
    return result_on(series.image)


def only(result: PerfusionResult) -> ReportAddition:
    (found,) = additions_of(result)
    return found


def test_what_was_neither_judged_nor_measured_adds_nothing(plain: PerfusionResult) -> None:
    assert additions_of(plain) == ()


def test_each_slice_has_its_verdict_probability_and_what_speaks_against_it(
    plain: PerfusionResult,
) -> None:
    trust = assess(SIGNS, trust_model())
    found = only(replace(plain, trust=trust))
    assert found.title.endswith(": not trusted")
    said = dict(found.lines)
    assert said["Slice 1"] == "trusted, probability of failure 0.05"
    assert said["Slice 2"] == (
        "not trusted, probability of failure 0.94: the members agree with a Dice of 0.50; "
        "U_pp is 0.0500"
    )


def test_without_a_calibration_no_probability_is_told(plain: PerfusionResult) -> None:
    found = only(replace(plain, trust=assess(SIGNS, None)))
    said = dict(found.lines)
    assert said["Slice 1"].startswith("not calibrated")
    assert said["Note"] == NO_CALIBRATION
    assert "probability of failure" not in said["Slice 1"]


def test_flow_has_its_mean_first_with_methods_intervals_and_basis(plain: PerfusionResult) -> None:
    found = only(replace(plain, flow=flow_of(CONCENTRATION)))
    assert found.title == "Myocardial blood flow [ml/min/g], basis: concentration"
    both = "Fermi 2.00 (1.75 to 2.50), no model 1.00 (0.75 to 1.50)"
    assert found.lines[:2] == (("Mean", both), ("Slice 1", both))


def test_a_flow_of_signals_is_called_none(plain: PerfusionResult) -> None:
    found = only(replace(plain, flow=flow_of(RESEARCH)))
    assert "flow [" not in found.title
    assert found.title.endswith("research, from signal: no flow")


def test_a_refusal_says_why(plain: PerfusionResult) -> None:
    found = only(replace(plain, flow=FlowResult(basis=None, refused="slice 0: clipped")))
    assert found.title == "Myocardial blood flow: none"
    assert found.lines == (("Refused", "slice 0: clipped"),)


def test_every_word_against_a_slice_stands_above_the_notes(
    series: InputSeries, plain: PerfusionResult
) -> None:
    """However many slices there are: letters grow smaller."""
    trust = assess(dict.fromkeys(range(12), SIGNS[1]), trust_model())
    more = additions_of(replace(plain, trust=trust, flow=flow_of(CONCENTRATION)))
    figure = report_figure(plain, series, CONTEXT, named=False, additions=more)
    texts = [each for each in figure.findobj(Text) if each.get_text().strip()]
    (notes,) = (each for each in texts if each.get_text() == "Notes and warnings")
    lowest = [each for each in texts if "U_pp is 0.0500" in each.get_text()]
    assert len(lowest) == 12
    bottom = min(each.get_window_extent().y0 for each in lowest)
    assert bottom > notes.get_window_extent().y1
