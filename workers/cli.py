"""The service's commands of ``vesalius``, beside those of the pipeline.

What a command needs is imported when it runs, as in ``pipeline.cli``.
"""

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app, main
from pipeline.config import LANES
from pipeline.errors import UnusableCall
from pipeline.ledger.states import JobState
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    RulesOption,
    complaints,
    ledger_place,
    site_configuration,
    site_rules,
)
from workers import (
    auditcli,
    deliverycli,
    driftcli,
    fetchcli,
    gatecli,
    receivecli,
    reproducecli,
    reviewcli,
    reviewscli,
    upcli,
    worklistcli,
)
from workers.logs import set_up_logs
from workers.options import BrokerOption, results_folder, served_by

if TYPE_CHECKING:
    from pipeline.submit import Submitted

__all__ = [
    "auditcli",
    "deliverycli",
    "driftcli",
    "fetchcli",
    "gatecli",
    "main",
    "receivecli",
    "reproducecli",
    "reviewcli",
    "reviewscli",
    "upcli",
    "worklistcli",
]

jobs = typer.Typer(help="List jobs, and look after one.")
app.add_typer(jobs, name="jobs")

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="Id of the job, or its first digits.")
]


@app.command("submit")
def submit_command(
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
        analyses = open_analyses(analysis or [], settings)
        with Ledger.open(ledger_place(settings)) as ledger:
            traces = open_traces(settings.monitoring.traces)
            found = submit(inputs, analyses, terms, ledger)
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

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        found = status(ledger)
    if as_json:
        typer.echo(serialised(found.to_json()).rstrip())
        return
    for lane in found.lanes:
        waits = f", the first for {lane.oldest_s:.0f} s" if lane.waiting else ""
        typer.echo(f"{lane.lane:10} {lane.waiting} waiting{waits}, {lane.running} running")
    states = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))
    typer.echo(states or "no jobs")


@jobs.callback(invoke_without_command=True)
def jobs_command(
    context: typer.Context,
    *,
    state: Annotated[str | None, typer.Option("--state", help="Only jobs in this state.")] = None,
    lane: Annotated[str | None, typer.Option("--lane", help="Only jobs of this lane.")] = None,
    study: Annotated[
        str | None, typer.Option("--study", metavar="UID", help="Only jobs of this study.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """List jobs, the latest change first."""
    if context.invoked_subcommand is not None:
        return
    from pipeline.console import printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.listing import Wanted
    from pipeline.ledger.listing import jobs as listed
    from pipeline.manifest import serialised

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        wanted = Wanted(state=_state(state), lane=lane, study_instance_uid=study, limit=limit)
        found = listed(ledger, wanted)
    if as_json:
        typer.echo(serialised({"jobs": [job.to_json() for job in found]}).rstrip())
        return
    for job in found:
        why = f"  {job.error}: {job.reason}" if job.error else ""
        tries = f"{job.attempts}/{job.attempts_allowed}"
        line = f"{job.job_id}  {job.state.value:11} {job.lane:8} {tries:5} {job.analysis}{why}"
        typer.echo(printable(line))


@jobs.command("retry")
def retry_command(
    job: JobArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Have a job that has ended wait again, with new attempts."""
    from workers.changes import changed

    with complaints():
        attempts = site_configuration(config).service.attempts
        place = _place(config, ledger_url)
        typer.echo(changed(place, job, lambda care, job_id: care.retry(job_id, attempts)))


@jobs.command("cancel")
def cancel_command(
    job: JobArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """End a job that waits, or have its worker end it."""
    from workers.changes import changed

    with complaints():
        place = _place(config, ledger_url)
        typer.echo(changed(place, job, lambda care, job_id: care.cancel(job_id)))


@jobs.command("quarantine")
def quarantine_command(
    job: JobArgument,
    *,
    reason: Annotated[
        str, typer.Option("--reason", help="Why, for its history; nothing about a patient.")
    ] = "set aside by a person",
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Set a job aside that waits or runs."""
    from workers.changes import changed

    with complaints():
        typer.echo(
            changed(
                _place(config, ledger_url),
                job,
                lambda care, job_id: care.quarantine(job_id, reason),
            )
        )


@jobs.command("priority")
def priority_command(
    job: JobArgument,
    priority: Annotated[int, typer.Argument(help="The higher, the sooner within its lane.")],
    *,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Change the priority of a job."""
    from workers.changes import changed

    with complaints():
        typer.echo(
            changed(
                _place(config, ledger_url),
                job,
                lambda care, job_id: care.prioritise(job_id, priority),
            )
        )


@app.command("why")
def why_command(
    job: JobArgument,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Tell the whole life of a job."""
    from pipeline.console import printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.listing import job_named, routing_of, told
    from pipeline.manifest import serialised
    from pipeline.routing.told import told_routing

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        found = job_named(ledger, job)
        routing = routing_of(ledger, found.job_id)
        if as_json:
            events = [
                {**asdict(event), "at": event.at.isoformat()}
                for event in ledger.history(found.job_id)
            ]
            whole = {**found.to_json(), "events": events, "routing": routing}
            typer.echo(serialised(whole).rstrip())
            return
        for line in (*told(ledger, found), *told_routing(routing)):
            typer.echo(printable(line))


def _place(config: Path | None, url: str | None) -> str:
    """Return where the ledger of a call is."""
    return ledger_place(site_configuration(config, ledger_url=url))


def _state(name: str | None) -> JobState | None:
    """Return the state of a name."""
    if name is None:
        return None
    try:
        return JobState(name)
    except ValueError:
        possible = ", ".join(state.value for state in JobState)
        raise UnusableCall(f"no state {name!r}; known are {possible}") from None


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
