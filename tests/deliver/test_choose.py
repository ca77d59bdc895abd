"""Where results go, and what the statuses of answers mean."""

from pathlib import Path

import pytest
from pynetdicom.status import GENERAL_STATUS, STORAGE_SERVICE_CLASS_STATUS

from pipeline.connections import Destination
from pipeline.deliver.choose import destinations_after_review, destinations_of, goes_there
from pipeline.deliver.statuses import DIMSE, HTTP, Verdict, judge, judge_dimse
from pipeline.errors import UnusableCall
from pipeline.study import Artifact


def destination(**settings: object) -> Destination:
    values = {"by": "folder", "folder": Path("/x"), **settings}
    return Destination(**values)  # type: ignore[arg-type]


SITE = {
    "named": destination(),
    "all": destination(always=True),
    "some": destination(always=True, analyses=("phases",)),
}


@pytest.mark.parametrize(
    ("analysis", "routing", "chosen"),
    [
        ("perfusion", None, ("all",)),
        ("phases", None, ("all", "some")),
        ("perfusion", {"destinations": ["named", "all"]}, ("named", "all")),
        ("perfusion", {"destinations": ["some"]}, ("all",)),
        ("perfusion", {"destinations": ["gone"]}, ("gone", "all")),
        ("perfusion", {"destinations": []}, ("all",)),
    ],
)
def test_a_result_goes_where_the_rules_and_the_settings_say(
    analysis: str, routing: dict[str, object] | None, chosen: tuple[str, ...]
) -> None:
    names, kept = destinations_of(analysis, routing, SITE)
    assert names == chosen
    assert set(kept) == set(chosen) - set(SITE)


def test_results_that_are_not_verified_stay_away_from_where_only_such_go() -> None:
    site = {
        "only": destination(always=True, verified_only=True),
        "also": destination(always=True),
        "never": destination(always=True, after_review="never"),
        "named": destination(verified_only=True),
    }
    routing = {"destinations": ["named", "gone"]}
    names, kept = destinations_of("perfusion", routing, site)
    assert (names, set(kept)) == (("gone", "also", "never"), {"gone"})
    assert destinations_after_review("perfusion", routing, site) == ("named", "only", "also")
    assert destinations_after_review("perfusion", None, site) == ("only", "also")


def test_a_destination_that_would_get_nothing_is_refused() -> None:
    with pytest.raises(UnusableCall, match="nothing would go there"):
        destination(verified_only=True, after_review="never")
    with pytest.raises(UnusableCall, match="after_review is 'sometimes'"):
        destination(after_review="sometimes")


def test_archives_get_dicom_objects_and_folders_get_every_file() -> None:
    made = [
        Artifact(kind=kind, relative_path=kind, sop_instance_uid=uid, sha256="0")
        for kind, uid in (("report", "2.25.1"), ("figure", None))
    ]
    kinds = [
        [each.kind for each in goes_there(made, there)]
        for there in (
            destination(),
            destination(kinds=("figure",)),
            destination(by="c-store", node="a"),
            destination(deidentify=True, deidentify_key=Path("/k")),
        )
    ]
    assert kinds == [["report", "figure"], ["figure"], ["report"], ["report"]]


def test_de_identification_needs_a_key() -> None:
    with pytest.raises(UnusableCall, match="deidentify_key"):
        destination(deidentify=True)


def test_every_status_of_the_standard_is_in_the_table() -> None:
    stored = {Verdict.STORED, Verdict.WARNED, Verdict.THERE}
    for status, (kind, _) in {**GENERAL_STATUS, **STORAGE_SERVICE_CLASS_STATUS}.items():
        meaning = judge_dimse(status)
        assert meaning.source, f"{status:04X}"
        if kind == "Success":
            assert meaning.verdict is Verdict.STORED
        elif kind == "Failure" and status != 0x0111:
            assert meaning.verdict not in stored, f"{status:04X}"
        elif kind == "Warning":
            assert meaning.verdict is Verdict.WARNED, f"{status:04X}"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("0000", Verdict.STORED),
        ("B007", Verdict.WARNED),
        ("0111", Verdict.THERE),
        ("A7FF", Verdict.LATER),
        ("0110", Verdict.LATER),
        ("A900", Verdict.NEVER),
        ("C123", Verdict.NEVER),
        ("0122", Verdict.NEVER),
        ("0124", Verdict.NEVER),
        ("FFFF", Verdict.LATER),
        ("200", Verdict.STORED),
        ("301", Verdict.BARRED),
        ("401", Verdict.BARRED),
        ("403", Verdict.BARRED),
        ("409", Verdict.NEVER),
        ("413", Verdict.NEVER),
        ("429", Verdict.LATER),
        ("502", Verdict.LATER),
    ],
)
def test_what_passes_is_told_from_what_stays(status: str, verdict: Verdict) -> None:
    assert judge(status).verdict is verdict


def test_no_range_is_empty() -> None:
    assert all(meaning.first <= meaning.last for meaning in (*DIMSE, *HTTP))


def test_the_documentation_has_the_tables() -> None:
    said = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text()
    for table, form in ((DIMSE, "{:04X}"), (HTTP, "{}")):
        for meaning in table:
            to = "" if meaning.first == meaning.last else f" to {form.format(meaning.last)}"
            row = f"| {form.format(meaning.first)}{to} | {meaning.name} | {meaning.verdict} |"
            assert row in said
