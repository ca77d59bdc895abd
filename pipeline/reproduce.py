"""Do a job of the past again from the ledger, and tell whether its artifacts are the same bytes.

The same inputs and the same bundle, by their digests, and the same settings; into a folder of its
own, and the ledger stays as it is. Where something differs, the stages that do are told in their
order, so that the first is where it began. What is not the same beforehand is told without a run,
unless it is to be done anyway.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from pipeline import __version__
from pipeline.analysis import Analysis, Performed
from pipeline.config import Configuration, parse_configuration
from pipeline.errors import BundleRejected, PipelineError, UnusableCall
from pipeline.identity import digest_settings
from pipeline.infer.terms import Compute
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.pastjobs import PastJob, past_job, received_digests
from pipeline.ledger.states import JobState
from pipeline.ledger.succession import REVIEW
from pipeline.perform import open_analyses
from pipeline.receive.part10 import digest_data_set
from pipeline.reproduction import (
    Reproduction,
    Stage,
    Verdict,
    compared,
    digests_of,
    outcome_differences,
    stored_altered,
    stored_gone,
)
from pipeline.reserve import KEY as RESERVE
from pipeline.study import EVIDENCE
from pipeline.warm import OpenAnalyses, under


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What a job is done again with."""

    ledger: Ledger
    """The ledger; it is only read."""

    configuration: Configuration
    """Where the bundles are; the settings of a job that brings none."""

    compute: Compute
    """What networks run on."""

    scratch: Path
    """Folder for the files; what a run writes goes to a folder in it."""

    inputs: tuple[Path, ...] = ()
    """Where the inputs are, if not where the ledger has them."""

    anyway: bool = False
    """Whether it is done with another input or bundle, too."""


class _Impossible(Exception):
    """It cannot be done again; says why."""


def reproduce(job_id: UUID, bench: Bench) -> Reproduction:
    """Do a job again, and compare.

    Raises
    ------
    UnusableCall
        If there is no such job.
    LedgerUnavailable
        If the ledger cannot be read.
    OSError
        If the scratch folder cannot be written.
    """
    past = past_job(bench.ledger, job_id)
    stages: list[tuple[Stage, str]] = []
    try:
        files = _input_files(past, bench)
        analysis = _analysis(past, bench, stages)
        candidate = _candidate(past, bench, files, stages)
        if candidate is None:
            stages.sort(key=_order)
            return Reproduction(job_id=job_id, verdict=Verdict.DIFFERS, stages=tuple(stages))
        _fitting(analysis, candidate)
    except _Impossible as problem:
        return Reproduction(job_id=job_id, verdict=Verdict.IMPOSSIBLE, notes=(str(problem),))
    if past.record.software_version != __version__:
        versions = f"{past.record.software_version} then, {__version__} now"
        stages.append((Stage.SOFTWARE, versions))
    stages.sort(key=_order)
    return _ran((past, bench), analysis, candidate, stages)


def _ran(
    asked: tuple[PastJob, Bench],
    analysis: Analysis,
    candidate: Candidate,
    before: list[tuple[Stage, str]],
) -> Reproduction:
    """Run a job, compare, and run it once more where nothing explains a difference."""
    past, bench = asked
    folder = bench.scratch / "first"
    try:
        made = _performed(past, analysis, candidate, folder)
    except PipelineError as problem:
        failed = (Stage.OUTCOME, f"no result now: {type(problem).__name__}: {problem}")
        stages = (*before, failed)
        return Reproduction(job_id=past.job_id, verdict=Verdict.DIFFERS, stages=stages)
    found = compared(past, made, folder)
    notes = list(stored_gone(past))
    differs = bool(found.stages)
    if differs and not before:
        again = _performed(past, analysis, candidate, bench.scratch / "second")
        notes.append(_why(digests_of(made.artifacts) == digests_of(again.artifacts), made, again))
    altered = stored_altered(past)
    if altered is not None:
        found = replace(found, stages=(*found.stages, (Stage.STORED, altered)))
    if not found.stages:
        notes += [f"{stage.value}: {told}; the result is the same" for stage, told in before]
        return replace(found, verdict=Verdict.IDENTICAL, notes=tuple(notes))
    return replace(
        found,
        verdict=Verdict.DIFFERS,
        stages=(*(before if differs else []), *found.stages),
        notes=tuple(notes),
    )


def _why(is_same: bool, made: Performed, again: Performed) -> str:
    """Return what a second run says of a difference that nothing explains."""
    if is_same and not list(outcome_differences(made.outcome, again.outcome)):
        return (
            "two runs here give the same: the machine or a library is another than it was, or an "
            "input that no digest covers"
        )
    return "two runs here differ as well: the analysis is not deterministic"


def _order(stage: tuple[Stage, str]) -> int:
    """Return the place of a stage."""
    return list(Stage).index(stage[0])


def _input_files(past: PastJob, bench: Bench) -> tuple[Path, ...]:
    """Return the files or folders that a job's input is read from."""
    if REVIEW in (past.configuration or {}):
        raise _Impossible(
            f"readers made this result of job {past.predecessor}: that one can be done again"
        )
    joint = (past.configuration or {}).get(RESERVE)
    if isinstance(joint, Mapping):
        raise _Impossible(
            f"it was made of jobs {joint['rest']} and {joint['stress']}: these can be done again"
        )
    if past.record.state is not JobState.DONE or not past.record.artifacts:
        raise _Impossible(f"the job is {past.record.state.value}, and has no result")
    files = bench.inputs or past.files
    if files is None:
        raise _Impossible("the ledger does not have the inputs of this job: give --input")
    missing = [path for path in files if not path.exists()]
    if missing:
        raise _Impossible(f"{missing[0].name}: gone ({len(missing)} of {len(files)} inputs are)")
    return tuple(files)


def _analysis(past: PastJob, bench: Bench, stages: list[tuple[Stage, str]]) -> Analysis:
    """Return the analysis with the bundle and the settings of a job."""
    own = _with_evidence_of(past, bench.configuration)
    try:
        settings = _settings(past, own, bench.compute)
        opened = OpenAnalyses(own, bench.compute, memory_mib=0)
        return opened.find(past.analysis, past.bundle_digest, settings)
    except UnusableCall as problem:
        raise _Impossible(str(problem)) from problem
    except BundleRejected as problem:
        if not bench.anyway:
            raise _Impossible(f"bundle {past.bundle} is not here: {problem}") from problem
    try:
        asked = under(own, parse_configuration(settings, Path()))
        (analysis,) = open_analyses([past.analysis], asked, bench.compute)
    except BundleRejected as problem:
        raise _Impossible(f"no bundle is here: {problem}") from problem
    digests = f"digest {past.bundle_digest[:12]} then, {analysis.bundle.digest[:12]} now"
    stages.append((Stage.BUNDLE, digests))
    return analysis


def _with_evidence_of(past: PastJob, own: Configuration) -> Configuration:
    """Return a configuration that has as much evidence written as a job has."""
    kinds = {artifact.kind for artifact in past.record.artifacts}
    output = replace(own.output, evidence=bool(kinds & EVIDENCE), classical="classical" in kinds)
    return replace(own, output=output)


def _settings(past: PastJob, own: Configuration, compute: Compute) -> Mapping[str, object]:
    """Return the settings of a job: the ledger's, or the site's if they are the same."""
    if past.configuration is not None:
        return past.configuration
    (analysis,) = open_analyses([past.analysis], own, compute)
    if digest_settings(analysis.configuration) != past.configuration_digest:
        raise _Impossible("the settings are not those of the job: give its --config")
    return analysis.configuration


def _candidate(
    past: PastJob, bench: Bench, files: tuple[Path, ...], stages: list[tuple[Stage, str]]
) -> Candidate | None:
    """Return the series of a job; None if it is another one and is not to be analysed anyway."""
    inventory = take_inventory(files)
    for candidate in inventory.candidates:
        if candidate.input_digest == past.input_digest:
            return candidate
    altered = list(_altered(past, bench, files))
    named = f": {', '.join(altered[:3])}" if altered else ""
    stages.append((Stage.INPUT, f"the files are not those of the job{named}"))
    if not bench.anyway:
        return None
    if len(inventory.candidates) != 1:
        raise _Impossible(f"{len(inventory.candidates)} series in the inputs, none is the job's")
    return inventory.candidates[0]


def _altered(past: PastJob, bench: Bench, files: tuple[Path, ...]) -> Iterator[str]:
    """Yield the files that are not what was received, as far as the ledger knows."""
    known = received_digests(bench.ledger, past.study_instance_uid)
    for path in files:
        if path.is_file() and known.get(path.name, "") not in ("", digest_data_set(path)):
            yield path.name


def _fitting(analysis: Analysis, candidate: Candidate) -> None:
    """Refuse a series that the analysis is not made for."""
    reason = analysis.why_not(candidate)
    if reason is not None:
        raise _Impossible(f"the series is none for {analysis.name} any more: {reason}")


def _performed(past: PastJob, analysis: Analysis, candidate: Candidate, folder: Path) -> Performed:
    """Run a job into a folder, which is made."""
    folder.mkdir(parents=True)
    series = replace(candidate.load(), predecessor=past.predecessor)
    return analysis.perform(series, past.job_id, folder, lambda _share: None)
