"""Area ``life``: a study's life in the service over the bare work, and over other ways to serve.

The work is the tests' small analysis, whose network takes no time: what is left is the serving. The
service's processes are real: dispatcher, broker, worker and its readers, over a ledger on SQLite.
"""

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

from sqlalchemy import select

from benchmarks.peers import NotInstalled, ask, python_of
from benchmarks.row import Missing, Row, Terms, in_turn, seconds_of
from benchmarks.service import bare_model_s, seconds_a_job, service, wait_quietly
from pipeline.identity import digest_file
from pipeline.ledger.events import Event
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import EventRow
from tests.support.service import Service
from tests.support.tally import SITE, write_tally_bundle, write_volumes
from tests.support.valkey import Valkey

LIMIT_MS = 50.0
"""What serving may add to a job [ms]."""

N_LONE = 10
"""Jobs that are submitted one at a time."""

PROMISES = (
    "Not the same: theirs keeps no ledger, flushes nothing, reads the input in the process that "
    "works, and does not look whether it is still what was submitted."
)


class Place:
    """Where both sides find the model, the inputs and a broker."""

    def __init__(self, terms: Terms, broker: str) -> None:
        self._root, self.broker = terms.place, broker
        self.n_jobs = 12 if terms.is_small else 60
        self.n_lone = 3 if terms.is_small else N_LONE
        self.models = write_tally_bundle(self._root / "models")
        self.model = self.models / "tally" / "bundle" / "models" / "tally.onnx"
        self.inputs = self._root / "inputs"
        write_volumes(self.inputs, self.n_jobs)
        # A job that is done already is not done again: each lone one is of another input.
        self.seeds = count(self.n_jobs)

    def folder(self) -> Path:
        """Return a new folder."""
        return Path(mkdtemp(dir=self._root))

    def service(self) -> Service:
        """Return a service over an empty ledger."""
        return service(self.folder() / "service", self.broker, self.models)


def measure(terms: Terms) -> Iterator[Row | Missing]:
    """Yield what the service adds to a job, and what other ways add."""
    if str(SITE) not in sys.path:
        # The analysis is a package of a site's own, found by its entry point.
        sys.path.insert(0, str(SITE))
    with Valkey(terms.place / "broker") as broker:
        place = Place(terms, broker.url)
        bare_s = bare_model_s(place.models, 0)
        ours, theirs = in_turn(
            terms.rounds,
            lambda: 1000 * (many_s(place) - bare_s),
            lambda: 1000 * (celery(place)["many"] - bare_s),
        )
        yield Row(
            area="life",
            what="the service, a job of many, over the bare network",
            against="the limit",
            ours=ours,
            theirs=(LIMIT_MS,) * len(ours),
            unit="ms",
            aim=1.0,
        )
        yield Row(
            area="life",
            what="the service, a job of many, over the bare network",
            against="a plain Celery task that does the same, over the bare network",
            ours=ours,
            theirs=theirs,
            unit="ms",
            note=PROMISES,
        )
        yield lone(place, terms.rounds)
        yield from monai(place, terms.rounds, ours, bare_s)


def many_s(place: Place) -> float:
    """Return the time of a job while many wait, one worker that is warm [s]."""
    at = place.service()
    seconds_a_job(at, 1, (place.n_jobs, 0))
    check_same(place, at)
    with Ledger.open(at.place) as ledger, ledger.reading() as session:
        ends = session.scalars(select(EventRow.at).where(EventRow.event == Event.DONE)).all()
    # The first opens the bundle and starts what readers are made from.
    return (max(ends) - min(ends)).total_seconds() / (len(ends) - 1)


def check_same(place: Place, at: Service) -> None:
    """Check that the service and the plain task write the same files.

    Raises
    ------
    ValueError
        If they do not.
    """
    celery_results = place.folder()
    ask(Path(sys.executable), "tallied.py", place.model, place.inputs, celery_results)
    plain, ours = (digests(folder) for folder in (celery_results, at.output))
    if plain != ours:
        raise ValueError(f"{len(plain)} results of the plain way, {len(ours)} others of ours")


def digests(root: Path) -> list[str]:
    """Return the digests of all files of results, sorted."""
    return sorted(digest_file(path) for path in root.glob("*/**/*.bin"))


def celery(place: Place) -> dict[str, float]:
    """Return what a job takes in plain Celery, one of many and alone [s]."""
    call = (place.broker, place.model, place.inputs, place.folder(), place.n_lone)
    told: dict[str, float] = ask(Path(sys.executable), "plaincelery.py", *call)
    return told


def lone(place: Place, rounds: int) -> Row:
    """Return how long a job takes that finds the service idle, from its submission to its end."""
    at = place.service()
    try:
        at.worker()
        at.dispatcher()
        ours, theirs = in_turn(
            rounds, lambda: 1000 * lone_s(place, at), lambda: 1000 * celery(place)["lone"]
        )
    finally:
        at.stop()
    return Row(
        area="life",
        what="the service, a lone job, submission to end",
        against="a plain Celery task that does the same",
        ours=ours,
        theirs=theirs,
        unit="ms",
        note=PROMISES,
    )


def lone_s(place: Place, at: Service) -> float:
    """Return the median time from submission to end of jobs that find the worker idle [s]."""
    times = []
    for _ in range(place.n_lone):
        done = at.states().get("done", 0)
        volumes = write_volumes(place.folder(), 1, first=next(place.seeds))
        (job,) = at.submit(*volumes)
        wait_quietly(at, done + 1)
        with Ledger.open(at.place) as ledger:
            when = {event.event: event.at for event in ledger.history(job)}
        times.append((when[Event.DONE] - when[Event.SUBMITTED]).total_seconds())
    return median(times)


def monai(
    place: Place, rounds: int, ours: tuple[float, ...], bare_s: float
) -> Iterator[Row | Missing]:
    """Yield a job of many beside a MONAI Deploy application's, if that is installed here."""
    try:
        python = python_of("monaideploy")
    except NotInstalled as reason:
        yield Missing(against="a MONAI Deploy application", reason=str(reason))
        return

    def run(n_runs: int) -> list[float]:
        call = (place.model, place.inputs, place.folder(), n_runs)
        took: list[float] = ask(python, "monaideploy.py", *call)
        return took

    warm = [1000 * (median(run(place.n_jobs)) - bare_s) for _ in range(rounds)]
    yield Row(
        area="life",
        what="the service, a job of many, over the bare network",
        against="a MONAI Deploy application 4.0, run again in its process",
        ours=ours,
        theirs=tuple(warm),
        unit="ms",
        note="Measured after ours, not in turn. There is no queue on the other side. " + PROMISES,
    )
    cold = [1000 * (seconds_of(lambda: run(1)) - bare_s) for _ in range(rounds)]
    yield Row(
        area="life",
        what="the service, a job of many, over the bare network",
        against="a MONAI Deploy application 4.0, a process a study",
        ours=ours,
        theirs=tuple(cold),
        unit="ms",
        aim=1.0,
        note="Its own packages run so: a container a study. Measured after ours, not in turn. "
        + PROMISES,
    )
