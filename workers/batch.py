"""What the commands of batch runs do: thin, over ``pipeline.batch``."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import FrameType
from typing import cast

from pipeline.analysis import Analysis
from pipeline.batch.ahead import Ahead
from pipeline.batch.cohort import of_archive, of_folders, with_accessions
from pipeline.batch.hands import Call, Hands
from pipeline.batch.nights import Pace, parse_window
from pipeline.batch.plan import BatchPlan, make_plan
from pipeline.batch.report import write_report
from pipeline.batch.run import BatchRun, Night, Outcome
from pipeline.batch.tables import TableFiles, naming_of, write_tables
from pipeline.batch.told import BatchStatus, status_of
from pipeline.config import Configuration
from pipeline.errors import UnusableCall
from pipeline.fetch import Source
from pipeline.gateways.found import Query
from pipeline.inservice import InService, open_version
from pipeline.ledger.batches import Batch, Batches, Member
from pipeline.ledger.batchtables import StudyState
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import now
from pipeline.locks import locked_if_free
from pipeline.options import ledger_place
from pipeline.outputs import OutputFolder
from pipeline.perform import open_analyses
from pipeline.submit import Terms
from workers.batchprogress import BatchProgress
from workers.options import results_folder

LANE = "batch"
"""Lane that a batch's jobs wait in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cohort:
    """What a new batch is to be of."""

    inputs: tuple[Path, ...] = ()
    """Folders or files."""

    output: Path | None = None
    """Folder for the results."""

    analyses: tuple[str, ...] = ()
    """Names of the analyses; none is all."""

    own_models: bool = False
    """Whether the call names bundles: those are meant then, whatever versions are live."""

    cohort: str | None = None
    """Another batch, whose studies it takes."""

    node: str | None = None
    """Archive of the settings."""

    by: str | None = None
    """How its studies are retrieved."""

    dates: str | None = None
    """Study date or range of dates."""

    modality: str | None = None
    """Modality in the study."""

    description: str | None = None
    """Study description."""

    accessions: Path | None = field(default=None, repr=False)
    """CSV file of accession numbers."""

    @property
    def is_given(self) -> bool:
        """Whether it says where studies come from."""
        return bool(self.inputs or self.cohort or self.node)


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """A batch that is open."""

    batch: Batch
    """The batch."""

    ledger: Ledger
    """The ledger."""

    settings: Configuration
    """The site's settings."""

    analyses: tuple[Analysis, ...]
    """The analyses."""

    is_new: bool
    """Whether it was made by this call."""

    progress: BatchProgress
    """Tells a person."""


def folder_of(batch: Batch) -> Path:
    """Return the folder for tables and report of a batch."""
    return batch.output / f"batch-{batch.name}"


@contextmanager
def ledger_of(settings: Configuration) -> Iterator[Ledger]:
    """Open the site's ledger."""
    with Ledger.open(ledger_place(settings)) as ledger:
        yield ledger


@contextmanager
def opened(settings: Configuration, name: str, asked: Cohort | None) -> Iterator[Desk]:
    """Open a batch; make it if it is new.

    Raises
    ------
    UnusableCall
        If it is to be made and there is one, or is to be there and is not.
    """
    with ledger_of(settings) as ledger:
        batches = Batches(ledger)
        found = batches.find(name)
        if asked is not None and asked.is_given:
            if found is not None:
                raise UnusableCall(f"there is a batch {name!r}: name it without inputs to go on")
            found, is_new = _made(name, asked, settings, ledger), True
        else:
            found, is_new = batches.named(name), False
        yield Desk(
            batch=found,
            ledger=ledger,
            settings=settings,
            analyses=_pinned(found, settings),
            is_new=is_new,
            progress=BatchProgress(),
        )


def planned(desk: Desk) -> BatchPlan:
    """Return what a batch comes to."""
    processes = desk.settings.batch.processes
    with desk.progress.shown():
        return make_plan(desk.batch, desk.analyses, desk.ledger, processes, desk.progress.reading)


def ran(
    desk: Desk,
    config: Path | None,
    deliver: bool,
    failed: bool,
) -> tuple[Outcome, BatchStatus]:
    """Run a batch until it is finished or is to end, and write its tables and its report.

    Raises
    ------
    UnusableCall
        If another process runs it.
    """
    batch, batches = desk.batch, Batches(desk.ledger)
    folder = folder_of(batch)
    OutputFolder.open(batch.output)
    folder.mkdir(exist_ok=True)
    with ExitStack() as held:
        if not held.enter_context(locked_if_free(folder / "run.lock")):
            raise UnusableCall(f"another process runs the batch {batch.name!r}")
        # Before the plan: whoever asks for a pause meanwhile is heard.
        batches.ask_to_pause(batch.name, pause=False)
        if desk.is_new:
            for line in planned(desk).lines():
                desk.progress.say(line)
        if failed:
            batches.put_back(batch.name, StudyState.FAILED, StudyState.REFUSED)
        ending = _told_to_end()
        settings = desk.settings.batch
        hands = held.enter_context(Hands(_call(desk, config, deliver), settings.processes))
        ahead = _ahead(desk, retry=failed)
        held.enter_context(desk.progress.shown())
        night = Night(window=parse_window(settings.window), load=settings.load)
        run = BatchRun(batch, desk.ledger, ahead, hands, desk.progress)
        outcome = run.run(settings, night, ending)
    write_report_of(desk.settings, batch.name)
    return outcome, status_of(batch, batches, is_running=False)


def standing(batch: Batch, ledger: Ledger) -> BatchStatus:
    """Return how a batch stands."""
    is_running = False
    if folder_of(batch).is_dir():
        with locked_if_free(folder_of(batch) / "run.lock") as is_free:
            is_running = not is_free
    return status_of(batch, Batches(ledger), is_running=is_running)


def write_tables_of(settings: Configuration, name: str) -> TableFiles:
    """Write the tables of a batch."""
    with ledger_of(settings) as ledger:
        found = Batches(ledger).named(name)
        naming = naming_of(settings.batch)
        return write_tables(found, ledger, naming, folder_of(found))


def write_report_of(settings: Configuration, name: str) -> Path:
    """Write the tables and the report of a batch."""
    files = write_tables_of(settings, name)
    with ledger_of(settings) as ledger:
        found = Batches(ledger).named(name)
        status = standing(found, ledger)
        return write_report(status, files, folder_of(found) / "report.html")


def _pinned(batch: Batch, settings: Configuration) -> tuple[Analysis, ...]:
    """Return the analyses of a batch with the bundles that it was begun with."""
    bundles = cast("dict[str, str]", batch.source["bundles"])
    return tuple(open_version(name, bundles[name], settings) for name in batch.analyses)


def _made(name: str, asked: Cohort, settings: Configuration, ledger: Ledger) -> Batch:
    """Make a batch: all its studies are done by the versions that are live now."""
    batches = Batches(ledger)
    kinds = [bool(asked.inputs), asked.cohort is not None, asked.node is not None]
    if sum(kinds) > 1:
        raise UnusableCall("a batch is of inputs, of --from an archive, or of a --cohort")
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise UnusableCall(f"{name!r}: a name has letters, digits, dots, _ and -")
    members, source = _members(asked, settings, batches)
    if not members:
        raise UnusableCall("no study was found: nothing was saved")
    if asked.own_models:
        analyses = open_analyses(asked.analyses, settings)
    else:
        analyses = InService(ledger, settings).live(asked.analyses)
    batch = Batch(
        name=name,
        source={**source, "bundles": {each.name: each.bundle.digest for each in analyses}},
        analyses=tuple(each.name for each in analyses),
        output=results_folder(asked.output, settings).absolute(),
        created_at=now(),
        pause_requested=False,
    )
    batches.make(batch, members)
    return batch


def _members(
    asked: Cohort, settings: Configuration, batches: Batches
) -> tuple[list[Member], dict[str, object]]:
    """Return the studies of a new batch, and where they come from."""
    if asked.inputs:
        members = of_folders(asked.inputs)
        return members, {"folders": [str(path.absolute()) for path in asked.inputs]}
    if asked.cohort is not None:
        other = batches.named(asked.cohort)
        members = [study.member for study in batches.studies(asked.cohort)]
        origin = {key: other.source[key] for key in ("node", "by") if key in other.source}
        return members, {"cohort": asked.cohort, **origin}
    selection = Query(dates=asked.dates, modality=asked.modality, description=asked.description)
    wanted = [selection]
    if asked.accessions is not None:
        wanted = with_accessions(selection, asked.accessions)
    # What was looked for may name a patient: only the studies that were found are kept.
    origin = {"node": asked.node, "by": asked.by}
    source = _source(origin, settings)
    pace = Pace(per_minute=settings.batch.archive_per_minute)
    return (of_archive(source, wanted, pace) if source else []), origin


def _source(origin: "dict[str, object] | object", settings: Configuration) -> Source | None:
    """Return the archive that a batch's studies are fetched from; None if they are files."""
    if not isinstance(origin, dict) or not origin.get("node"):
        return None
    name, by = str(origin["node"]), origin.get("by")
    node = settings.nodes.get(name)
    if node is None:
        raise UnusableCall(f"no node {name!r}; the nodes are {', '.join(settings.nodes) or 'none'}")
    if by == "move":
        raise UnusableCall("a batch is fetched by wado or get: C-MOVE goes to the receiver")
    way = str(by) if by else ("wado" if node.url is not None else "get")
    return Source(name=name, node=node, settings=settings, by=way)


def _ahead(desk: Desk, *, retry: bool) -> Ahead:
    """Return what makes the studies of a batch ready."""
    batch = desk.batch
    terms = Terms(
        output=batch.output,
        lane=LANE,
        attempts=desk.settings.service.attempts,
        again=retry,
        why=f"batch {batch.name}",
    )
    return Ahead(
        desk.ledger,
        desk.analyses,
        terms,
        desk.settings.batch,
        folder_of(batch) / "fetched",
        _source(dict(batch.source), desk.settings),
    )


def _call(desk: Desk, config: Path | None, deliver: bool) -> Call:
    """Return how the processes are started; the kernel ends them with this one."""
    settings = desk.settings
    batch = settings.batch
    threads = batch.threads or max((os.cpu_count() or 1) // max(batch.processes, 1), 1)
    # A ledger's URL may hold a password, which a command line would show.
    os.environ["VESALIUS_LEDGER"] = ledger_place(settings)
    if settings.models.path:
        os.environ["VESALIUS_MODELS"] = str(settings.models.path.absolute())
    words = ["--threads", str(threads)]
    words += ["--config", str(config.absolute())] if config else []
    words += ["--deliver"] if deliver else []
    program = [sys.executable, "-m", "workers.cli", "batch", "process", *words]
    return Call(
        command=[sys.executable, "-m", "workers.bound", str(os.getpid()), *program],
        threads=threads,
        log=folder_of(desk.batch) / "processes.log",
    )


def _told_to_end() -> Event:
    """Return what is set when the run is told to end; told twice, it ends at once."""
    ending = Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        if ending.is_set():
            raise KeyboardInterrupt
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return ending
