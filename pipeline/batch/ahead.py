"""Studies made ready ahead of inference: fetched if need be, read, and their jobs submitted.

It is done by threads beside the processes that infer. How many studies are ahead is bounded by
whoever asks; how often an archive is asked, and by how many at a time, is bounded here.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock

from pipeline.analysis import Analysis
from pipeline.batch.nights import Pace
from pipeline.batch.prepare import Looked, look, submit_all
from pipeline.batch.shelf import Shelf
from pipeline.batchsettings import BatchSettings
from pipeline.fetch import Source, fetch_study
from pipeline.ledger.batches import BatchStudy
from pipeline.ledger.ledger import Ledger
from pipeline.submit import Terms

FETCHES_FAILED = 3
"""Studies in a row that could not be fetched after which no further one is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """What became of a study that was to be made ready."""

    study: BatchStudy
    """The study."""

    looked: Looked | None = None
    """What it holds; None where it did not come."""

    not_fetched: str | None = None
    """Why it did not come; None if it did, or if the run ends."""


class Ahead:
    """Makes studies ready.

    Parameters
    ----------
    ledger
        The ledger.
    analyses
        The analyses to choose from.
    terms
        How jobs are to be done.
    settings
        Ceilings.
    shelves
        Folder that studies are fetched into.
    source
        Archive that they are fetched from; None for a batch of files.

    Attributes
    ----------
    ending
        Set when nothing more is to be asked for.
    is_away
        Whether that is so since the archive gave none of the studies that it was asked for last.
    """

    def __init__(
        self,
        ledger: Ledger,
        analyses: Sequence[Analysis],
        terms: Terms,
        settings: BatchSettings,
        shelves: Path,
        source: Source | None = None,
    ) -> None:
        self._ledger, self._analyses, self._terms = ledger, analyses, terms
        self._shelves, self._source = shelves, source
        self._pace = Pace(per_minute=settings.archive_per_minute)
        self._reading, self._counting = Lock(), Lock()
        self._failed_in_a_row = 0
        self.is_away = False
        many = settings.archive_associations if source else 1
        self._threads = ThreadPoolExecutor(many, "ahead")
        self.ending = Event()

    def begin(self, study: BatchStudy) -> Future[Ready]:
        """Have a study made ready."""
        return self._threads.submit(self._ready, study)

    def end(self) -> None:
        """Begin nothing more, and wait for what goes on."""
        self.ending.set()
        self._threads.shutdown(cancel_futures=True)

    def shelf(self, study: BatchStudy) -> Shelf:
        """Return the folder that a study is fetched into."""
        return Shelf(folder=self._shelves / f"{study.number:06d}")

    def _ready(self, study: BatchStudy) -> Ready:
        """Make one ready."""
        paths = study.paths
        if study.member.root is None:
            shelf = self.shelf(study)
            if not self._pace.turn(self.ending):
                return Ready(study=study)
            failure = self._fetched(study, shelf)
            self._count(failure)
            if failure is not None:
                return Ready(study=study, not_fetched=failure)
            paths = (shelf.folder,)
        # Reading silences loggers for the whole process, so one study at a time.
        with self._reading:
            looked = look(paths, self._analyses, self._terms, self._ledger)
        submit_all(looked, self._ledger, self._terms)
        return Ready(study=study, looked=looked)

    def _count(self, failure: str | None) -> None:
        """Ask for nothing more once the archive is away.

        It is told here and not where the run looks: threads that are refused at once would have
        failed every study that is ahead before it looks.
        """
        with self._counting:
            self._failed_in_a_row = 0 if failure is None else self._failed_in_a_row + 1
            if self._failed_in_a_row >= FETCHES_FAILED:
                self.is_away = True
                self.ending.set()

    def _fetched(self, study: BatchStudy, shelf: Shelf) -> str | None:
        """Fetch a study; return why it is not whole, or None."""
        if self._source is None:
            return "the batch is of an archive, and none is given"
        return fetch_study(self._source, study.member.study_instance_uid or "", shelf).failure
