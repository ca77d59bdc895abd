"""The command that removes what has grown old."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app
from pipeline.errors import UnusableCall
from pipeline.options import (
    ConfigOption,
    JsonOption,
    LedgerOption,
    complaints,
    ledger_place,
    site_configuration,
)

if TYPE_CHECKING:
    from pipeline.record.retain import Aged


@app.command("retain")
def retain_command(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be removed, and remove nothing.")
    ] = False,
    daily: Annotated[
        bool, typer.Option("--daily", help="Now and once a day, until told to end.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Remove what is older than [retention] of the settings says, and end killed removals.

    Nothing goes that is on hold, not delivered, or that somebody must look at.
    """
    from pipeline.record.retain import look_for_old, retain
    from workers.holdings import opened_holdings
    from workers.retainer import run_retainer

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        place = ledger_place(settings)
        if daily and dry_run:
            raise UnusableCall("--daily removes: it cannot be a --dry-run")
        if daily:
            run_retainer(settings, place)
            return
        with opened_holdings(settings, place) as holdings:
            if dry_run:
                found = look_for_old(settings.retention, holdings)
            else:
                found = retain(settings.retention, holdings, settings.service.longest_s)
    _tell(found, as_json=as_json, dry_run=dry_run)


def _tell(found: "Aged", *, as_json: bool, dry_run: bool) -> None:
    """Tell what went, or would go."""
    from pipeline.manifest import serialised

    if as_json:
        typer.echo(serialised(found.to_json()).rstrip())
        return
    did = "would be removed" if dry_run else "removed"
    for what, count in (
        ("received studies", len(found.inputs)),
        ("studies with their results", len(found.studies)),
        ("data sets that were set aside", len(found.suspects)),
        ("events of jobs", found.events),
    ):
        typer.echo(f"{count:6} {what} {did}")
    for uid, why in sorted(found.kept.items()):
        typer.echo(f"study {uid} is kept: {why}")
