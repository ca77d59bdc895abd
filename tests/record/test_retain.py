"""What is old goes, and nothing that is held, not delivered, or to be looked at."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from pipeline.config import Configuration
from pipeline.errors import UnusableCall
from pipeline.ledger.audit import entries
from pipeline.ledger.deliverytables import DeliveryRow
from pipeline.ledger.exchange import Arrival, InstanceRow, Suspect
from pipeline.ledger.holds import hold
from pipeline.ledger.tables import EventRow, Job, now
from pipeline.record.forget import Holdings, look
from pipeline.record.retain import look_for_old, retain
from pipeline.recordsettings import RetentionSettings
from tests.support.kept import keep_study, mark, marks_in, study_uid
from workers.up import Machine, _commands

DAYS = 10.0
ALL = RetentionSettings(inputs_days=DAYS, results_days=DAYS, refused_days=DAYS, events_days=DAYS)
INPUTS = RetentionSettings(inputs_days=DAYS)


def grow_old(holdings: Holdings, days: float = DAYS + 1) -> None:
    """Let so much time pass, and have all studies taken."""
    past = now() - timedelta(days=days)
    with holdings.ledger.transaction() as session:
        session.execute(
            update(Arrival).values(state="taken", last_at=Arrival.last_at - days * 86_400)
        )
        session.execute(update(Job).values(changed_at=past))
        session.execute(update(EventRow).values(at=past))
        session.execute(update(Suspect).values(at=past))


def counts(holdings: Holdings) -> list[int]:
    """Return how many instances, data sets set aside, jobs and events there are."""
    with holdings.ledger.reading() as session:
        tables = (InstanceRow, Suspect, Job, EventRow)
        return [session.scalar(select(func.count()).select_from(t)) or 0 for t in tables]


def test_nothing_goes_before_its_time_or_unasked(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    before = counts(holdings)
    retain(ALL, holdings, 60.0)
    grow_old(holdings)
    retain(RetentionSettings(), holdings, 60.0)
    assert counts(holdings) == before
    assert not RetentionSettings().is_set


def test_received_files_go_and_the_result_stays(holdings: Holdings) -> None:
    job_id = keep_study(holdings, 1)
    grow_old(holdings)
    aged = look_for_old(INPUTS, holdings)
    assert [old.study_instance_uid for old in aged.inputs] == [study_uid(1)]
    assert counts(holdings)[0] == 3, "a look removes nothing"
    gone = retain(INPUTS, holdings, 60.0)
    assert gone.inputs == aged.inputs
    assert counts(holdings)[0] == 0
    assert list((holdings.places.inbox / "studies").rglob("*.dcm")) == []
    assert holdings.ledger.find(job_id) is not None
    assert Path(look(study_uid(1), holdings).results[0][0]).is_dir()
    (event,) = [e.audited for e in entries(holdings.ledger) if e.audited.action == "inputs removed"]
    assert event.detail == {"instances": 3}
    assert retain(INPUTS, holdings, 60.0).inputs == ()


def test_everything_goes_that_is_old(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    grow_old(holdings)
    keep_study(holdings, 2)
    gone = retain(ALL, holdings, 60.0)
    assert gone.studies == (study_uid(1),)
    assert counts(holdings)[0] == 3
    assert [p for p in marks_in(holdings.places.state.parent, mark(1)) if ".db" not in p.name] == []


def test_what_was_set_aside_and_events_go_alone(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    grow_old(holdings)
    retain(RetentionSettings(refused_days=DAYS), holdings, 60.0)
    assert counts(holdings)[:3] == [3, 0, 1]
    assert list((holdings.places.inbox / "suspects").iterdir()) == []
    assert counts(holdings)[3] > 0
    retain(RetentionSettings(events_days=DAYS), holdings, 60.0)
    assert counts(holdings) == [3, 0, 1, 0]


@pytest.mark.parametrize(
    ("table", "values", "why"),
    [
        (DeliveryRow, {"state": "waiting"}, "a delivery of it is waiting"),
        (DeliveryRow, {"state": "blocked"}, "a delivery of it is blocked"),
        (Job, {"state": "quarantined"}, "a job of it is quarantined"),
        (Job, {"state": "waiting"}, "a job of it is waiting"),
    ],
)
def test_what_is_not_finished_stays(
    holdings: Holdings, table: type[Job] | type[DeliveryRow], values: dict[str, str], why: str
) -> None:
    keep_study(holdings, 1)
    grow_old(holdings)
    with holdings.ledger.transaction() as session:
        session.execute(update(table).values(**values))
    before = counts(holdings)[:1]
    gone = retain(INPUTS, holdings, 60.0)
    assert gone.kept == {study_uid(1): why}
    assert counts(holdings)[:1] == before


def test_what_is_on_hold_stays_whatever_its_age(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    grow_old(holdings)
    hold(holdings.ledger, study_uid(1), "case-1", "anna@here")
    before = counts(holdings)
    gone = retain(ALL, holdings, 60.0)
    assert gone.kept == {study_uid(1): "it is on hold"}
    assert counts(holdings) == before


def test_settings_that_are_not_possible_are_refused() -> None:
    with pytest.raises(UnusableCall, match="events_days is -1"):
        RetentionSettings(events_days=-1)
    with pytest.raises(UnusableCall, match="results_days is below inputs_days"):
        RetentionSettings(inputs_days=9, results_days=3)


def test_the_service_runs_it_where_it_is_set(tmp_path: Path) -> None:
    def names(configuration: Configuration) -> list[str]:
        machine = Machine(configuration=configuration, config_file=None, place="x", state=tmp_path)
        return [name for name, _, _ in _commands(machine)]

    assert "retain" not in names(Configuration())
    assert "retain" in names(Configuration(retention=INPUTS))
