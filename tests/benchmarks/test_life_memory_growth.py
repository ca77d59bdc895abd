"""The areas that measure the service, memory and growth do the same work on both sides."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from benchmarks import growth, life, memoryrows, peers
from benchmarks.row import Missing, Row, Terms
from benchmarks.studies import submitted, write_studies
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import Job


def small(place: Path) -> Terms:
    return Terms(rounds=1, is_small=True, place=place)


@pytest.mark.service
def test_the_service_and_a_plain_task_write_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_here(name: str) -> Path:
        raise peers.NotInstalled(name)

    monkeypatch.setattr(life, "python_of", not_here)
    found = list(life.measure(small(tmp_path)))
    assert [one.reason for one in found if isinstance(one, Missing)] == ["monaideploy"]
    rows = [one for one in found if isinstance(one, Row)]
    assert [row.unit for row in rows] == ["ms"] * 3
    assert min(*rows[1].ours, *rows[1].theirs) > 0


def test_results_that_differ_are_no_comparison(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name / "job").mkdir(parents=True)
        (tmp_path / name / "job" / "a.bin").write_text(name)
    assert life.digests(tmp_path / "ours") != life.digests(tmp_path / "theirs")
    assert len(life.digests(tmp_path / "ours")) == 1


def test_a_peak_is_that_of_the_task_and_not_of_the_start(tmp_path: Path) -> None:
    told = memoryrows.alone("reconstruction", "64-96")
    assert told["before"] <= told["peak"]
    assert told["warm"] <= told["after"] * 1.5
    assert told["seconds"] > 0


def test_the_peak_grows_with_what_is_analysed() -> None:
    told = memoryrows.alone("perfusion", 20)
    assert 30 < told["before"] < told["peak"] < 2000


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_a_slope_is_the_power_that_time_grows_with(power: float) -> None:
    sizes = (10, 100, 1000)
    assert growth.slope(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_the_ledgers_work_is_measured_and_drawn(tmp_path: Path) -> None:
    curve = growth.ledger_work(small(tmp_path))
    assert 0.3 < curve.row().ratio < 1.7
    growth.plot([curve], tmp_path / "plots" / "growth.png")
    assert (tmp_path / "plots" / "growth.png").stat().st_size > 10_000


def test_every_study_becomes_a_job_through_the_intake(tmp_path: Path) -> None:
    write_studies(tmp_path / "studies", 5)
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        told = submitted(tmp_path / "studies", ledger, (1, 4))
        with ledger.transaction() as transaction:
            assert transaction.scalar(select(func.count()).select_from(Job)) == 5
    assert told[0]["seconds"] < told[1]["seconds"]
    assert told[0]["peak"] <= told[1]["peak"]


def test_a_study_without_a_job_is_no_measurement(tmp_path: Path) -> None:
    write_studies(tmp_path / "studies", 2)
    (tmp_path / "studies" / "00001" / "1.dcm").write_text("no DICOM")
    with (
        Ledger.open(str(tmp_path / "ledger.db")) as ledger,
        pytest.raises(ValueError, match="study 1 makes no job"),
    ):
        submitted(tmp_path / "studies", ledger, (1,))


def test_studies_are_told_with_their_peaks(tmp_path: Path) -> None:
    curve = growth.intake(small(tmp_path))
    assert len(curve.peaks) == len(curve.sizes)
    assert curve.peak_row().aim == growth.FLAT
    assert 0 < curve.row().ratio < 1.5
