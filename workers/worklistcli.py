"""Commands of the worklists that are performed here, beside those of ``workers.cli``."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import app
from pipeline.errors import UnusableCall
from pipeline.options import (
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    complaints,
    ledger_place,
    site_configuration,
)
from workers.logs import set_up_logs
from workers.options import inbox_folder, results_folder

worklist = typer.Typer(help="List the procedure steps that are performed here, and give one up.")
app.add_typer(worklist, name="worklist")


@app.command("perform-worklist")
def perform_command(
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Results. Default: as in the settings."),
    ] = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Claim and perform the procedure steps of the worklists in the settings, until told to end."""
    from workers.performer import Folders, run_performer

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        set_up_logs(settings.monitoring.log)
        place = ledger_place(settings)
        folders = Folders(
            inbox=inbox_folder(settings, place).absolute(),
            output=results_folder(output, settings),
        )
        run_performer(settings, place, folders)


@worklist.callback(invoke_without_command=True)
def worklist_command(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """List the steps that were claimed here, the latest change first."""
    if context.invoked_subcommand is not None:
        return
    from pipeline.console import printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.workitems import Workitems
    from pipeline.manifest import serialised

    with complaints():
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        with Ledger.open(place) as ledger:
            found = Workitems(ledger).listed(limit)
    if as_json:
        typer.echo(serialised({"steps": [item.to_json() for item in found]}).rstrip())
        return
    for item in found:
        why = f"  {item.reason}" if item.reason else ""
        asked = " (cancel asked for)" if item.cancel_requested else ""
        line = f"{item.sop_instance_uid}  {item.state.value:11} {item.progress:3}%  {item.worklist}"
        typer.echo(printable(f"{line}{asked}{why}"))


@worklist.command("cancel")
def cancel_command(
    uid: Annotated[str, typer.Argument(metavar="UID", help="SOP Instance UID of the step.")],
    *,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Give a step up: its jobs are cancelled, and it becomes CANCELED in the next round."""
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.workitems import Workitems

    with complaints():
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        with Ledger.open(place) as ledger:
            state = Workitems(ledger).request_cancel(uid)
        if state is None:
            raise UnusableCall(f"no step {uid} is performed here")
    typer.echo(f"{uid}  {state.value}")
