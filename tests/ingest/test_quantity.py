"""Concentrations are read as such where the source states them, and only there."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from pipeline.demo import write_study
from pipeline.imaging.nifti import write_time_series
from pipeline.imaging.volume import CONCENTRATION_UNIT
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.inventory import take_inventory
from pipeline.study import InputSeries
from tests.support.traps import stack
from tests.support.vendors import write_enhanced


def only(folder: Path) -> Candidate:
    (candidate,) = take_inventory([folder]).candidates
    return candidate


def loaded(folder: Path) -> InputSeries:
    series = only(folder).load()
    assert isinstance(series, InputSeries)
    return series


def write_nifti(folder: Path, beside: object = None) -> Path:
    folder.mkdir()
    write_time_series(stack(12, n_slices=1), folder / "gd.nii.gz", 0.5)
    if beside is not None:
        (folder / "gd.json").write_text(json.dumps(beside))
    return folder


def unit_item(code: str, scheme: str = "UCUM") -> Dataset:
    unit = Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = code, scheme, code
    item = Dataset()
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 65535
    item.RealWorldValueSlope, item.RealWorldValueIntercept = 0.25, -1.0
    item.LUTLabel, item.LUTExplanation = "GD", "Gadolinium"
    item.MeasurementUnitsCodeSequence = [unit]
    return item


def rewritten(folder: Path, **attributes: object) -> Path:
    """Write a study with other attributes in every instance."""
    for path in write_study(stack(12, n_slices=1), folder, name="gd"):
        instance = pydicom.dcmread(path)
        for keyword, value in attributes.items():
            setattr(instance, keyword, value)
        instance.save_as(path)
    return folder


@pytest.mark.parametrize("unit", ["mmol/l", "mmol/L"])
def test_a_file_beside_nifti_states_concentrations(unit: str, tmp_path: Path) -> None:
    given = write_nifti(tmp_path / "in", {"quantity": "concentration", "unit": unit})
    assert loaded(given).image.unit == CONCENTRATION_UNIT
    assert only(given).files == (given / "gd.nii.gz",)
    assert loaded(given / "gd.nii.gz").image.unit == CONCENTRATION_UNIT, "the file alone is given"


@pytest.mark.parametrize("beside", [None, {"RepetitionTime": 2.5}, ["concentration"]])
def test_without_a_quantity_values_have_no_unit(beside: object, tmp_path: Path) -> None:
    assert loaded(write_nifti(tmp_path / "in", beside)).image.unit is None


def test_what_states_the_quantity_is_part_of_the_input(tmp_path: Path) -> None:
    plain = only(write_nifti(tmp_path / "plain"))
    other = only(write_nifti(tmp_path / "other", {"RepetitionTime": 2.5}))
    stated = {"quantity": "concentration", "unit": "mmol/l"}
    told = only(write_nifti(tmp_path / "told", stated))
    assert plain.input_digest == other.input_digest
    assert plain.input_digest != told.input_digest
    assert told.load().input_digest == told.input_digest


def test_a_file_beside_that_has_changed_since_the_inventory_is_refused(tmp_path: Path) -> None:
    given = write_nifti(tmp_path / "in", {"quantity": "concentration", "unit": "mmol/l"})
    candidate = only(given)
    (given / "gd.json").unlink()
    with pytest.raises(Exception, match="has changed since it was checked"):
        candidate.load()


@pytest.mark.parametrize(
    "beside",
    [{"quantity": "concentration", "unit": "mg/ml"}, {"quantity": "flow", "unit": "ml/min/g"}],
)
def test_another_quantity_or_unit_is_refused_by_name(beside: object, tmp_path: Path) -> None:
    inventory = take_inventory([write_nifti(tmp_path / "in", beside)])
    assert inventory.candidates == ()
    (refusal,) = inventory.refusals
    told = "gd.json states a quantity; known is concentration with the unit mmol/l"
    assert told in refusal.reason


def test_rescale_type_states_concentrations(tmp_path: Path) -> None:
    given = rewritten(
        tmp_path / "in", RescaleSlope="0.01", RescaleIntercept="0", RescaleType="mmol/l"
    )
    found = loaded(given).image
    assert found.unit == CONCENTRATION_UNIT
    plain = loaded(rewritten(tmp_path / "plain", RescaleSlope="0.01", RescaleIntercept="0")).image
    assert plain.unit is None
    np.testing.assert_array_equal(found.array, plain.array)


def test_a_real_world_value_mapping_takes_the_place_of_rescale(tmp_path: Path) -> None:
    given = rewritten(
        tmp_path / "in",
        RescaleSlope="3",
        RescaleIntercept="7",
        RealWorldValueMappingSequence=[unit_item("1"), unit_item("mmol/L")],
    )
    found = loaded(given).image
    plain = loaded(rewritten(tmp_path / "plain", RescaleSlope="1", RescaleIntercept="0")).image
    assert found.unit == CONCENTRATION_UNIT
    np.testing.assert_allclose(found.array, 0.25 * plain.array - 1.0, rtol=1e-6)


@pytest.mark.parametrize("item", [unit_item("1"), unit_item("mmol/l", "99SITE")])
def test_a_mapping_to_another_unit_changes_nothing(item: Dataset, tmp_path: Path) -> None:
    given = rewritten(tmp_path / "in", RealWorldValueMappingSequence=[item])
    found = loaded(given).image
    assert found.unit is None
    np.testing.assert_array_equal(found.array, loaded(rewritten(tmp_path / "plain")).image.array)


def test_a_mapping_by_a_table_of_values_is_refused(tmp_path: Path) -> None:
    item = unit_item("mmol/l")
    del item.RealWorldValueSlope
    inventory = take_inventory([rewritten(tmp_path / "in", RealWorldValueMappingSequence=[item])])
    assert inventory.candidates == ()
    assert any("by a table of values" in refusal.reason for refusal in inventory.refusals)


def test_frames_of_an_enhanced_image_share_their_mapping(tmp_path: Path) -> None:
    (path,) = write_enhanced(stack(12, n_slices=1), tmp_path, name="gd")
    instance = pydicom.dcmread(path)
    plain = loaded(tmp_path).image.array
    slopes = {
        float(i.PixelValueTransformationSequence[0].RescaleSlope)
        for i in instance.PerFrameFunctionalGroupsSequence
        if "PixelValueTransformationSequence" in i
    }
    shared = instance.SharedFunctionalGroupsSequence[0]
    shared.RealWorldValueMappingSequence = [unit_item("mmol/l")]
    instance.save_as(path)
    found = loaded(tmp_path).image
    assert found.unit == CONCENTRATION_UNIT
    assert found.array.shape == plain.shape
    assert slopes <= {1.0} or not np.allclose(found.array, plain)
