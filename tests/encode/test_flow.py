"""Flow in DICOM: conformant, coded, with its interval, and marked where it is no measurement."""

from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from pipeline.analyses.perfusion.flow.result import (
    CONCENTRATION,
    DUAL,
    DUAL_IMAGES,
    RESEARCH,
    ArterialInput,
    FlowEstimate,
    FlowResult,
)
from pipeline.demo import write_study
from pipeline.encode.perfusion import encode_perfusion
from pipeline.imaging.nifti import read_volume
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import take_inventory
from pipeline.study import InputSeries
from tests.encode.test_objects import assert_same_volume, complaints
from tests.support.dualsequence import coarse, dual_instances, sharp
from tests.support.results import CONTEXT, result_on
from tests.support.traps import stack, write_all
from tests.support.vendors import STYLES, through


def estimate(index: int | None, segment: int | None, method: str, layer: str) -> FlowEstimate:
    """Return a flow that is another one in each place."""
    flow = 1.0 + 0.1 * (segment or 0) + 0.01 * (index or 0) + (method == "fermi")
    return FlowEstimate(
        slice_index=index,
        segment=segment,
        segment_name=None if segment is None else "mid anterior",
        layer=layer,
        method=method,
        flow_ml_min_g=flow,
        low_ml_min_g=flow - 0.2,
        high_ml_min_g=flow + 0.3,
        delay_s=None if index is None else 0.5,
        residual=None if index is None else 0.02,
    )


def flow_on(image: TimeSeries, basis: str) -> FlowResult:
    places = [(None, None, "wall"), (1, None, "wall"), (1, 7, "wall"), (1, 7, "endocardial")]
    rng = np.random.default_rng(4)
    values = rng.uniform(0.0, 4.0, image.array.shape[1:]).astype(np.float32)
    return FlowResult(
        basis=basis,
        refused=None,
        arterial_input=ArterialInput(
            slice_index=1,
            peak=5.0,
            unit="mmol/l",
            arrival_s=4.0,
            peak_s=9.0,
            end_s=17.0,
            step_s=0.8,
            top_ratio=0.36,
        ),
        estimates=tuple(
            estimate(index, segment, method, layer)
            for index, segment, layer in places
            for method in ("fermi", "model_free")
        ),
        map=image.volume_like(values),
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> InputSeries:
    return through(write_study, stack(12, n_slices=3), tmp_path_factory.mktemp("source"))


def encoded(series: InputSeries, folder: Path, basis: str = CONCENTRATION) -> Path:
    folder.mkdir()
    result = replace(result_on(series.image), flow=flow_on(series.image, basis))
    encode_perfusion(result, series, CONTEXT, folder)
    return folder


@pytest.fixture(scope="module")
def folder(source: InputSeries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoded(source, tmp_path_factory.mktemp("result") / "out")


@pytest.mark.parametrize("style", ["enhanced", "GE"])
def test_report_and_map_conform_whatever_the_source(style: str, tmp_path: Path) -> None:
    found = encoded(through(STYLES[style], stack(12, n_slices=3), tmp_path), tmp_path / "out")
    for file in ("report.dcm", "flow.dcm", "key_objects.dcm"):
        assert complaints(found / file) == []


def test_the_report_has_each_flow_of_a_wall_with_its_interval(
    folder: Path, source: InputSeries
) -> None:
    flow = flow_on(source.image, CONCENTRATION)
    groups = highdicom.sr.srread(folder / "report.dcm").content.get_image_measurement_groups()
    found = {}
    for group in groups:
        for m in group.get_measurements():
            if m.name.value == "126390":
                assert (m.name.scheme_designator, m.unit.value) == ("DCM", "ml/min/g")
                ends = []
                for i in m[0].ContentSequence:
                    if i.ConceptNameCodeSequence[0].CodeValue in ("371886008", "371885007"):
                        (end,) = i.MeasuredValueSequence
                        ends.append(float(end.NumericValue))
                        assert end.MeasurementUnitsCodeSequence[0].CodeValue == "ml/min/g"
                found[str(group.tracking_identifier), m.method.value] = (m.value, *sorted(ends))
    walls = [e for e in flow.estimates if e.layer == "wall"]
    assert len(found) == len(walls) == 6
    told = found["flow of mid anterior slice 2", "fermi-fit"]
    assert told == pytest.approx((2.71, 0.2, 0.3))
    assert ("flow of wall all slices", "model-free") in found


def test_the_map_is_flow_in_its_place(folder: Path, source: InputSeries) -> None:
    expected = flow_on(source.image, CONCENTRATION).map
    assert expected is not None
    instance = highdicom.imread(folder / "flow.dcm")
    assert_same_volume(instance.get_volume(), expected)
    np.testing.assert_array_equal(read_volume(folder / "flow.nii.gz").array, expected.array)
    mapping = instance.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "ml/min/g"
    assert (folder / "figures" / "flow.png").is_file()


def test_what_is_of_signals_is_marked_in_every_output(source: InputSeries, tmp_path: Path) -> None:
    found = encoded(source, tmp_path / "out", RESEARCH)
    report = pydicom.dcmread(found / "report.dcm")
    codes: list[str] = []
    report.walk(lambda _, e: codes.append(str(e.value)) if e.keyword == "CodeValue" else None)
    assert "research-flow" in codes
    assert "126390" not in codes
    instance = pydicom.dcmread(found / "flow.dcm")
    assert instance.ContentLabel == "RESEARCH"
    assert "Research, from signal" in instance.SeriesDescription
    assert (found / "flow_research.nii.gz").is_file()
    assert not (found / "flow.nii.gz").exists()


def test_the_image_of_a_dual_sequence_is_a_source_of_each_flow(tmp_path: Path) -> None:
    image = sharp()
    instances = dual_instances(image, coarse(image), own_series=True)
    (candidate,) = take_inventory([write_all(instances, tmp_path / "in")]).candidates
    series = candidate.load()
    assert isinstance(series, InputSeries)
    assert series.arterial is not None
    flow = flow_on(series.image, DUAL)
    assert flow.arterial_input is not None
    at_peak = float(series.arterial.image.times_s[7, 0])
    taken = replace(flow.arterial_input, images=DUAL_IMAGES, peak_s=at_peak, own_peak=3.0)
    result = replace(result_on(series.image), flow=replace(flow, arterial_input=taken))
    (tmp_path / "out").mkdir()
    encode_perfusion(result, series, CONTEXT, tmp_path / "out")
    path = tmp_path / "out" / "report.dcm"
    assert complaints(path) == []
    shown = series.arterial.frames[7][0].sop_instance_uid
    groups = highdicom.sr.srread(path).content.get_image_measurement_groups()
    of_flow = [g for g in groups if str(g.tracking_identifier).startswith("flow of")]
    assert len(of_flow) == 3
    for group in of_flow:
        uids = [s.referenced_sop_instance_uid for s in group.source_images]
        assert (len(uids), uids[1]) == (2, shown)
    assert "peak 5.0 mmol/l; images of the series: peak 3.0 mmol/l" in path.read_text("latin-1")


def test_a_refused_flow_changes_nothing_but_the_page_that_says_why(
    source: InputSeries, tmp_path: Path
) -> None:
    written = {}
    for name, flow in (("none", None), ("refused", FlowResult(basis=None, refused="signals"))):
        (tmp_path / name).mkdir()
        result = replace(result_on(source.image), flow=flow)
        found = encode_perfusion(result, source, CONTEXT, tmp_path / name)
        written[name] = {a.relative_path: a.sha256 for a in found}
    other = {name for name, digest in written["none"].items() if written["refused"][name] != digest}
    assert other == {"report_page.dcm", "figures/report.pdf"}
    assert written["none"].keys() == written["refused"].keys()
