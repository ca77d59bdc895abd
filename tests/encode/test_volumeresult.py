"""Objects of labels of a volume: conformant, in their place, and pointing at their sources."""

from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread

from pipeline.encode.labels import Coded, LabelledStructure, volumes_of
from pipeline.encode.volumeresult import encode_volume_result
from pipeline.imaging.nifti import read_labels
from pipeline.imaging.volume import Volume
from tests.encode.test_objects import assert_same_volume, complaints
from tests.support.results import CONTEXT
from tests.support.traps import stack
from tests.support.vendors import STYLES, through

ANATOMY = Coded(value="123037004", scheme="SCT", meaning="Anatomical Structure")
STRUCTURES = tuple(
    LabelledStructure(
        value=value,
        name=name,
        label=name.capitalize(),
        category=ANATOMY,
        kind=Coded(value=code, scheme="SCT", meaning=name.capitalize()),
        region=Coded(value="818983003", scheme="SCT", meaning="Abdomen") if value == 7 else None,
        colour=(200, 30, 10 * value),
    )
    for value, name, code in ((7, "liver", "10200004"), (3, "spleen", "78961009"))
)


@pytest.mark.parametrize("style", ["standard", "enhanced"])
def test_labels_become_segments_in_the_order_of_the_manifest(style: str, tmp_path: Path) -> None:
    series = through(STYLES[style], stack(1, n_slices=4), tmp_path)
    image = series.image
    array = np.random.default_rng(5).choice([0, 3, 7, 9], image.array.shape[1:]).astype(np.uint8)
    labels = image.volume_like(array)
    measured = volumes_of(labels, STRUCTURES)
    out = tmp_path / "out"
    out.mkdir()
    kinds = ("segmentation", "report", "nifti")
    written = encode_volume_result((labels, STRUCTURES, measured), series, CONTEXT, kinds, out)
    assert [(a.kind, a.relative_path) for a in written] == [
        ("segmentation", "segmentation_binary.dcm"),
        ("segmentation", "segmentation_labelmap.dcm"),
        ("report", "report.dcm"),
        ("nifti", "segmentation.nii.gz"),
    ]
    for path in sorted(out.glob("*.dcm")):
        assert complaints(path) == [], path
    numbers = np.select([array == 7, array == 3], [1, 2], 0).astype(np.uint8)
    found = highdicom.seg.segread(out / "segmentation_binary.dcm").get_volume(combine_segments=True)
    expected = Volume(array=numbers, affine=labels.affine)
    assert_same_volume(found, expected)
    assert np.array_equal(read_labels(out / "segmentation.nii.gz"), np.where(array == 9, 0, array))
    one_ml = abs(np.linalg.det(labels.affine[:3, :3])) / 1000
    assert [(m.structure, m.unit) for m in measured] == [("liver", "ml"), ("spleen", "ml")]
    assert measured[0].value == pytest.approx(one_ml * np.count_nonzero(array == 7))


def test_a_report_names_the_images_that_a_structure_was_seen_on(tmp_path: Path) -> None:
    series = through(STYLES["standard"], stack(1, n_slices=4), tmp_path)
    labels = series.image.volume_like(np.zeros(series.image.array.shape[1:], dtype=np.uint8))
    out = tmp_path / "out"
    out.mkdir()
    result = (labels, STRUCTURES, volumes_of(labels, STRUCTURES))
    encode_volume_result(result, series, CONTEXT, ("segmentation", "report"), out)
    report = dcmread(out / "report.dcm")
    evidence = {
        reference.ReferencedSOPInstanceUID
        for item in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for reference in item.ReferencedSOPSequence
    }
    sources = {frame.sop_instance_uid for frame in series.frames[0]}
    assert sources < evidence
    assert len(evidence - sources) == 1
    assert not (out / "segmentation.nii.gz").exists()
