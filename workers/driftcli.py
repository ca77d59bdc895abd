"""Commands that watch whether studies are still like those of a reference."""

from collections.abc import Sequence
from datetime import datetime
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
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.references import Reference, Window

drift = typer.Typer(help="Watch whether studies are like those of a reference.")
app.add_typer(drift, name="drift")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the reference.")]
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="References. Default: all.")
]


@drift.command("reference")
def reference_command(
    name: NameArgument,
    *,
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First moment, ISO 8601, UTC.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="First moment that is too late.")
    ] = None,
    studies: Annotated[
        Path | None,
        typer.Option("--studies", metavar="FILE", help="Instead: Study Instance UIDs, one a line."),
    ] = None,
    window: Annotated[
        int | None, typer.Option("--window", help="Studies of a window. Default: as set.")
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--days", help="Windows of so many days, of --window studies at least."),
    ] = None,
    false_alarms: Annotated[
        float | None, typer.Option("--false-alarms", help="Probability for each window.")
    ] = None,
    least_effect: Annotated[
        float | None, typer.Option("--least-effect", help="Smaller changes do not alarm, 0 to 1.")
    ] = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Keep jobs as what later ones are compared with: those of a time, or of some studies."""
    from dataclasses import replace

    from pipeline.drift.monitor import rule_of
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.references import make_reference, members_between, members_of

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        own = settings.drift
        asked = replace(
            own,
            window=own.window if window is None else window,
            false_alarms=own.false_alarms if false_alarms is None else false_alarms,
            least_effect=own.least_effect if least_effect is None else least_effect,
        )
        rule = rule_of(asked, days)
        with Ledger.open(ledger_place(settings)) as ledger:
            if studies is not None:
                members = members_of(ledger, _lines(studies))
            else:
                members = members_between(ledger, *_times(start, end))
            made = make_reference(ledger, name, members, rule)
    typer.echo(f"{made.name}  {len(made.members)} jobs until {made.end_at.isoformat()}")


@drift.command("check")
def check_command(
    names: NamesArgument = None,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Compare the windows that are full with their reference, each once.

    Exit status: 0 no alarm, 1 a window that was compared now or the last one alarms, 2 unusable
    call.
    """
    from pipeline.console import printable
    from pipeline.drift.monitor import check
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.references import last_windows
    from pipeline.manifest import serialised

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        chosen = _chosen(ledger, names)
        fresh = [window for reference in chosen for window in check(ledger, reference)]
        known = {reference.name for reference in chosen}
        standing = [window for window in last_windows(ledger) if window.reference in known]
    if as_json:
        told = {
            "compared": [window.to_json() for window in fresh],
            "standing": [window.to_json() for window in standing],
        }
        typer.echo(serialised(told).rstrip())
    else:
        for line in _told(fresh, standing):
            typer.echo(printable(line))
    if any(window.alarms for window in (*fresh, *standing)):
        raise typer.Exit(SOME_INPUT_FAILED)


@drift.command("report")
def report_command(
    names: NamesArgument = None,
    *,
    output: Annotated[Path, typer.Option("--output", metavar="FILE.html", help="The page.")],
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Write a page of each statistic over time, with the windows and their alarms."""
    from pipeline.drift.report import page
    from pipeline.ledger.ledger import Ledger

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        content = page(ledger, _chosen(ledger, names))
        try:
            output.write_text(content, encoding="utf-8")
        except OSError as problem:
            raise UnusableCall(f"{output}: cannot be written ({problem.strerror})") from problem
    typer.echo(str(output))


@drift.command("list")
def list_command(
    *, config: ConfigOption = None, as_json: JsonOption = False, ledger_url: LedgerOption = None
) -> None:
    """List the references."""
    from dataclasses import asdict

    from pipeline.console import printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.references import references
    from pipeline.manifest import serialised

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        found = references(ledger)
    if as_json:
        listed = [
            {
                "name": reference.name,
                "jobs": len(reference.members),
                "end_at": reference.end_at.isoformat(),
                **asdict(reference.rule),
            }
            for reference in found
        ]
        typer.echo(serialised({"references": listed}).rstrip())
        return
    for reference in found:
        typer.echo(printable(_line(reference)))


@drift.command("forget")
def forget_command(
    name: NameArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Remove a reference and what was compared with it; statistics stay."""
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.references import forget

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        forget(ledger, name)
    typer.echo(f"{name}  forgotten")


@drift.command("backfill")
def backfill_command(*, config: ConfigOption = None, ledger_url: LedgerOption = None) -> None:
    """Record the statistics of jobs that were done before any were kept; may be called again."""
    from pipeline.drift.backfill import backfill
    from pipeline.ledger.ledger import Ledger

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as ledger:
            found = backfill(ledger, settings.drift)
    typer.echo(
        f"{found.whole} jobs from their inputs, {found.outcome_only} from their outcomes alone"
    )


def _chosen(ledger: "Ledger", names: Sequence[str] | None) -> "list[Reference]":
    """Return the references of a call."""
    from pipeline.ledger.references import reference_named, references

    if names:
        return [reference_named(ledger, name) for name in names]
    found = list(references(ledger))
    if not found:
        raise UnusableCall("no reference: make one with 'drift reference NAME'")
    return found


def _told(fresh: "Sequence[Window]", standing: "Sequence[Window]") -> list[str]:
    """Return windows as lines: those compared now, and those that stand in alarm from before."""
    now = {(w.reference, w.analysis, w.number) for w in fresh}
    from_before = [
        window
        for window in standing
        if window.alarms and (window.reference, window.analysis, window.number) not in now
    ]
    lines = []
    for window in (*fresh, *from_before):
        what = f"{len(window.alarms)} of {len(window.findings)} statistics" if window.alarms else ""
        lines.append(
            f"{window.reference}  {window.analysis}  window {window.number}, "
            f"{window.studies} studies until {window.last_at:%Y-%m-%d %H:%M}: "
            f"{'ALARM, ' + what if what else 'as the reference'}"
        )
        lines += [f"    {_finding(found)}" for found in window.findings if found["is_alarm"]]
    return lines or ["no window is full since the last check, and none stands in alarm"]


def _finding(found: dict[str, object]) -> str:
    """Return an alarm as a line."""
    from pipeline.drift.words import number, place

    return (
        f"{found['statistic']}: {number(found['before'])} -> {number(found['now'])}, "
        f"effect {number(found['effect'])}, p {number(found['p_corrected'])}{place(found)}"
    )


def _line(reference: "Reference") -> str:
    """Return a reference as a line."""
    rule = reference.rule
    length = f"{rule.days:g} days, at least " if rule.days is not None else ""
    return (
        f"{reference.name}  {len(reference.members)} jobs until {reference.end_at:%Y-%m-%d %H:%M}; "
        f"windows of {length}{rule.window} studies, false alarms {rule.false_alarms:g}, "
        f"effect at least {rule.least_effect:g}"
    )


def _times(start: str | None, end: str | None) -> tuple[datetime, datetime]:
    """Return the two ends of a time that a call names."""
    if start is None or end is None:
        option = "--from" if start is None else "--to"
        raise UnusableCall(f"{option} is missing: give --from and --to, or --studies")
    return moment(start, "--from"), moment(end, "--to")


def _lines(path: Path) -> list[str]:
    """Return the lines of a file that hold something."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UnusableCall(f"{path}: cannot be read") from None
    return [line.strip() for line in content.splitlines() if line.strip()]


def _place(config: Path | None, url: str | None) -> str:
    """Return where the ledger of a call is."""
    return ledger_place(site_configuration(config, ledger_url=url))
