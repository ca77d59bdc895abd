"""Commands on what readers said of results."""

from pathlib import Path
from typing import Annotated

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

reviews = typer.Typer(help="Read what readers said of results, and use it.")
app.add_typer(reviews, name="reviews")

AnalysisOption = Annotated[
    str | None, typer.Option("--analysis", metavar="NAME", help="Only of this analysis.")
]


@reviews.command("list")
def list_command(
    *,
    analysis: AnalysisOption = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only reviews that ended so: accepted, ...")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """List the results whose review has ended, the first to end first."""
    from dataclasses import asdict

    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.reviewstates import ENDED
    from pipeline.manifest import serialised
    from pipeline.review.statistics import judged

    with complaints():
        if state is not None and state not in {each.value for each in ENDED}:
            known = ", ".join(sorted(each.value for each in ENDED))
            raise UnusableCall(f"no state {state!r}; known are {known}")
        with Ledger.open(_place(config, ledger_url)) as ledger:
            found = [e for e in judged(ledger, analysis) if state in (None, e.state.value)]
    if as_json:
        rows = [{**asdict(e), "job_id": str(e.job_id), "at": e.at.isoformat()} for e in found]
        typer.echo(serialised({"reviews": rows}).rstrip())
        return
    for each in found:
        sure = "" if each.uncertainty is None else f"  uncertainty {each.uncertainty:.4g}"
        typer.echo(
            f"{each.job_id}  {each.at:%Y-%m-%d %H:%M}  {each.state.value:8}  {each.analysis}, "
            f"{each.version}{sure}"
        )


@reviews.command("statistics")
def statistics_command(
    *,
    analysis: AnalysisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Tell acceptance by version, scanner and week, and by uncertainty (of one analysis)."""
    from dataclasses import asdict

    from pipeline.console import printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import serialised
    from pipeline.review.statistics import judged, summarise

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        found = summarise(judged(ledger, analysis))
    if as_json:
        typer.echo(serialised(asdict(found)).rstrip())
        return
    typer.echo("accepted as they are, with 95 % limits; edited; rejected")
    for rows in (found.by_version, found.by_scanner, found.by_week):
        for row in rows:
            limits = f"{row.accepted_low:.0%} to {row.accepted_high:.0%}"
            typer.echo(
                printable(
                    f"{row.key}: {row.accepted} of {row.readings} ({limits}); "
                    f"{row.edited}; {row.rejected}"
                )
            )
    for part in found.calibration:
        limits = f"{part.accepted_low:.0%} to {part.accepted_high:.0%}"
        typer.echo(
            f"uncertainty {part.low:.4g} to {part.high:.4g}: {part.accepted} of {part.readings} "
            f"({limits})"
        )


@reviews.command("threshold")
def threshold_command(
    analysis: Annotated[str, typer.Argument(metavar="ANALYSIS", help="Whose results.")],
    *,
    risk: Annotated[
        float,
        typer.Option("--risk", help="Share of what is released that may be wrong, 0 to 1."),
    ] = 0.05,
    confidence: Annotated[
        float, typer.Option("--confidence", help="Probability that it is not more, 0 to 1.")
    ] = 0.95,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Tell up to which uncertainty results could be released unread, and the risk of that.

    Exit status: 0 there is such a threshold, 1 there is none, 2 unusable call.
    """
    from dataclasses import asdict

    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import serialised
    from pipeline.review.statistics import judged, largest_safe, least_readings, releases

    with complaints():
        for name, value in (("--risk", risk), ("--confidence", confidence)):
            if not 0 < value < 1:
                raise UnusableCall(f"{name} is {value:g}, possible is more than 0 and less than 1")
        with Ledger.open(_place(config, ledger_url)) as ledger:
            rows = releases(judged(ledger, analysis), confidence)
    safe = largest_safe(rows, risk)
    needed = least_readings(risk, confidence)
    if as_json:
        found = {
            "safe": None if safe is None else asdict(safe),
            "thresholds": [asdict(row) for row in rows],
            "least_readings": needed,
        }
        typer.echo(serialised(found).rstrip())
    else:
        for row in rows:
            typer.echo(
                f"up to {row.threshold:.4g}: {row.released_share:.0%} released, {row.wrong} of "
                f"{row.released} wrong, risk at most {row.risk_upper:.1%}"
            )
        if safe is not None:
            typer.echo(f"release up to {safe.threshold:.6g}: risk at most {safe.risk_upper:.1%}")
        else:
            read = rows[-1].released if rows else 0
            typer.echo(
                f"no safe threshold: {read} results were read; {needed} that would be released, "
                "all of them right, are the least"
            )
    if safe is None:
        raise typer.Exit(SOME_INPUT_FAILED)


@reviews.command("export")
def export_command(
    *,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="A folder to be made.")],
    analysis: AnalysisOption = None,
    deidentified: Annotated[
        bool,
        typer.Option("--deidentified", help="Without ids and digests that link to the source."),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Write what was accepted or corrected as a training set: images, labels, dataset.json."""
    from dataclasses import asdict

    from pipeline.console import printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import serialised
    from pipeline.owner import this_person
    from pipeline.review.trainingset import ExportAsked, export
    from pipeline.review.verdicts import Reader

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        asked = ExportAsked(analysis=analysis, deidentified=deidentified)
        person = this_person()
        found = export(ledger, asked, output, Reader(name=person, display_name=person))
    if as_json:
        typer.echo(serialised(asdict(found)).rstrip())
        return
    typer.echo(f"{found.cases} cases")
    for reason, count in found.left_out.items():
        typer.echo(printable(f"left out: {count}, {reason}"), err=True)


def _place(config: Path | None, url: str | None) -> str:
    """Return where the ledger of a call is."""
    return ledger_place(site_configuration(config, ledger_url=url))
