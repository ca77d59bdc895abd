"""The service's commands of ``vesalius``, beside those of the pipeline.

What a command needs is imported when it runs, as in ``pipeline.cli``.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app, main
from pipeline.errors import UnusableCall
from pipeline.imports import in_one_go
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    RulesOption,
    complaints,
    ledger_place,
    names_bundles,
    site_configuration,
    site_rules,
)
from pipeline.servicesettings import LANES
from workers import (
    auditcli,
    backupcli,
    batchcli,
    comparecli,
    deliverycli,
    driftcli,
    fetchcli,
    forgetcli,
    gatecli,
    heldcli,
    importcli,
    jobscli,
    modelscli,
    receivecli,
    reproducecli,
    retaincli,
    reviewcli,
    reviewscli,
    sbomcli,
    signcli,
    upcli,
    worklistcli,
)
from workers.logs import set_up_logs
from workers.options import BrokerOption, results_folder, served_by

if TYPE_CHECKING:
    from pipeline.submit import Submitted

__all__ = [
    "auditcli",
    "backupcli",
    "batchcli",
    "comparecli",
    "deliverycli",
    "driftcli",
    "fetchcli",
    "forgetcli",
    "gatecli",
    "heldcli",
    "importcli",
    "jobscli",
    "main",
    "modelscli",
    "receivecli",
    "reproducecli",
    "retaincli",
    "reviewcli",
    "reviewscli",
    "sbomcli",
    "signcli",
    "upcli",
    "worklistcli",
]


@app.command("submit")
def submit_command(
    context: typer.Context,
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Files, folders or a DICOMDIR.")
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Results. Default: as in the settings."),
    ] = None,
    analysis: Annotated[
        list[str] | None,
        typer.Option("--analysis", metavar="NAME", help="Analysis; may be repeated. Default: all."),
    ] = None,
    lane: Annotated[
        str | None,
        typer.Option(
            "--lane", help=f"One of {', '.join(LANES)}. Default: by the rules, or routine."
        ),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(
            "--priority",
            help="The higher, the sooner within the lane. Default: by the rules, or 0.",
        ),
    ] = None,
    rules: RulesOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also jobs that have ended, done or not.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Have a job wait for each series and each analysis that fit; a worker does it.

    Exit status: 0 all taken, 1 some input was refused, 2 unusable call.
    """
    from pipeline.inservice import InService
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import finite_object, serialised
    from pipeline.perform import open_analyses
    from pipeline.submit import Terms, submit
    from workers.opentraces import open_traces

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        terms = Terms(
            output=results_folder(output, settings),
            lane=lane if lane is None else _lane(lane),
            priority=priority,
            rules=site_rules(rules, settings),
            attempts=settings.service.attempts,
            again=again,
        )
        names = analysis or []
        with Ledger.open(ledger_place(settings)) as ledger:
            # A bundle that the call names is meant, whatever the registry says.
            service = None if names_bundles(context) else InService(ledger, settings)
            analyses = service.analyses(names) if service else open_analyses(names, settings)
            traces = open_traces(settings.monitoring.traces)
            found = submit(inputs, analyses, replace(terms, service=service), ledger)
        if traces:
            for job in found.jobs:
                if job.is_new:
                    traces.submitted(job.job_id)
            traces.close()
    if as_json:
        typer.echo(serialised(finite_object(found.to_json())).rstrip())
    else:
        _tell(found)
    if found.refusals:
        raise typer.Exit(SOME_INPUT_FAILED)


def _tell(found: "Submitted") -> None:
    """Tell what became of a submission."""
    from pipeline.console import printable

    for job in found.jobs:
        known = "" if job.is_new else " (known before)"
        typer.echo(f"{job.job_id}  {job.state.value}{known}")
    for label in found.not_routed:
        typer.echo(printable(f"left alone by the rules: {label}"), err=True)
    for refusal in found.refusals:
        typer.echo(printable(f"refused: {refusal.reason}"), err=True)


@app.command("worker")
def worker_command(
    *,
    lane: Annotated[
        list[str] | None,
        typer.Option("--lane", help="Lane to serve, the most urgent first; may be repeated."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="Jobs at a time.")
    ] = None,
    broker: BrokerOption = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Do the jobs that wait, until told to end.

    SIGTERM or Ctrl-C: take no more jobs, finish what runs, hand back what takes too long.
    """
    with complaints():
        settings = served_by(
            site_configuration(config, ledger_url=ledger_url, models=models), broker
        )
        worker = settings.worker
        if lane:
            worker = replace(worker, lanes=tuple(lane))
        if processes:
            worker = replace(worker, processes=processes)
        set_up_logs(settings.monitoring.log)
        _limit_threads(worker.threads_each)
        # Only now: numpy asks for its number of threads when it is imported.
        with in_one_go():
            from workers.run import run_worker

        status = run_worker(replace(settings, worker=worker), ledger_place(settings))
    raise typer.Exit(status)


@app.command("dispatch")
def dispatch_command(
    *, broker: BrokerOption = None, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Call workers for jobs that wait and hand out jobs whose worker is gone, until told to end.

    One is needed; more than one may run.
    """
    from workers.dispatcher import run_dispatcher

    with complaints():
        settings = served_by(site_configuration(config, ledger_url=ledger_url), broker)
        set_up_logs(settings.monitoring.log)
        run_dispatcher(settings, ledger_place(settings))


@app.command("status")
def status_command(
    *, config: ConfigOption = None, as_json: JsonOption = False, ledger_url: LedgerOption = None
) -> None:
    """Tell how the queue stands: lanes, and jobs in each state."""
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.listing import status
    from pipeline.manifest import serialised

    with complaints():
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        with Ledger.open(place) as ledger:
            found = status(ledger)
    if as_json:
        typer.echo(serialised(found.to_json()).rstrip())
        return
    for lane in found.lanes:
        waits = f", the first for {lane.oldest_s:.0f} s" if lane.waiting else ""
        typer.echo(f"{lane.lane:10} {lane.waiting} waiting{waits}, {lane.running} running")
    states = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))
    typer.echo(states or "no jobs")


def _lane(lane: str) -> str:
    """Return a lane of inference that exists."""
    if lane not in LANES:
        raise UnusableCall(f"no lane {lane!r}; known are {', '.join(LANES)}")
    return lane


def _limit_threads(number: int) -> None:
    """Have the libraries for linear algebra use so many threads in each process."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(number)


if __name__ == "__main__":
    main()
