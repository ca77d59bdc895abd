"""Commands of batch runs: a plan, a run that can be paused and resumed, tables and a report."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import app
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    complaints,
    names_bundles,
    site_configuration,
)

if TYPE_CHECKING:
    from pipeline.config import Configuration
    from workers.batch import Cohort

batch = typer.Typer(no_args_is_help=True, help="Analyse many studies: plan, run, pause, tables.")
app.add_typer(batch, name="batch")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the batch.")]
InputsArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="[INPUT...]", help="Folders or files of a new batch.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", metavar="DIR", help="Results. Default: as in the settings."),
]
AnalysisOption = Annotated[
    list[str] | None,
    typer.Option("--analysis", metavar="NAME", help="Analysis; may be repeated. Default: all."),
]
CohortOption = Annotated[
    str | None, typer.Option("--cohort", metavar="BATCH", help="The studies of another batch.")
]
NodeOption = Annotated[
    str | None, typer.Option("--from", metavar="NODE", help="An archive of the settings.")
]
ByOption = Annotated[
    str | None, typer.Option("--by", help="wado or get. Default: wado where the node has a url.")
]
DateOption = Annotated[
    str | None, typer.Option("--date", help="Study date: YYYYMMDD, or YYYYMMDD-YYYYMMDD.")
]
ModalityOption = Annotated[str | None, typer.Option("--modality", help="Such as MR.")]
DescriptionOption = Annotated[
    str | None, typer.Option("--description", help="Study description; * and ? are wild cards.")
]
AccessionsOption = Annotated[
    Path | None,
    typer.Option("--accessions", metavar="FILE.csv", help="Accession numbers, one a line."),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option("--processes", min=0, help="Jobs at a time; 0 leaves them to a service."),
]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=0, help="Cores of each job.")]
DeliverOption = Annotated[
    bool, typer.Option("--deliver", help="Send results to the site's destinations, too.")
]
FailedOption = Annotated[
    bool, typer.Option("--failed", help="Also what has failed or was refused.")
]


@batch.command("plan")
def plan_command(
    context: typer.Context,
    name: NameArgument,
    inputs: InputsArgument = None,
    *,
    output: OutputOption = None,
    analysis: AnalysisOption = None,
    cohort: CohortOption = None,
    node: NodeOption = None,
    by: ByOption = None,
    date: DateOption = None,
    modality: ModalityOption = None,
    description: DescriptionOption = None,
    accessions: AccessionsOption = None,
    processes: ProcessesOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Save a cohort, and tell what it comes to; of one that is saved, tell what is left."""
    from workers.batch import opened, planned

    with complaints():
        settings = _settings(config, ledger_url, models, processes=processes)
        asked = _cohort(
            inputs=tuple(inputs or ()),
            output=output,
            analyses=tuple(analysis or ()),
            own_models=names_bundles(context),
            cohort=cohort,
            node=node,
            by=by,
            dates=date,
            modality=modality,
            description=description,
            accessions=accessions,
        )
        with opened(settings, name, asked) as desk:
            found = planned(desk)
    if as_json:
        _print_json(found.to_json())
        return
    for line in found.lines():
        _print(line)


@batch.command("run")
def run_command(
    context: typer.Context,
    name: NameArgument,
    inputs: InputsArgument = None,
    *,
    output: OutputOption = None,
    analysis: AnalysisOption = None,
    cohort: CohortOption = None,
    node: NodeOption = None,
    by: ByOption = None,
    date: DateOption = None,
    modality: ModalityOption = None,
    description: DescriptionOption = None,
    accessions: AccessionsOption = None,
    processes: ProcessesOption = None,
    threads: ThreadsOption = None,
    deliver: DeliverOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Plan a batch if it is new, and run it until it is finished or paused.

    Ctrl-C finishes what runs and ends; a second one ends at once. Exit status: 0 finished or
    paused, 1 some study failed or was refused, 2 unusable call.
    """
    asked = _cohort(
        inputs=tuple(inputs or ()),
        output=output,
        analyses=tuple(analysis or ()),
        own_models=names_bundles(context),
        cohort=cohort,
        node=node,
        by=by,
        dates=date,
        modality=modality,
        description=description,
        accessions=accessions,
    )
    with complaints():
        settings = _settings(config, ledger_url, models, processes=processes, threads=threads)
    _run(settings, (name, asked), (config, deliver, False), as_json=as_json)


@batch.command("resume")
def resume_command(
    name: NameArgument,
    *,
    failed: FailedOption = False,
    processes: ProcessesOption = None,
    threads: ThreadsOption = None,
    deliver: DeliverOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Go on with a batch that was paused, has ended, or was killed.

    Exit status: as of ``run``.
    """
    with complaints():
        settings = _settings(config, ledger_url, models, processes=processes, threads=threads)
    _run(settings, (name, None), (config, deliver, failed), as_json=as_json)


@batch.command("pause")
def pause_command(
    name: NameArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Have the process that runs a batch finish its jobs and end."""
    from pipeline.ledger.batches import Batches
    from workers.batch import ledger_of

    with complaints(), ledger_of(site_configuration(config, ledger_url=ledger_url)) as ledger:
        Batches(ledger).named(name)
        Batches(ledger).ask_to_pause(name, pause=True)
    _print(f"{name}: ends when its jobs are done; 'vesalius batch resume {name}' goes on")


@batch.command("status")
def status_command(
    name: NameArgument,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Tell how a batch stands."""
    from pipeline.ledger.batches import Batches
    from workers.batch import ledger_of, standing

    with complaints(), ledger_of(site_configuration(config, ledger_url=ledger_url)) as ledger:
        found = standing(Batches(ledger).named(name), ledger)
    if as_json:
        _print_json(found.to_json())
    else:
        _print(found.line())


@batch.command("list")
def list_command(
    *, config: ConfigOption = None, as_json: JsonOption = False, ledger_url: LedgerOption = None
) -> None:
    """List the batches, the latest first."""
    from pipeline.ledger.batches import Batches
    from workers.batch import ledger_of, standing

    with complaints(), ledger_of(site_configuration(config, ledger_url=ledger_url)) as ledger:
        found = [standing(each, ledger) for each in Batches(ledger).all()]
    if as_json:
        _print_json({"batches": [each.to_json() for each in found]})
        return
    for each in found:
        _print(each.line())


@batch.command("tables")
def tables_command(
    name: NameArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Write the results and the failures so far, as Parquet and CSV."""
    from workers.batch import write_tables_of

    with complaints():
        for path in write_tables_of(site_configuration(config, ledger_url=ledger_url), name):
            _print(str(path))


@batch.command("report")
def report_command(
    name: NameArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Write the tables, and a page that tells how the batch came out."""
    from workers.batch import write_report_of

    with complaints():
        _print(str(write_report_of(site_configuration(config, ledger_url=ledger_url), name)))


@batch.command("process", hidden=True)
def process_command(
    *,
    deliver: DeliverOption = False,
    threads: ThreadsOption = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Do jobs of a batch, told by standard input: what a run starts."""
    import sys

    from pipeline.batch.hands import serve
    from pipeline.options import ledger_place
    from pipeline.work import open_bench

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        worker = replace(settings.worker, threads=threads or 0, processes=1)
        destinations = settings.destinations if deliver else {}
        settings = replace(settings, worker=worker, destinations=destinations)
        bench = open_bench(settings, ledger_place(settings))
        serve(bench, sys.stdin.buffer)


def _run(
    settings: "Configuration",
    what: "tuple[str, Cohort | None]",
    how: tuple[Path | None, bool, bool],
    *,
    as_json: bool,
) -> None:
    """Run a batch, write its tables and its report, and tell how it stands."""
    from pipeline.ledger.batchtables import StudyState
    from workers.batch import opened, ran

    with complaints(), opened(settings, *what) as desk:
        outcome, found = ran(desk, *how)
    if as_json:
        _print_json({**found.to_json(), "outcome": outcome.value})
    else:
        _print(f"{found.line()}; {outcome.value}")
    if {StudyState.FAILED, StudyState.REFUSED} & set(found.counts):
        raise typer.Exit(SOME_INPUT_FAILED)


def _settings(
    config: Path | None, ledger_url: str | None, models: Path | None, **given: int | None
) -> "Configuration":
    """Return the site's settings; what the call says of the batch goes before."""
    settings = site_configuration(config, ledger_url=ledger_url, models=models)
    said: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return replace(settings, batch=replace(settings.batch, **said))


def _cohort(**keys: Any) -> "Cohort":  # noqa: ANN401 - of the record's own types
    """Return what a new batch is to be of."""
    from workers.batch import Cohort

    return Cohort(**keys)


def _print(text: str) -> None:
    """Print a line."""
    from pipeline.console import printable

    typer.echo(printable(text))


def _print_json(values: dict[str, Any]) -> None:
    """Print JSON."""
    from pipeline.manifest import finite_object, serialised

    typer.echo(serialised(finite_object(values)).rstrip())
