"""Commands on the audit log."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app
from pipeline.errors import UnusableCall
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


@audit.command("export")
def export_command(
    *,
    form: Annotated[
        str, typer.Option("--format", help="dicom (PS3.15 A.5), fhir (R4 AuditEvent), or jsonl.")
    ] = "jsonl",
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="From then on, ISO 8601, UTC.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="FILE", help="Default: standard output.")
    ] = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Write the log's events, one a line, the earliest first; that is an event itself."""
    import json

    from pipeline.ledger.audit import Audited, Sought, entries, record
    from pipeline.ledger.ledger import Ledger
    from pipeline.owner import this_person
    from pipeline.record.auditdicom import audit_message
    from pipeline.record.auditfhir import audit_event

    forms: dict[str, Callable[[Entry], str]] = {
        "dicom": audit_message,
        "fhir": lambda entry: json.dumps(audit_event(entry)),
        "jsonl": lambda entry: json.dumps(entry.to_json()),
    }
    with complaints():
        if form not in forms:
            raise UnusableCall(f"no format {form!r}; known are {', '.join(forms)}")
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        sought = Sought(since=None if since is None else moment(since, "--since"))
        with Ledger.open(place) as ledger:
            found = entries(ledger, sought)
            detail = {"format": form, "events": len(found)}
            told = Audited(
                action="audit log exported",
                actor=this_person(),
                subject="audit log",
                detail=detail,
            )
            record(ledger, told)
        lines = "".join(f"{forms[form](entry)}\n" for entry in found)
        if into is None:
            typer.echo(lines, nl=False)
            return
        try:
            into.write_text(lines, encoding="utf-8")
        except OSError as problem:
            raise UnusableCall(f"{into}: cannot be written ({problem.strerror})") from problem


@app.command("forward-audit")
def forward_command(*, config: ConfigOption = None, ledger_url: LedgerOption = None) -> None:
    """Send the audit log to the server of [audit] syslog, until told to end.

    It goes on where it stopped, also while the server was away. `vesalius up` runs one.
    """
    from workers.forwarder import run_forwarder

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        run_forwarder(settings, ledger_place(settings))


def _line(entry: "Entry") -> str:
    """Return an event as a line."""
    done = entry.audited
    refused = "" if done.succeeded else " (refused)"
    more = "".join(f"  {key}={value}" for key, value in done.detail.items())
    return (
        f"{entry.number}  {entry.at:%Y-%m-%d %H:%M:%S}  {done.actor}  {done.action}{refused}  "
        f"{done.subject}{more}"
    )
