"""Commands that run and watch a service on one machine, beside those of ``workers.cli``."""

from pathlib import Path
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
from workers.options import BrokerOption, OutputOption, results_folder, served_by, state_folder

SettleOption = Annotated[
    float,
    typer.Option("--settle", min=0, help="Seconds that a study must not have changed for."),
]


@app.command("monitor")
def monitor_command(
    *, broker: BrokerOption = None, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Serve /metrics, /healthz and /readyz until told to end; see [monitoring] of the settings."""
    from workers.endpoint import run_endpoint

    with complaints():
        settings = served_by(site_configuration(config, ledger_url=ledger_url), broker)
        set_up_logs(settings.monitoring.log)
        run_endpoint(settings, ledger_place(settings))


@app.command("watch")
def watch_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where studies are dropped.")],
    *,
    output: OutputOption = None,
    settle: SettleOption = 5.0,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Submit each study that is dropped into a folder, once it has stopped changing.

    A study is a folder, or all files that lie loose. Nothing is moved or removed.
    """
    from pipeline.dropfolder import DropFolder
    from workers.watch import run_watch

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        set_up_logs(settings.monitoring.log)
        watched = DropFolder(root=folder, settle_s=settle)
        run_watch(watched, results_folder(output, settings), settings, ledger_place(settings))


@app.command("up")
def up_command(
    *,
    watch: Annotated[
        Path | None,
        typer.Option(
            "--watch",
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Submit what is dropped there.",
        ),
    ] = None,
    receive: Annotated[
        bool,
        typer.Option("--receive", help="Take studies by C-STORE and STOW-RS, as [receive] says."),
    ] = False,
    review: Annotated[
        bool,
        typer.Option("--review", help="Serve the review page, as [review] says."),
    ] = False,
    output: OutputOption = None,
    settle: SettleOption = 5.0,
    broker: BrokerOption = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Run the service on this machine: broker, dispatcher, worker, metrics; until Ctrl-C.

    Ctrl-C or SIGTERM: what runs is finished, or handed back after worker.stop_s; a second one ends
    all at once. What has died is started again. Without --broker, one is started that only this
    machine reaches. Destinations of the settings are served, and worklists performed.
    """
    from workers.up import Machine, run_up

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        set_up_logs(settings.monitoring.log)
        place = ledger_place(settings)
        watched: tuple[str, ...] = ()
        if receive:
            results_folder(output, settings)
        if watch:
            results = str(results_folder(output, settings).absolute())
            watched = (str(watch.absolute()), "--output", results, "--settle", str(settle))
        machine = Machine(
            configuration=settings,
            config_file=config,
            place=place,
            state=state_folder(place),
            broker=broker,
            receives=receive,
            reviews=review,
            watched=watched,
            results=("--output", str(output.absolute())) if output else (),
        )
        status = run_up(machine)
    raise typer.Exit(status)


@app.command("check")
def check_command(
    *,
    broker: BrokerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Tell what is wrong with a deployment before it runs.

    Exit status: 0 nothing is, 1 something is, 2 unusable call.
    """
    from pipeline.console import printable
    from pipeline.manifest import serialised
    from workers.check import check

    with complaints():
        settings = served_by(
            site_configuration(config, ledger_url=ledger_url, models=models), broker
        )
        found = check(settings, ledger_place(settings))
    if as_json:
        typer.echo(serialised({"findings": [finding.to_json() for finding in found]}).rstrip())
    else:
        for finding in found:
            remedy = f" -> {finding.remedy}" if finding.remedy else ""
            typer.echo(printable(f"{finding.level.value:5} {finding.what}: {finding.told}{remedy}"))
    if any(finding.is_wrong for finding in found):
        raise typer.Exit(SOME_INPUT_FAILED)
