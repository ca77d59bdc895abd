"""Commands on the audit log."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    complaints,
    ledger_place,
    site_configuration,
)
from workers.options import moment

if TYPE_CHECKING:
    from pipeline.ledger.audit import Entry

audit = typer.Typer(help="Read the audit log, and prove that it is whole.")
app.add_typer(audit, name="audit")


@audit.command("list")
def list_command(
    *,
    action: Annotated[
        str | None, typer.Option("--action", metavar="NAME", help="Only of this kind.")
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="WHO", help="Only what this one did.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="WHAT", help="Only what was done to this.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="From then on, ISO 8601, UTC.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="The last so many; 0 for all.")
    ] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Tell who did what to what, the earliest first; with --json, an object a line."""
    import json

    from pipeline.console import printable
    from pipeline.ledger.audit import Sought, entries
    from pipeline.ledger.ledger import Ledger

    with complaints():
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        sought = Sought(
            action=action,
            actor=actor,
            subject=subject,
            since=None if since is None else moment(since, "--since"),
            limit=limit or None,
        )
        with Ledger.open(place) as ledger:
            found = entries(ledger, sought)
    for entry in found:
        typer.echo(json.dumps(entry.to_json()) if as_json else printable(_line(entry)))


@audit.command("verify")
def verify_command(
    *,
    kept: Annotated[
        str | None,
        typer.Option("--kept", metavar="DIGEST", help="An event's digest that was kept elsewhere."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Follow the log's chain of digests, and tell its head: keep that elsewhere.

    Exit status: 0 the log is whole, 1 it is not, 2 unusable call.
    """
    from dataclasses import asdict

    from pipeline.ledger.audit import verify
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import serialised

    with complaints():
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        with Ledger.open(place) as ledger:
            chain = verify(ledger, kept)
    if as_json:
        typer.echo(serialised(asdict(chain)).rstrip())
    else:
        typer.echo(f"{chain.events} events, head {chain.head}")
        typer.echo("the log is whole" if chain.fault is None else f"not whole: {chain.fault}")
    if chain.fault is not None:
        raise typer.Exit(SOME_INPUT_FAILED)


def _line(entry: "Entry") -> str:
    """Return an event as a line."""
    done = entry.audited
    refused = "" if done.succeeded else " (refused)"
    more = "".join(f"  {key}={value}" for key, value in done.detail.items())
    return (
        f"{entry.number}  {entry.at:%Y-%m-%d %H:%M:%S}  {done.actor}  {done.action}{refused}  "
        f"{done.subject}{more}"
    )
