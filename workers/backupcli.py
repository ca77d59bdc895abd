"""Commands that copy an installation away, and put it back."""

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
    state_folder,
)

NameOption = Annotated[
    str | None, typer.Option("--name", help="Which backup. Default: the last one.")
]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backups.")]


@app.command("backup")
def backup_command(
    folder: FolderArgument,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make none: look whether one is whole.")
    ] = False,
    name: NameOption = None,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Backups that stay; 0 keeps all.")] = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Copy ledger, received files, results and models away while the service works.

    Only what has changed is read. Exit status: 0 all well, 1 not whole, 2 unusable call.
    """
    from dataclasses import asdict

    from pipeline.manifest import serialised
    from pipeline.owner import this_person
    from pipeline.record.backup import back_up
    from pipeline.record.store import Store
    from workers.holdings import opened_holdings

    store = Store(folder=folder.absolute())
    if verify:
        _verify(store.folder, name, as_json=as_json)
        return
    with complaints():
        if name is not None:
            raise UnusableCall("--name is for --verify: a backup is named by its time")
        settings = site_configuration(config, ledger_url=ledger_url)
        with opened_holdings(settings, ledger_place(settings)) as holdings:
            made = back_up(store, holdings, this_person(), settings=config, keep=keep)
    if as_json:
        typer.echo(serialised(asdict(made)).rstrip())
        return
    typer.echo(
        f"backup {made.name}: {made.files} files of {made.size >> 20} MiB, {made.read} read anew"
    )
    if made.gone:
        typer.echo(f"{made.gone} files that the ledger names were not there", err=True)


@app.command("restore")
def restore_command(
    folder: FolderArgument,
    *,
    name: NameOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Put an installation back from a backup, into an empty place. No process of it may run.

    Exit status: 0 all well, 1 the audit log is not whole, 2 a place is not empty, or damage.
    """
    from pipeline.manifest import serialised
    from pipeline.owner import this_person
    from pipeline.record.places import Places
    from pipeline.record.restore import restore
    from pipeline.record.store import Store

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        place = ledger_place(settings)
        places = Places.of(settings, state_folder(place))
        done = restore(Store(folder=folder.absolute()), place, places, this_person(), name)
    if as_json:
        typer.echo(serialised(done.to_json()).rstrip())
    else:
        typer.echo(f"backup {done.name} of {done.at} is back: {done.files} files")
        typer.echo(f"{done.chain.events} events, head {done.chain.head}")
        for job_id in done.under_way.jobs:
            typer.echo(f"job {job_id} ran: it is done again")
        for number, destination, state in done.under_way.deliveries:
            typer.echo(
                f"delivery {number} to {destination} was {state}: what was sent since is sent again"
            )
    if done.chain.fault is not None:
        typer.echo(f"the audit log is not whole: {done.chain.fault}", err=True)
        raise typer.Exit(SOME_INPUT_FAILED)


def _verify(folder: Path, name: str | None, *, as_json: bool) -> None:
    """Tell whether a backup is whole."""
    from pipeline.manifest import serialised
    from pipeline.record.restore import check
    from pipeline.record.store import Store

    with complaints():
        store = Store(folder=folder)
        found, backup, sha256 = store.read(name)
        faults = list(check(store, found))
    if as_json:
        told = {"backup": found, "sha256": sha256, "files": len(backup.files), "faults": faults}
        typer.echo(serialised(told).rstrip())
    else:
        typer.echo(f"backup {found} of {backup.at}: {len(backup.files)} files, manifest {sha256}")
        typer.echo("\n".join(faults) or "the backup is whole")
    if faults:
        raise typer.Exit(SOME_INPUT_FAILED)
