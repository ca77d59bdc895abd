"""Commands on what is held for a person: jobs, and data sets that were set aside."""

from typing import Annotated

import typer

from pipeline.cli import app
from pipeline.options import (
    ConfigOption,
    JsonOption,
    LedgerOption,
    complaints,
    ledger_place,
    site_configuration,
)

held = typer.Typer(help="Show what is held for a person, and release it.")
app.add_typer(held, name="held")


@held.command("list")
def list_command(
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """List jobs that are held, and data sets that came under the UID of another one."""
    from pipeline.console import printable
    from pipeline.ledger.held import held_jobs, suspects
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import serialised

    with complaints():
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        with Ledger.open(place) as ledger:
            jobs, apart = held_jobs(ledger), suspects(ledger)
    if as_json:
        document = {
            "jobs": [job.to_json() for job in jobs],
            "suspects": [one.to_json() for one in apart],
        }
        typer.echo(serialised(document).rstrip())
        return
    for job in jobs:
        typer.echo(printable(f"job {job.job_id}  {job.analysis}: {job.reason}"))
    for one in apart:
        typer.echo(printable(f"data set {one.sop_instance_uid}  {one.relative_path}: {one.reason}"))


@held.command("release")
def release_command(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of the job, or its first digits.")],
    *,
    reason: Annotated[
        str, typer.Option("--reason", help="Why, for the audit log; nothing about a patient.")
    ],
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Have a job that is held be done; the audit log keeps who said so."""
    from pipeline.ledger.held import release
    from pipeline.owner import this_person
    from workers.changes import changed

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        attempts, actor = settings.service.attempts, this_person()
        typer.echo(
            changed(
                ledger_place(settings),
                job,
                lambda care, job_id: release(care.ledger, job_id, attempts, (actor, reason)),
            )
        )
