"""Documents that a person has verified: fit to leave, and naming the ones before."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pydicom
import pytest
from pydicom.dataset import Dataset

from pipeline.config import GateSettings
from pipeline.deliver.deidentify import deidentified
from pipeline.deliver.gate import check
from pipeline.encode.context import EncodingContext, Verifier
from pipeline.encode.keyobject import ROLE as KEYS
from pipeline.encode.phasereport import ROLE as PHASES
from pipeline.encode.report import ROLE as REPORT
from pipeline.encode.verified import issued_anew, name_predecessor, repointed, verify
from tests.support.results import CONTEXT
from tests.support.written import write_perfusion, write_phases

VERIFIERS = (
    Verifier(
        name="Arends^Anna",
        organization="St. Elsewhere",
        at=datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC),
    ),
    Verifier(
        name="Bauer^Bert^^Dr.",
        organization="St. Elsewhere",
        at=datetime(2026, 3, 1, 13, tzinfo=UTC),
    ),
)
LATER = replace(CONTEXT, job_id=UUID(int=9), predecessor=CONTEXT.job_id, verifiers=VERIFIERS)


@pytest.fixture(scope="module")
def perfusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_perfusion(tmp_path_factory.mktemp("perfusion"))


def saved(document: Dataset, folder: Path) -> Path:
    path = folder / "document.dcm"
    document.save_as(path, enforce_file_format=True)
    return path


def verified(path: Path, role: str, context: EncodingContext) -> Dataset:
    before = pydicom.dcmread(path)
    document = issued_anew(before, role, context)
    name_predecessor(document, before)
    verify(document, context.verifiers)
    return document


def test_a_verified_report_is_fit_to_leave_and_says_who_when_and_what_was_before(
    perfusion: Path, tmp_path: Path
) -> None:
    before = pydicom.dcmread(perfusion / "report.dcm")
    path = saved(verified(perfusion / "report.dcm", REPORT, LATER), tmp_path)
    assert check(path, GateSettings(dciodvfy="required")) == ()
    document = pydicom.dcmread(path)
    assert (document.VerificationFlag, document.CompletionFlag) == ("VERIFIED", "COMPLETE")
    said = [
        (o.VerifyingObserverName, o.VerifyingOrganization, o.VerificationDateTime)
        for o in document.VerifyingObserverSequence
    ]
    assert said == [
        ("Arends^Anna", "St. Elsewhere", "20260301123005+0000"),
        ("Bauer^Bert^^Dr.", "St. Elsewhere", "20260301130000+0000"),
    ]
    (study,) = document.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (named,) = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == before.StudyInstanceUID
    assert series.SeriesInstanceUID == before.SeriesInstanceUID
    assert named.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert document.SOPInstanceUID == LATER.uid(REPORT) != before.SOPInstanceUID
    assert document.ContentSequence == before.ContentSequence
    evidence = "CurrentRequestedProcedureEvidenceSequence"
    assert document[evidence] == before[evidence]


def test_the_same_verification_gives_the_same_bytes(perfusion: Path, tmp_path: Path) -> None:
    path = perfusion / "report.dcm"
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        saved(verified(path, REPORT, LATER), folder)
    assert (first / "document.dcm").read_bytes() == (second / "document.dcm").read_bytes()


def test_a_report_of_phases_is_verified_too(tmp_path: Path) -> None:
    path = write_phases(tmp_path) / "report.dcm"
    path = saved(verified(path, PHASES, LATER), tmp_path)
    assert check(path, GateSettings(dciodvfy="required")) == ()
    assert pydicom.dcmread(path).VerificationFlag == "VERIFIED"


def test_key_objects_point_at_the_verified_report(perfusion: Path, tmp_path: Path) -> None:
    before, report = (pydicom.dcmread(perfusion / n) for n in ("key_objects.dcm", "report.dcm"))
    moved = {
        str(report.SOPInstanceUID): LATER.uid(REPORT),
        str(report.SeriesInstanceUID): LATER.uid(REPORT, "series"),
    }
    path = saved(repointed(issued_anew(before, KEYS, LATER), moved), tmp_path)
    assert check(path, GateSettings(dciodvfy="required")) == ()
    content = path.read_bytes()
    for old, new in moved.items():
        assert (old.encode() in content, new.encode() in content) == (False, True)
    assert len(pydicom.dcmread(path).ContentSequence) == len(before.ContentSequence)


def test_what_is_encoded_for_a_review_is_verified_from_the_start(tmp_path: Path) -> None:
    from pipeline.encode.perfusion import encode_perfusion
    from tests.support.results import result_on
    from tests.support.traps import stack
    from tests.support.vendors import STYLES, through

    series = through(STYLES["standard"], stack(12, n_slices=3), tmp_path / "source")
    (tmp_path / "out").mkdir()
    encode_perfusion(result_on(series.image), series, LATER, tmp_path / "out")
    assert check(tmp_path / "out" / "report.dcm", GateSettings(dciodvfy="required")) == ()
    document = pydicom.dcmread(tmp_path / "out" / "report.dcm")
    assert document.VerificationFlag == "VERIFIED"
    named = document.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == CONTEXT.uid(REPORT)
    assert document.SeriesDescription == "Vesalius measurements, verified"


def test_a_verified_report_names_no_reader_once_it_is_de_identified(
    perfusion: Path, tmp_path: Path
) -> None:
    path = saved(verified(perfusion / "report.dcm", REPORT, LATER), tmp_path)
    target = tmp_path / "deidentified.dcm"
    deidentified(path, target, b"0123456789abcdef" * 4)
    assert check(target, GateSettings(dciodvfy="required")) == ()
    content = target.read_bytes()
    for secret in (b"Arends", b"Bauer", b"Elsewhere", CONTEXT.uid(REPORT).encode()):
        assert (secret in path.read_bytes(), secret in content) == (True, False)
