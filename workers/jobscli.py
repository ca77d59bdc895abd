"""Commands on jobs: list them, look after one, and tell its whole life."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import app
from pipeline.errors import UnusableCall
from pipeline.ledger.states import JobState
from pipeline.options import (
    ConfigOption,
    JsonOption,
    LedgerOption,
    complaints,
    ledger_place,
    site_configuration,
)

jobs = typer.Typer(help="List jobs, and look after one.")
app.add_typer(jobs, name="jobs")

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="Id of the job, or its first digits.")
]


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
    from pipeline.ledger.roles import Role
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
        done = job.analysis if job.role == Role.LIVE else f"{job.analysis} ({job.role})"
        line = f"{job.job_id}  {job.state.value:11} {job.lane:8} {tries:5} {done}{why}"
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
