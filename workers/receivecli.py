"""Commands that receive, beside those of ``workers.cli``."""

from typing import Annotated

import typer

from pipeline.cli import app
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    complaints,
    ledger_place,
    site_configuration,
)
from workers.logs import set_up_logs
from workers.options import OutputOption, inbox_folder, results_folder


@app.command("receive")
def receive_command(*, config: ConfigOption = None, ledger_url: LedgerOption = None) -> None:
    """Take instances by C-STORE and STOW-RS until told to end; see [receive] of the settings."""
    from workers.receiver import run_receiver

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        set_up_logs(settings.monitoring.log)
        place = ledger_place(settings)
        status = run_receiver(settings, place, inbox_folder(settings, place))
    raise typer.Exit(status)


@app.command("assemble")
def assemble_command(
    *,
    output: OutputOption = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Submit the studies that were received as soon as they are whole, until told to end."""
    from workers.assembler import run_assembler

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        set_up_logs(settings.monitoring.log)
        place = ledger_place(settings)
        inbox, results = inbox_folder(settings, place), results_folder(output, settings)
        run_assembler(settings, place, inbox, results)


@app.command("arrivals")
def arrivals_command(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """List the studies that were received, the last first: whether they are whole, and why."""
    from pipeline.console import printable
    from pipeline.ledger.arrivals import Arrivals
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import serialised

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as ledger:
            found = Arrivals(ledger).listed(limit)
    if as_json:
        typer.echo(serialised({"arrivals": [study.to_json() for study in found]}).rstrip())
        return
    for study in found:
        expected = "" if study.expected is None else f" of {study.expected}"
        why = f"  {study.why}" if study.why else ""
        line = f"{study.study_instance_uid}  {study.state.value:8} revision {study.revision}"
        typer.echo(printable(f"{line}  {study.n_instances}{expected} instances{why}"))


@app.command("suspects")
def suspects_command(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """List data sets that were set aside: they came under the UID of another one.

    Exit status: 0 there is none, 1 there are some.
    """
    from pipeline.console import printable
    from pipeline.ledger.arrivals import Arrivals
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import serialised

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        place = ledger_place(settings)
        with Ledger.open(place) as ledger:
            found = Arrivals(ledger).suspects(limit)
    if as_json:
        typer.echo(serialised({"suspects": [one.to_json() for one in found]}).rstrip())
    else:
        for one in found:
            line = f"{one.at:%Y-%m-%d %H:%M}  {one.sop_instance_uid}  {one.sender}  {one.reason}"
            typer.echo(printable(f"{line}  {inbox_folder(settings, place) / one.relative_path}"))
    if found:
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command("turnaround")
def turnaround_command(
    *, config: ConfigOption = None, as_json: JsonOption = False, ledger_url: LedgerOption = None
) -> None:
    """Tell how long results took: from a study's last instance to the proof at the destination."""
    from dataclasses import asdict

    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.turnaround import quantile, turnarounds
    from pipeline.manifest import serialised

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as ledger:
            found = turnarounds(ledger)
    if as_json:
        typer.echo(serialised({"turnarounds": [asdict(one) for one in found]}).rstrip())
        return
    for key in sorted({(one.destination, one.analysis) for one in found}):
        own = [one for one in found if (one.destination, one.analysis) == key]
        total = [one.total_s for one in own]
        share = sum(one.model_s for one in own) / sum(total)
        typer.echo(
            f"{key[0]} {key[1]}: {len(own)} results, median {quantile(total, 0.5):.1f} s, "
            f"95 % within {quantile(total, 0.95):.1f} s; the analysis itself is {share:.0%}"
        )
