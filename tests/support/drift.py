"""Made-up studies for the watch on drift, as points and as jobs of a ledger."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from pipeline.drift.points import Point, points_of
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.statistics import Described, Recorded, StatisticsRow, record_within
from tests.support.jobs import job_request

BEGINNING = datetime(2026, 3, 2, tzinfo=UTC)


def described(
    rng: np.random.Generator, *, shift: float = 0.0, station: str = "MR1", **names: str
) -> Described:
    """Return a study whose noise is shifted by so many deviations."""
    return Described(
        numbers={
            "noise": float(rng.normal(10.0 + shift)),
            "intensity_mean": float(rng.normal(200.0, 20.0)),
            "rows": 128.0,
        },
        categories={"station": station, **names},
    )


def points(found: Sequence[Described], *, first: int = 0, hours: float = 1.0) -> list[Point]:
    """Return studies, one after another."""
    return list(
        points_of(
            Recorded(
                row=first + n,
                study=f"2.25.{first + n}",
                done_at=BEGINNING + timedelta(hours=hours * (first + n)),
                described=one,
            )
            for n, one in enumerate(found)
        )
    )


def record_studies(ledger: Ledger, found: Sequence[Described], *, first: int = 0) -> None:
    """Record studies as jobs that are done, an hour apart."""
    for n, one in enumerate(found, start=first):
        request = job_request(f"study {n}", study=f"2.25.{n}")
        job_id = request.identity.job_id
        attempt = ledger.begin(request)

        def publish(session, job_id=job_id, one=one, n=n):  # noqa: ANN001
            record_within(session, job_id, one)
            session.flush()
            row = session.query(StatisticsRow).filter_by(job_id=job_id).one()
            row.done_at = BEGINNING + timedelta(hours=n)

        assert ledger.complete(
            job_id, attempt, folder=Path("/out"), artifacts=[], outcome={}, publish=publish
        )
