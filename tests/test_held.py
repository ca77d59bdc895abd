"""A series that fits by its form, and is of something else by its names, waits for a person."""

from pathlib import Path

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.demo import write_study
from pipeline.errors import UnusableCall
from pipeline.guards import doubt
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.limits import Limits, in_force, put_in_force
from pipeline.ledger.audit import Sought, entries
from pipeline.ledger.care import Care
from pipeline.ledger.held import held_jobs, release
from pipeline.ledger.states import JobState
from pipeline.perform import open_analyses
from pipeline.submit import Terms, submit
from pipeline.work import work
from tests.support.broken import good_image
from tests.support.geometry import series_on
from tests.test_work import Place
from workers import heldcli


def study(folder: Path, **changes: str) -> Path:
    """Write a dynamic series that says of itself what it is asked to say."""
    image = good_image()
    write_study(series_on(image.affine, (12, *image.array.shape[1:])), folder, name="held")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        instance = dcmread(path)
        for keyword, value in changes.items():
            setattr(instance, keyword, value)
        instance.save_as(path)
    return folder


@pytest.fixture
def at(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"BodyPartExamined": "BRAIN"}, "Body Part Examined (0018,0015)"),
        ({"ProtocolName": "ep2d_perf_DSC"}, "Protocol Name (0018,1030)"),
        ({"ProtocolName": "", "SeriesDescription": "Perfusion Kopf"}, "Series Description"),
    ],
)
def test_a_series_of_another_part_is_doubted(
    changes: dict[str, str], said: str, tmp_path: Path
) -> None:
    (candidate,) = take_inventory([study(tmp_path / "in", **changes)]).candidates
    why = doubt(candidate, "perfusion")
    assert why is not None
    assert said in why
    assert "DSC" not in why
    assert "Kopf" not in why
    assert doubt(candidate, "reconstruction") is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"BodyPartExamined": "HEART"},
        {"BodyPartExamined": "CHEST"},
        {"BodyPartExamined": "SITES OWN"},
        {"ProtocolName": "cardiac perfusion, head first"},
        {"ProtocolName": "perf_liver_dome_to_LV"},
    ],
)
def test_a_series_of_the_heart_is_not_doubted(changes: dict[str, str], tmp_path: Path) -> None:
    (candidate,) = take_inventory([study(tmp_path / "in", **changes)]).candidates
    assert doubt(candidate, "perfusion") is None


def test_a_site_can_switch_the_doubt_off(tmp_path: Path) -> None:
    (candidate,) = take_inventory([study(tmp_path / "in", BodyPartExamined="BRAIN")]).candidates
    before = in_force()
    put_in_force(Limits(hold_other_body_parts=False))
    try:
        assert doubt(candidate, "perfusion") is None
    finally:
        put_in_force(before)


def test_a_job_that_is_held_waits_for_a_person(at: Place) -> None:
    (job,) = at.submit(study(at.folder / "in", BodyPartExamined="BRAIN"), names=("perfusion",))
    assert at.found(job).state is JobState.QUARANTINED
    assert work(job, at.bench) is None
    (found,) = held_jobs(at.ledger)
    assert found.job_id == job
    assert "Body Part Examined" in found.reason
    with pytest.raises(UnusableCall, match="is held: vesalius held release"):
        Care(at.ledger).retry(job, 3)
    analyses = open_analyses(("perfusion",), at.configuration)
    terms = Terms(output=at.folder / "out", again=True)
    submit([at.folder / "in"], analyses, terms, at.ledger)
    assert at.found(job).state is JobState.QUARANTINED


def test_a_release_is_audited_and_counts_once(at: Place) -> None:
    (job,) = at.submit(study(at.folder / "in", BodyPartExamined="BRAIN"), names=("perfusion",))
    assert release(at.ledger, job, 3, ("anna", "it is the heart")) is JobState.WAITING
    assert held_jobs(at.ledger) == ()
    (event,) = entries(at.ledger, Sought(action="job released"))
    assert event.audited.actor == "anna"
    assert event.audited.subject == f"job {job}"
    assert event.audited.detail["reason"] == "it is the heart"
    with pytest.raises(UnusableCall, match="is not held"):
        release(at.ledger, job, 3, ("anna", "again"))
    # Submitted once more it is the same job, which was released.
    (again,) = at.submit(at.folder / "in", names=("perfusion",))
    assert again == job
    assert at.found(job).state is JobState.WAITING


def test_the_command_lists_and_releases(at: Place) -> None:
    (job,) = at.submit(study(at.folder / "in", BodyPartExamined="BRAIN"), names=("perfusion",))
    ledger = str(at.folder / "ledger.db")
    assert heldcli.held.registered_commands
    runner = CliRunner()
    listed = runner.invoke(app, ["held", "list", "--ledger", ledger])
    assert listed.exit_code == 0
    assert f"job {job}  perfusion: Body Part Examined (0018,0015)" in listed.output
    done = runner.invoke(
        app, ["held", "release", str(job)[:8], "--reason", "right", "--ledger", ledger]
    )
    assert done.exit_code == 0, done.output
    assert "waiting" in done.output
    assert held_jobs(at.ledger) == ()
