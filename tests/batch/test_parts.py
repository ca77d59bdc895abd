"""The parts of a batch: its window and pace, its cohorts, its states, its names and its tables."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipeline.batch.cohort import of_folders, with_accessions
from pipeline.batch.naming import Naming, naming_of
from pipeline.batch.nights import DAY_MIN, Pace, Window, parse_window
from pipeline.batch.report import write_report
from pipeline.batch.run import Night
from pipeline.batch.tables import read_columns, write_tables
from pipeline.batch.told import duration, status_of
from pipeline.batchsettings import BatchSettings
from pipeline.config import parse_configuration
from pipeline.demo import write_study
from pipeline.errors import UnusableCall
from pipeline.gateways.found import Query
from pipeline.imaging.volume import TimeSeries
from pipeline.ledger.batches import Batch, Batches, Member
from pipeline.ledger.batchtables import BECOMES, FINISHED, StudyState, before
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import JobOrder, Queue
from tests.support.jobs import artifact, job_request
from tests.support.tally import write_volumes

MINUTES = st.integers(0, DAY_MIN - 1)


@given(begins=MINUTES, ends=MINUTES, minute=MINUTES)
def test_a_window_is_open_from_its_first_minute_to_before_its_last(
    begins: int, ends: int, minute: int
) -> None:
    window = Window(begins_min=begins, ends_min=ends)
    assert window.is_open(begins)
    assert window.is_open(ends) == (begins == ends)
    left = window.opens_in_min(minute)
    assert window.is_open((minute + left) % DAY_MIN)
    assert all(not window.is_open((minute + k) % DAY_MIN) for k in range(left))


def test_a_window_is_read_as_it_is_written() -> None:
    assert parse_window("20:00-06:30") == Window(begins_min=1200, ends_min=390)
    assert parse_window(None) is None
    with pytest.raises(UnusableCall, match="HH:MM-HH:MM"):
        parse_window("25:00-06:00")


def test_nothing_begins_outside_of_the_window_or_above_the_load() -> None:
    night = Night(window=parse_window("20:00-06:00"), load=0.0, minute=lambda: 19 * 60 + 58)
    assert night.why_not() == "outside of its window, which opens in 0 h 02 min"
    assert Night(window=parse_window("20:00-06:00"), load=0.0, minute=lambda: 0).why_not() is None
    assert "its ceiling 1e-09" in str(Night(window=None, load=1e-9).why_not())
    assert Night(window=None, load=1e9).why_not() is None


class Waits(Event):
    """An event that is waited for without waiting: it tells for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now_s += timeout or 0.0
        return self.is_set()


@given(per_minute=st.floats(0.1, 1e4), turns=st.integers(2, 50))
def test_turns_are_evenly_spaced(per_minute: float, turns: int) -> None:
    waits = Waits()
    pace = Pace(per_minute=per_minute, clock=lambda: waits.now_s)
    assert all(pace.turn(waits) for _ in range(turns))
    assert waits.now_s == pytest.approx((turns - 1) * 60 / per_minute)
    waits.set()
    assert not pace.turn(waits)


def test_settings_of_a_batch_are_checked(tmp_path: Path) -> None:
    found = parse_configuration({"batch": {"window": "22:00-05:00", "load": 3}}, tmp_path)
    assert found.batch == BatchSettings(window="22:00-05:00", load=3.0)
    for table, told in (
        ({"window": "night"}, "HH:MM-HH:MM"),
        ({"prefetch": 0}, "needed is 1 or more"),
        ({"archive_per_minute": 0}, "more than 0"),
        ({"identifiers": "name"}, "possible is uid, hashed, accession"),
        ({"identifiers": "hashed"}, "set key"),
    ):
        with pytest.raises(UnusableCall, match=told):
            parse_configuration({"batch": table}, tmp_path)


def test_a_study_is_its_uid_wherever_its_files_lie(
    phantom_image: TimeSeries, tmp_path: Path
) -> None:
    one = write_study(phantom_image, tmp_path / "mixed", name="one")
    for path in one:
        path.rename(path.with_name(f"one-{path.name}"))
    write_study(phantom_image, tmp_path / "mixed", name="two")
    write_study(phantom_image, tmp_path / "alone" / "a", name="three")
    moved = sorted((tmp_path / "alone" / "a").iterdir())[:7]
    (tmp_path / "alone" / "b").mkdir()
    for path in moved:
        path.rename(tmp_path / "alone" / "b" / path.name)
    write_volumes(tmp_path / "volumes", 2)
    (tmp_path / "volumes" / "notes.txt").write_text("no input")
    (tmp_path / "raw.cfl").write_bytes(b"x")
    (tmp_path / "raw.hdr").write_bytes(b"x")
    found = of_folders([tmp_path])
    dicom = [member for member in found if member.study_instance_uid]
    assert len(dicom) == 3
    assert {member.n_files for member in dicom} == {len(one)}
    (alone,) = (member for member in dicom if member.root == tmp_path / "alone")
    assert alone.inputs == (".",)
    assert all(len(m.inputs) == len(one) for m in dicom if m.root == tmp_path / "mixed")
    others = [member.inputs for member in found if not member.study_instance_uid]
    assert sorted(others) == [("000000.nii",), ("000001.nii",), ("raw.cfl", "raw.hdr")]
    with pytest.raises(UnusableCall, match="no such file"):
        of_folders([tmp_path / "nowhere"])


def test_accession_numbers_are_read_and_never_told(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("﻿Patient,Accession_Number\nx, A1 \ny,A2\nz,A1\n\n", encoding="utf-8")
    asked = with_accessions(Query(modality="MR"), path)
    assert [query.accession for query in asked] == ["A1", "A2"]
    assert {query.modality for query in asked} == {"MR"}
    path.write_text("A7\nA8\n")
    assert [query.accession for query in with_accessions(Query(), path)] == ["A7", "A8"]
    path.write_text("SECRET1,SECRET2\n")
    with pytest.raises(UnusableCall, match="no column accession_number") as told:
        with_accessions(Query(), path)
    assert "SECRET" not in str(told.value)


def member(number: int) -> Member:
    """Return a study of a made-up folder."""
    return Member(
        study_instance_uid=f"2.25.{number}",
        root=Path(f"/in/{number}"),
        inputs=(".",),
        n_files=1,
        size_bytes=10,
    )


def made(ledger: Ledger, name: str, n_studies: int, output: Path = Path("/out")) -> Batch:
    """Make a batch."""
    batch = Batch(
        name=name,
        source={},
        analyses=(),
        output=output,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        pause_requested=False,
    )
    Batches(ledger).make(batch, [member(n) for n in range(n_studies)])
    return batch


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger."""
    with Ledger.open(str(tmp_path / "ledger.db")) as opened:
        yield opened


class Studies(RuleBasedStateMachine):
    """A study goes only where it may, and every one of a batch is somewhere."""

    place: Path
    n_studies = 4

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger.open(str(self.place / f"{uuid4().hex}.db"))
        made(self.ledger, "b", self.n_studies)
        self.batches = Batches(self.ledger)
        self.expected = dict.fromkeys(range(1, self.n_studies + 1), StudyState.WAITING)
        self.rows = {study.number: study.row for study in self.batches.studies("b")}

    def teardown(self) -> None:
        self.ledger.close()

    @rule()
    def take(self) -> None:
        study = self.batches.next_to_fetch("b")
        waiting = [n for n, state in self.expected.items() if state is StudyState.WAITING]
        assert (study.number if study else None) == min(waiting, default=None)
        if study:
            self.expected[study.number] = StudyState.FETCHING

    @rule(number=st.integers(1, 4), after=st.sampled_from(StudyState))
    def change(self, number: int, after: StudyState) -> None:
        may = after in BECOMES[self.expected[number]]
        assert self.batches.change(self.rows[number], after) == may
        if may:
            self.expected[number] = after

    @rule(states=st.sets(st.sampled_from(StudyState)))
    def put_back(self, states: set[StudyState]) -> None:
        moved = [
            n
            for n, state in self.expected.items()
            if state in states and StudyState.WAITING in BECOMES[state]
        ]
        assert self.batches.put_back("b", *states) == len(moved)
        self.expected |= dict.fromkeys(moved, StudyState.WAITING)

    @invariant()
    def agrees(self) -> None:
        found = {study.number: study for study in self.batches.studies("b")}
        assert {n: study.state for n, study in found.items()} == self.expected
        for study in found.values():
            assert (study.ended_at is not None) == (study.state in FINISHED)
        assert sum(self.batches.counts("b").values()) == self.n_studies


def test_studies_go_only_where_they_may(tmp_path: Path) -> None:
    Studies.place = tmp_path
    machine = Studies.TestCase
    machine.settings = settings(
        max_examples=15,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    machine("runTest").runTest()


def test_what_is_finished_stays_unless_it_has_failed() -> None:
    for state in (StudyState.DONE, StudyState.SKIPPED):
        assert BECOMES[state] == frozenset()
    assert set(before(StudyState.WAITING)) == {
        StudyState.FETCHING,
        StudyState.SUBMITTED,
        StudyState.FAILED,
        StudyState.REFUSED,
    }


def test_jobs_for_the_images_of_a_result_are_found(ledger: Ledger) -> None:
    queue = Queue(ledger)
    wanted = []
    for name, root in (("one", "/out/rec_1/images"), ("two", "/out/rec_12"), ("three", "/in")):
        order = JobOrder(
            lane="batch",
            priority=0,
            attempts=3,
            input_root=Path(root),
            inputs=("a.dcm",),
            configuration={},
            output=Path("/out"),
        )
        request = job_request(name)
        queue.submit(request, order)
        wanted.append(request.identity.job_id)
    batches = Batches(ledger)
    assert batches.made_from(Path("/out/rec_1")) == (wanted[0],)
    assert batches.made_from(Path("/out/rec%")) == ()
    standing = batches.standings(wanted)[wanted[0]]
    assert (standing.state, standing.is_due, standing.why) == ("waiting", True, None)
    queue.claim(wanted[0], "somebody", 60.0)
    queue.repeat(wanted[0], 1, ("OSError", "disk full"), 3600.0)
    standing = batches.standings(wanted)[wanted[0]]
    assert (standing.is_due, standing.why) == (False, "OSError: disk full")


KEY = b"a key of the site, long enough"


def test_hashed_names_tell_no_uid_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    naming = naming_of(BatchSettings(identifiers="hashed", key=tmp_path / "key"))
    hidden = naming.uid("1.2.3.4.5")
    assert hidden != "1.2.3.4.5"
    assert hidden == naming.uid("1.2.3.4.5")
    told = naming.text("series 1.2.3.4.5: Doe_John.dcm lacks (0020,0032), /in/Doe/x is 3.5 mm")
    assert told == f"series {hidden}: (a file) lacks (0020,0032), (a file) is 3.5 mm"
    (tmp_path / "other").write_bytes(KEY + b"!")
    other = naming_of(BatchSettings(identifiers="hashed", key=tmp_path / "other"))
    assert other.uid("1.2.3.4.5") != hidden
    (tmp_path / "short").write_bytes(b"short")
    with pytest.raises(UnusableCall, match="needed are 16 or more"):
        naming_of(BatchSettings(identifiers="hashed", key=tmp_path / "short"))


OUTCOME = {
    "measurements": [
        {"name": "acceleration", "value": 4.0, "unit": "1"},
        {"name": "area_mm2", "value": 812.5, "unit": "mm2", "slice_index": 1},
        {"name": "area_mm2", "value": None, "unit": "mm2", "slice_index": 0},
    ],
    "uncertainty": [
        {"slice_index": 0, "u_pp": None, "chosen_member": None, "members": [1]},
        {"slice_index": 1, "u_pp": 0.25, "chosen_member": "member_2", "members": [2]},
    ],
    "notes": ["one; 'quoted'", "two, with a comma"],
    "timings": {"load": 0.5, "infer": 1.5},
}


def finished_batch(ledger: Ledger, output: Path, n_studies: int = 6) -> Batch:
    """Make a batch with results, a failed job and a study that was refused."""
    batch, batches = made(ledger, "b", n_studies, output), Batches(ledger)
    for number in range(1, n_studies + 1):
        study = batches.next_to_fetch("b")
        assert study is not None
        if number == n_studies:
            why = "series 2.25.77.1.9: /in/Doe/x.dcm is no <b>image</b>"
            batches.change(study.row, StudyState.REFUSED, reason=why)
            continue
        request = job_request(f"job {number}", study=f"2.25.{number - 1}")
        job_id = request.identity.job_id
        attempt = ledger.begin(request)
        batches.change(study.row, StudyState.SUBMITTED, job_ids=[job_id])
        if number == n_studies - 1:
            ledger.fail(job_id, attempt, error="AnalysisFailed", reason="no plausible myocardium")
            batches.change(study.row, StudyState.FAILED)
            continue
        files = [artifact("a.dcm")]
        ledger.complete(job_id, attempt, folder=output, artifacts=files, outcome=OUTCOME)
        batches.change(study.row, StudyState.DONE)
    return batch


def test_tables_have_a_row_a_result_and_say_why_others_are_missing(
    ledger: Ledger, tmp_path: Path
) -> None:
    batch = finished_batch(ledger, tmp_path)
    files = write_tables(batch, ledger, Naming(kind="uid"), tmp_path / "tables")
    results, failures = read_columns(files.results), read_columns(files.failures)
    assert results["number"] == [1, 2, 3, 4]
    assert results["study"] == ["2.25.0", "2.25.1", "2.25.2", "2.25.3"]
    assert results["series"] == ["2.25.2 2.25.3"] * 4
    assert results["area_mm2 slice 1 [mm2]"] == [812.5] * 4
    assert results["area_mm2 slice 0 [mm2]"] == [None] * 4
    assert results["acceleration [1]"] == [4.0] * 4
    assert results["uncertainty"] == [0.25] * 4
    assert results["uncertainty chosen_member slice 1"] == ["member_2"] * 4
    assert results["time total [s]"] == [2.0] * 4
    assert results["notes"] == ["one; 'quoted'; two, with a comma"] * 4
    assert not any(name.startswith("uncertainty members") for name in results)
    assert failures["what"] == ["job", "study"]
    assert failures["error"] == ["AnalysisFailed", None]
    assert failures["reason"][0] == "no plausible myocardium"
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == sorted(
        path.name for path in files
    )


def test_a_hashed_table_and_its_report_hold_nothing_that_names_a_study(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(KEY)
    naming = naming_of(BatchSettings(identifiers="hashed", key=tmp_path / "key"))
    batch = finished_batch(ledger, tmp_path)
    files = write_tables(batch, ledger, naming, tmp_path / "tables")
    status = status_of(batch, Batches(ledger), is_running=False)
    page = write_report(status, files, tmp_path / "tables" / "report.html")
    results = read_columns(files.results)
    assert len(set(results["study"])) == 4
    for path in (files.results_csv, files.failures_csv, page):
        text = path.read_text()
        for name in ("2.25.1,", "2.25.77.1.9", "Doe", "/in/"):
            assert name not in text, path.name


def test_a_report_stands_alone(ledger: Ledger, tmp_path: Path) -> None:
    batch = finished_batch(ledger, tmp_path)
    files = write_tables(batch, ledger, Naming(kind="uid"), tmp_path)
    status = status_of(batch, Batches(ledger), is_running=False)
    text = write_report(status, files, tmp_path / "report.html").read_text()
    assert "<script" not in text
    assert "src=" not in text
    links = [piece.split('"')[0] for piece in text.split('href="')[1:]]
    assert all(link.startswith("#") for link in links)
    assert "no &lt;b&gt;image&lt;/b&gt;" in text
    assert "area_mm2 slice 1 [mm2]" in text
    assert text.index("<table>") < text.index("<svg")
    pictures = [piece.split("</svg>")[0] for piece in text.split("<svg")[1:]]
    assert len(pictures) >= 4
    for picture in pictures:
        for used in set(re.findall(r"url\(#([^)]+)\)", picture)):
            # Each picture finds its own clip path and not that of another one.
            assert f'id="{used}"' in picture
            assert text.count(f'id="{used}"') == 1


def test_a_batch_without_results_has_tables_and_a_report(ledger: Ledger, tmp_path: Path) -> None:
    batch = made(ledger, "empty", 1, tmp_path)
    files = write_tables(batch, ledger, Naming(kind="uid"), tmp_path)
    assert read_columns(files.results)["job_id"] == []
    status = status_of(batch, Batches(ledger), is_running=False)
    assert status.state == "planned"
    text = write_report(status, files, tmp_path / "report.html").read_text()
    assert "None." in text


@given(seconds=st.floats(0, 1e6))
def test_times_are_told_to_a_minute(seconds: float) -> None:
    told = duration(seconds)
    if told.endswith(" s"):
        assert abs(float(told[:-2]) - seconds) <= 0.5
        return
    parts = told.removesuffix(" min").split(" h ")
    hours, minutes = (int(parts[0]), int(parts[1])) if len(parts) == 2 else (0, int(parts[0]))
    assert math.isclose(60 * hours + minutes, seconds / 60, abs_tol=0.5 + 1e-9)
