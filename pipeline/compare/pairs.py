"""The same series done by two versions: here and now, or as the ledger has it of a shadow."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.analysis import Analysis
from pipeline.errors import PipelineError, UnusableCall
from pipeline.identity import JobIdentity, digest_settings
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.versionpairs import JobPair, PastResult
from pipeline.manifest import finite_object
from pipeline.outputs import what_is_wrong
from pipeline.study import Series


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """What one version made of a series."""

    folder: Path | None
    """Where its files are; None if it has no result."""

    outcome: Mapping[str, object]
    """Measurements, uncertainty and notes; empty without a result."""

    failure: str | None
    """Why it has no result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """What two versions made of a series. Its files may be gone when the next pair is taken."""

    name: str
    """How the report names the series: the file's name, or digits of its digest."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    file: Path | None
    """The input, where it is one file."""

    first: Side
    """The first version's."""

    second: Side
    """The second version's."""

    read: Callable[[], Series]
    """Loads the series, for a picture."""


Progress = Callable[[int, int], None]
"""Is told the number of series that are done, and of all."""


def fitting(inputs: Sequence[Path], analysis: Analysis) -> tuple[Candidate, ...]:
    """Return the series of a cohort that an analysis is made for.

    Raises
    ------
    UnusableCall
        If there is none.
    """
    found = take_inventory(inputs).candidates
    wanted = {c.input_digest: c for c in found if analysis.why_not(c) is None}
    if not wanted:
        raise UnusableCall(f"no series for {analysis.name} among {len(found)} series of the cohort")
    return tuple(wanted.values())


Item = TypeVar("Item")


def sampled(items: Sequence[Item], number: int | None) -> tuple[Item, ...]:
    """Return so many items, evenly over all; all of them if there are no more, or for None."""
    if number is None or number >= len(items):
        return tuple(items)
    return tuple(items[i * len(items) // number] for i in range(number))


def pairs_of_cohort(
    candidates: Sequence[Candidate],
    versions: tuple[Analysis, Analysis],
    scratch: Path,
    progress: Progress,
) -> Iterator[Pair]:
    """Do each series with both versions.

    Parameters
    ----------
    candidates
        The series.
    versions
        The two versions.
    scratch
        An empty folder; files of a pair are removed when the next is taken.
    progress
        Told after each series.
    """
    for number, candidate in enumerate(candidates):
        progress(number, len(candidates))
        series = _loaded(candidate)
        sides = [
            _performed(candidate, series, analysis, scratch / name)
            for analysis, name in zip(versions, ("first", "second"), strict=True)
        ]
        yield Pair(
            name=name_of(candidate),
            input_digest=candidate.input_digest,
            file=candidate.files[0] if len(candidate.files) == 1 else None,
            first=sides[0],
            second=sides[1],
            read=candidate.load,
        )
        for name in ("first", "second"):
            shutil.rmtree(scratch / name, ignore_errors=True)
    progress(len(candidates), len(candidates))


def name_of(candidate: Candidate) -> str:
    """Return how a report names a series: the name of a file, or digits of the input's digest."""
    has_study = candidate.study_instance_uid is not None
    return f"series {candidate.input_digest[:12]}" if has_study else candidate.label


def pairs_of_ledger(found: Sequence[JobPair], ledger: Ledger, progress: Progress) -> Iterator[Pair]:
    """Return what the ledger has of series that both versions have done.

    Parameters
    ----------
    found
        The pairs of jobs.
    ledger
        The ledger.
    progress
        Told after each series.
    """
    for number, pair in enumerate(found):
        progress(number, len(found))
        yield Pair(
            name=f"series {pair.input_digest[:12]}",
            input_digest=pair.input_digest,
            file=pair.files[0] if len(pair.files) == 1 else None,
            first=_past(pair.first, ledger),
            second=_past(pair.second, ledger),
            read=lambda pair=pair: _again(pair),  # type: ignore[misc]
        )
    progress(len(found), len(found))


def _again(pair: JobPair) -> Series:
    """Load a series of the ledger again.

    Raises
    ------
    UnusableCall
        If its files are gone or altered.
    """
    present = [path for path in pair.files if path.is_file()]
    for candidate in take_inventory(present).candidates if present else ():
        if candidate.input_digest == pair.input_digest:
            return candidate.load()
    raise UnusableCall(f"series {pair.input_digest[:12]}: its files are gone or altered")


def _past(result: PastResult, ledger: Ledger) -> Side:
    """Return a result as the ledger has it."""
    record = ledger.find(result.job_id)
    if record is None or record.folder is None or result.failure is not None:
        return Side(folder=None, outcome={}, failure=result.failure or "no result")
    wrong = what_is_wrong(record.folder, record.artifacts)
    if wrong is not None:
        return Side(folder=None, outcome={}, failure=f"its files are not whole: {wrong}")
    return Side(folder=record.folder, outcome=record.outcome or {}, failure=None)


def _loaded(candidate: Candidate) -> Series | str:
    """Return a series, or why it cannot be read."""
    try:
        return candidate.load()
    except PipelineError as problem:
        return f"{type(problem).__name__}: {problem}"


def _performed(
    candidate: Candidate, series: Series | str, analysis: Analysis, folder: Path
) -> Side:
    """Do a series with one version."""
    if isinstance(series, str):
        return Side(folder=None, outcome={}, failure=series)
    identity = JobIdentity(
        input_digest=candidate.input_digest,
        analysis=analysis.name,
        bundle_digest=analysis.bundle.digest,
        configuration_digest=digest_settings(analysis.configuration),
    )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        made = analysis.perform(series, identity.job_id, folder, lambda _share: None)
    except PipelineError as problem:
        return Side(folder=None, outcome={}, failure=f"{type(problem).__name__}: {problem}")
    return Side(folder=folder, outcome=finite_object(made.outcome), failure=None)
