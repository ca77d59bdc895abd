"""The page of rest and stress says what both results say, and who was imaged only in its object."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from pydicom.dataset import Dataset

from pipeline.analyses.perfusion.flow.result import CONCENTRATION, LINEAR, RESEARCH
from pipeline.analyses.perfusion.reserve import Index, Reserve
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES
from pipeline.encode.pageparts import NOTICE
from pipeline.encode.reservepage import Row, ratio_of, reserve_figure, reserve_page, rows_of
from pipeline.encode.reservestates import (
    BothStates,
    FlowSummary,
    SliceSummary,
    StateSummary,
    flow_of,
    notes_of,
    slices_of,
)
from tests.support.results import CONTEXT


def flow(times: float, basis: str | None = CONCENTRATION) -> FlowSummary:
    """Return a flow of all slices and segments."""
    walls = {(i, "fermi"): (times, times - 0.1, times + 0.1) for i in (None, 0, 1)}
    return FlowSummary(
        basis=basis, refused=None, walls=walls, segments={s: times + s / 100 for s in range(1, 17)}
    )


def state(name: str, times: float, **other: object) -> StateSummary:
    """Return what the result of a state says, some of it otherwise."""
    plain = StateSummary(
        job_id=f"job of {name}",
        bundle="Tiny 1.0",
        bundle_digest="cd" * 32,
        upslopes={segment: times * segment / 100 for segment in range(1, 17)},
        slices=(
            SliceSummary(
                slice_index=0,
                verdict="review",
                failure_probability=0.25,
                motion_mm=1.5,
                residual_motion_mm=0.5,
            ),
        ),
        flow=flow(times),
        notes=(f"a note on {name}", "of both"),
    )
    return replace(plain, **other)  # type: ignore[arg-type]


def both(**stress: object) -> BothStates:
    """Return what both results say; some of that of stress is otherwise."""
    return BothStates(
        rest=state("rest", 1.0),
        stress=state("stress", 2.5, **stress),
        measure="relative_upslope",
        notes=("on the reserve",),
    )


def reserve(n_slices: int = 2) -> Reserve:
    """Return an index of each of the first 15 segments."""
    index = Index(rest=0.2, stress=0.5)
    return Reserve(
        whole=index,
        slices={(i, i + 1): index for i in range(n_slices)},
        segments={(s, "wall"): Index(rest=s / 100, stress=2.5 * s / 100) for s in range(1, 16)},
        notes=(),
    )


@pytest.fixture
def patient() -> Dataset:
    header = Dataset()
    header.PatientName = "Doe^Jane"
    header.PatientID = "P-1"
    header.StudyDate = "20260302"
    return header


def said(figure: Figure) -> set[str]:
    return {each.get_text() for each in figure.findobj(Text)}


def row(of: BothStates, place: str) -> Row:
    """Return the row of a part."""
    (found,) = (each for each in rows_of(reserve(), of) if each.place == place)
    return found


def test_the_page_is_one_page_and_the_same_each_time(patient: Dataset) -> None:
    page = reserve_page(reserve(), both(), patient, CONTEXT)
    assert page == reserve_page(reserve(), both(), patient, CONTEXT)
    assert page.count(b"/MediaBox") == 1
    assert b"CreationDate" not in page


def test_who_was_imaged_stands_only_where_a_header_is_given(patient: Dataset) -> None:
    identity = {"Doe Jane", "P-1", "20260302"}
    assert identity <= said(reserve_figure(reserve(), both(), patient, CONTEXT))
    plain = " ".join(said(reserve_figure(reserve(), both(), None, CONTEXT)))
    assert not any(value in plain for value in identity)


def test_it_says_trust_motion_notes_versions_and_the_notice() -> None:
    texts = said(reserve_figure(reserve(), both(), None, CONTEXT))
    assert {"review (failure 0.25); motion 1.5 mm, left 0.5 mm", NOTICE, "Signature"} <= texts
    assert {
        "- on the reserve",
        "- rest: a note on rest",
        "- stress: a note on stress",
        "- rest and stress: of both",
    } <= texts
    assert {"Tiny 1.0, job job of rest", "Tiny 1.0, job job of stress", "cd" * 32} <= texts
    assert {f"{segment} {SEGMENT_NAMES[segment]}" for segment in range(1, 17)} <= texts


def test_the_table_has_index_and_flow_of_the_whole_of_slices_and_of_segments() -> None:
    of = both()
    whole = row(of, "Myocardium")
    assert (whole.upslopes, whole.mpri, whole.flows) == ((0.2, 0.5), 2.5, (1.0, 2.5))
    assert row(of, "Slice 1 at rest, 2 under stress").flows == (1.0, 2.5)
    seventh = row(of, f"7 {SEGMENT_NAMES[7]}")
    assert seventh.upslopes == (0.07, pytest.approx(0.175))
    assert seventh.mpri == pytest.approx(2.5)
    assert seventh.flows == (pytest.approx(1.07), pytest.approx(2.57))
    assert row(of, f"16 {SEGMENT_NAMES[16]}").mpri is None, "what has no index has no number"


def test_a_ratio_needs_both_flows() -> None:
    assert ratio_of(1.0, 2.5) == 2.5
    assert ratio_of(None, 2.5) is None
    assert ratio_of(1.0, None) is None
    assert ratio_of(0.0, 2.5) is None


@pytest.mark.parametrize(
    "other", [None, FlowSummary(basis=None, refused="clipped"), flow(2.5, RESEARCH)]
)
def test_flows_that_cannot_be_compared_are_not(other: FlowSummary | None) -> None:
    """One of concentrations is none beside one of signals; each stands in its state's box."""
    of = both(flow=other)
    assert row(of, "Myocardium").flows == (None, None)
    texts = said(reserve_figure(reserve(), of, None, CONTEXT))
    assert "ratio" not in texts
    assert any(text.startswith("- no ratio of flows") for text in texts)


@pytest.mark.parametrize("basis", [RESEARCH, LINEAR])
def test_a_flow_for_research_is_called_none(basis: str) -> None:
    of = BothStates(
        rest=state("rest", 1.0, flow=flow(1.0, basis)),
        stress=state("stress", 2.5, flow=flow(2.5, basis)),
        measure="relative_upslope",
        notes=(),
    )
    texts = said(reserve_figure(reserve(), of, None, CONTEXT))
    assert f"deconvolved [ml/min/g], {basis}: no flow" in texts
    assert "No flow" in texts
    assert "Flow" not in texts


def test_rows_and_notes_stay_in_their_places_however_many_there_are() -> None:
    many = tuple(f"note {number} " + "of many words " * 12 for number in range(25))
    figure = reserve_figure(reserve(n_slices=12), both(notes=many), None, CONTEXT)
    texts = [each for each in figure.findobj(Text) if each.get_text().strip()]

    def edge(text: str) -> Text:
        return next(each for each in texts if each.get_text() == text)

    last = edge(f"16 {SEGMENT_NAMES[16]}").get_window_extent()
    assert last.y0 > edge("Rest: trust, motion, flow").get_window_extent().y1
    notes = [each for each in texts if each.get_text().startswith(("- stress: note", "  of"))]
    assert sum(each.get_text().startswith("- ") for each in notes) == 25
    bottom = min(each.get_window_extent().y0 for each in notes)
    assert bottom > edge("Software").get_window_extent().y1


def outcome() -> Mapping[str, object]:
    """Return an outcome as the ledger holds it."""
    numbers = {"flow_ml_min_g": 1.0, "low_ml_min_g": 0.9, "high_ml_min_g": 1.1}
    estimates = [
        {"slice_index": index, "segment": segment, "layer": layer, "method": "fermi", **numbers}
        for index, segment, layer in ((None, None, "wall"), (0, 7, "wall"), (0, 7, "epicardial"))
    ]
    return {
        "notes": ["a note"],
        "uncertainty": [
            {"slice_index": 1, "motion_mm": None},
            {"slice_index": 0, "motion_mm": 1.5, "residual_motion_mm": 0.5},
        ],
        "trust": {"slices": [{"slice_index": 0, "verdict": "trusted", "failure_probability": 0.1}]},
        "flow": {"basis": CONCENTRATION, "refused": None, "estimates": estimates},
    }


def test_what_is_told_comes_from_the_outcomes() -> None:
    first, second = slices_of(outcome())
    assert (first.verdict, first.failure_probability) == ("trusted", 0.1)
    assert (first.motion_mm, first.residual_motion_mm) == (1.5, 0.5)
    assert (second.verdict, second.motion_mm) == (None, None)
    found = flow_of(outcome())
    assert found is not None
    assert found.walls == {(None, "fermi"): (1.0, 0.9, 1.1)}
    assert found.segments == {7: 1.0}
    assert notes_of(outcome()) == ("a note",)


def test_an_outcome_of_an_earlier_version_tells_what_it_knows() -> None:
    assert slices_of({}) == ()
    assert slices_of({"uncertainty": [{"slice_index": 0}], "trust": None})[0].verdict is None
    assert flow_of({"flow": None}) is None
    assert notes_of({}) == ()
