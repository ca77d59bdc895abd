"""The one-page report says all that a reader needs, and who was imaged only inside its object."""

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pydicom
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.encode.pageparts import NOTICE, as_pdf
from pipeline.encode.reportlines import ReportAddition, printable
from pipeline.encode.reportpage import report_figure, report_pages
from pipeline.study import InputSeries
from tests.support.results import CONTEXT, result_on
from tests.support.traps import stack
from tests.support.vendors import STYLES, through
from tests.support.written import write_perfusion


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> InputSeries:
    """Return a series from DICOM, whose patient has a name."""
    found = through(STYLES["standard"], stack(12, n_slices=3), tmp_path_factory.mktemp("page"))
    assert found.header is not None
    return found


@pytest.fixture(scope="module")
def result(series: InputSeries) -> PerfusionResult:
    return replace(result_on(series.image, empty_slices=(1,)), notes=("slice 1: a first note",))


def said(figure: Figure) -> Iterator[str]:
    """Yield every text of a figure."""
    for each in figure.findobj(Text):
        yield each.get_text()


def test_the_page_is_one_page_and_the_same_each_time(
    series: InputSeries, result: PerfusionResult
) -> None:
    pages = report_pages(result, series, CONTEXT)
    assert pages == report_pages(result, series, CONTEXT)
    for page in (pages.plain, pages.named):
        assert page.startswith(b"%PDF-")
        assert page.count(b"/MediaBox") == 1
        assert b"CreationDate" not in page


def test_a_page_that_is_laid_out_once_is_the_page_that_is_laid_out_for_itself(
    series: InputSeries, result: PerfusionResult
) -> None:
    pages = report_pages(result, series, CONTEXT)
    assert pages.plain == as_pdf(report_figure(result, series, CONTEXT, named=False))
    assert pages.named == as_pdf(report_figure(result, series, CONTEXT, named=True))
    assert pages.plain != pages.named


def test_who_was_imaged_stands_on_the_named_page_alone(
    series: InputSeries, result: PerfusionResult
) -> None:
    assert series.header is not None
    name = str(series.header.PatientName).replace("^", " ")
    identity = {name, str(series.header.PatientID), str(series.header.StudyDate)}
    assert all(identity)
    named = set(said(report_figure(result, series, CONTEXT, named=True)))
    assert identity <= named
    other = " ".join(said(report_figure(result, series, CONTEXT, named=False)))
    assert not any(value in other for value in identity)


def test_numbers_notes_versions_and_the_notice_are_said(
    series: InputSeries, result: PerfusionResult
) -> None:
    notes = ("a second note",)
    texts = set(said(report_figure(result, series, CONTEXT, named=False, notes=notes)))
    assert {"- slice 1: a first note", "- a second note", NOTICE, "Signature"} <= texts
    assert {"member_1", "none plausible", "1.2 mm", "0.2 mm"} <= texts
    assert {CONTEXT.bundle_digest, str(CONTEXT.job_id)} <= texts
    for each in result.aha.measurements:
        assert f"{each.segment_name} ({each.slice_index + 1})" in texts


def test_every_note_stands_on_the_page_however_many_there_are(
    series: InputSeries, result: PerfusionResult
) -> None:
    many = tuple(f"note {number} " + "of many words " * 15 for number in range(30))
    figure = report_figure(result, series, CONTEXT, named=False, notes=many)
    texts = [each for each in figure.findobj(Text) if each.get_text()]
    assert sum(each.get_text().startswith("- note") for each in texts) == 30
    versions = [each for each in texts if each.get_text() == "Software"]
    lowest = min(
        each.get_window_extent().y0
        for each in texts
        if each.get_text().startswith(("- note", "  of", "  many", "  words"))
    )
    assert lowest > versions[0].get_window_extent().y1


def test_a_scanner_with_a_long_name_and_notes_of_any_number_stay_legible(
    series: InputSeries, result: PerfusionResult
) -> None:
    assert series.header is not None
    header = copy(series.header)
    header.Manufacturer, header.ManufacturerModelName = "GE MEDICAL SYSTEMS", "GENESIS_SIGNA"
    header.MagneticFieldStrength, header.EchoTime = "15000", "1.483999968"
    old = replace(series, header=header)
    more = (ReportAddition(title="Reserve", lines=(("MPRI", "2.1"),)),)
    for count in (0, 3, 40):
        notes = tuple(f"note {number}" for number in range(count))
        figure = report_figure(
            result, old, CONTEXT, named=True, notes=notes, additions=more if count else ()
        )
        texts = set(said(figure))
        assert {"GE MEDICAL SYSTEMS GENESIS_SIGNA", "1.5 T", "1.484 ms"} <= texts
        for part in (figure.axes[0], figure.axes[-3]):
            boxes = [each.get_window_extent() for each in part.texts if each.get_text()]
            assert len(boxes) >= 2
            for one, other in combinations(boxes, 2):
                shared = Bbox.intersection(one, other)
                # Extents are rounded to pixels.
                assert shared is None or min(shared.width, shared.height) < 1.0


def test_other_parts_of_the_analysis_add_a_box(
    series: InputSeries, result: PerfusionResult
) -> None:
    more = (ReportAddition(title="Reserve", lines=(("MPRI", "2.1"), ("Quotient", "$1_2$"))),)
    texts = set(said(report_figure(result, series, CONTEXT, named=False, additions=more)))
    assert {"Reserve", "MPRI", "2.1", "$1_2$"} <= texts


def test_a_long_title_of_a_box_stays_on_the_page(
    series: InputSeries, result: PerfusionResult
) -> None:
    long = ReportAddition(title="A title of very many words " * 3, lines=())
    figure = report_figure(result, series, CONTEXT, named=False, additions=(long, long))
    one, other = (
        each.get_window_extent() for each in figure.findobj(Text) if each.get_text() == long.title
    )
    assert one.x1 < other.x0
    # On a screen letters are up to a fiftieth wider than on paper.
    assert other.x1 < figure.bbox.x1 * 0.97


def test_a_file_without_a_patient_is_called_by_its_name(
    series: InputSeries, result: PerfusionResult
) -> None:
    plain = replace(series, header=None, label="case_7.nii.gz")
    assert "case_7.nii.gz" in set(said(report_figure(result, plain, CONTEXT, named=True)))


def test_characters_that_the_font_lacks_are_marked() -> None:
    assert printable("M\u00fcller \u5c71\u7530\n  x") == "M\u00fcller ?? x"


@pytest.mark.parametrize("style", ["standard", "enhanced"])
def test_the_object_holds_the_page_and_names_its_source(style: str, tmp_path: Path) -> None:
    out = write_perfusion(tmp_path, style)
    instance = pydicom.dcmread(out / "report_page.dcm")
    page = instance.EncapsulatedDocument[: instance.EncapsulatedDocumentLength]
    assert page.startswith(b"%PDF-")
    assert page.rstrip().endswith(b"%%EOF")
    assert instance.BurnedInAnnotation == "YES"
    report = pydicom.dcmread(out / "report.dcm")
    assert instance.StudyInstanceUID == report.StudyInstanceUID
    assert instance.PatientName == report.PatientName
    sources = {item.ReferencedSOPInstanceUID for item in instance.SourceInstanceSequence}
    overview = pydicom.dcmread(out / "overview.dcm")
    assert sources == {item.ReferencedSOPInstanceUID for item in overview.SourceImageSequence}
    assert (out / "figures" / "report.pdf").read_bytes() != page
