"""The command that compares two versions of a model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app
from pipeline.errors import UnusableCall
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    complaints,
    ledger_place,
    site_configuration,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.analysis import Analysis
    from pipeline.compare.pairs import Pair
    from pipeline.compare.verdict import Verdict
    from pipeline.ledger.ledger import Ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Cohort:
    """Which series versions are compared on; one of three."""

    folders: tuple[Path, ...]
    """Files or folders."""

    studies: Path | None
    """File of Study Instance UIDs, one a line: studies of the ledger."""

    is_shadow: bool
    """Whether what a shadow has done beside live is taken."""

    sample: int | None
    """So many of the series only; None takes all."""

    def __post_init__(self) -> None:
        """Check that one is given.

        Raises
        ------
        UnusableCall
            If none is, or more than one.
        """
        if sum((bool(self.folders), self.studies is not None, self.is_shadow)) != 1:
            raise UnusableCall("give one of --cohort, --studies and --shadow")


@app.command("compare")
def compare_command(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="Version that is there: perfusion@1.2.0, perfusion@live, perfusion@installed, "
            "digits of a digest, or the folder of a bundle.",
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="The new version.")],
    *,
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="For report, table and verdict.")
    ],
    cohort: Annotated[
        list[Path] | None,
        typer.Option("--cohort", metavar="PATH", help="Files or folders; may be repeated."),
    ] = None,
    studies: Annotated[
        Path | None,
        typer.Option(
            "--studies",
            metavar="FILE",
            help="Studies of the ledger, a UID a line.",
        ),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="What one has done as a shadow of the other.")
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="NAME_label.nii.gz of series that are NIfTI files.",
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", min=1, help="N series, evenly over the cohort."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Compare two versions of a model on the same series, by the site's limits.

    Writes report.html, pairs.csv and verdict.json. Exit status: 0 the second version is within the
    limits, 1 it is not, 2 unusable call.
    """
    from pipeline.compare.comparison import compare
    from pipeline.compare.labels import labels_in
    from pipeline.compare.named import two_named
    from pipeline.compare.report import REPORT, write_comparison
    from pipeline.compare.verdict import compared_version, judge
    from pipeline.console import Reporter, printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import serialised

    with complaints():
        chosen = Cohort(
            folders=tuple(cohort or ()), studies=studies, is_shadow=shadow, sample=sample
        )
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        reporter = Reporter()
        with Ledger.open(ledger_place(settings)) as ledger, TemporaryDirectory() as scratch:
            versions = two_named((first, second), settings, ledger)
            pairs = _pairs(chosen, versions, (ledger, Path(scratch)), reporter.counted)
            with reporter.shown():
                found = compare(pairs, versions[0].name, labels_in(labels))
        both = compared_version(versions[0].bundle), compared_version(versions[1].bundle)
        verdict = judge(found, both, settings.compare)
        try:
            write_comparison(found, verdict, output)
        except OSError as problem:
            raise UnusableCall(f"{output}: cannot be written ({problem.strerror})") from problem
    if as_json:
        typer.echo(serialised(verdict.to_json()).rstrip())
    else:
        for line in _told(verdict, output / REPORT):
            typer.echo(printable(line))
    if not verdict.passes:
        raise typer.Exit(SOME_INPUT_FAILED)


def _told(verdict: "Verdict", report: Path) -> list[str]:
    """Return the verdict in lines."""
    lines = [
        f"{word} {version.name} {version.version} {version.digest[:12]}"
        for word, version in (("first ", verdict.first), ("second", verdict.second))
    ]
    lines += [check.told for check in verdict.checks]
    word = "within the limits" if verdict.passes else "NOT within the limits"
    return [*lines, f"{verdict.studies} series: {word}; {report}"]


def _pairs(
    cohort: Cohort,
    versions: "tuple[Analysis, Analysis]",
    at: "tuple[Ledger, Path]",
    progress: Callable[[int, int], None],
) -> "Iterator[Pair]":
    """Return the pairs of results of a cohort."""
    from pipeline.compare.pairs import fitting, pairs_of_cohort, pairs_of_ledger, sampled
    from pipeline.ledger.versionpairs import inputs_of, job_pairs

    (ledger, scratch), name = at, versions[0].name
    if cohort.is_shadow:
        found = job_pairs(ledger, name, (versions[0].bundle.digest, versions[1].bundle.digest))
        if not found:
            raise UnusableCall("the ledger has no series that both versions have done")
        return pairs_of_ledger(sampled(found, cohort.sample), ledger, progress)
    inputs = cohort.folders
    if cohort.studies is not None:
        inputs = inputs_of(ledger, name, _lines(cohort.studies))
    for path in inputs:
        if not path.exists():
            raise UnusableCall(f"{path}: no such file or folder")
    candidates = sampled(fitting(inputs, versions[0]), cohort.sample)
    return pairs_of_cohort(candidates, versions, scratch, progress)


def _lines(path: Path) -> tuple[str, ...]:
    """Return the lines of a file that are not empty."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UnusableCall(f"{path}: cannot be read as text") from None
    found = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not found:
        raise UnusableCall(f"{path}: no Study Instance UID in it")
    return found
