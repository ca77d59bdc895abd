"""The command that serves the review page, and those that keep its accounts."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app
from pipeline.options import (
    ConfigOption,
    JsonOption,
    LedgerOption,
    complaints,
    ledger_place,
    site_configuration,
    state_folder,
)
from workers.logs import set_up_logs

if TYPE_CHECKING:
    from pipeline.ledger.accounts import Role

review = typer.Typer(help="Serve the review page, and keep its accounts.")
app.add_typer(review, name="review")
accounts = typer.Typer(help="Keep the accounts of the review page.")
review.add_typer(accounts, name="accounts")

RoleOption = Annotated[
    str | None, typer.Option("--role", help="viewer, reviewer or administrator.")
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Its first line is the password; asked for on the terminal otherwise.",
    ),
]
DisplayNameOption = Annotated[
    str | None, typer.Option("--display-name", metavar="NAME", help="The person's name.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The account.")]


@review.callback(invoke_without_command=True)
def review_command(
    context: typer.Context,
    *,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, help="Default: as in the settings; 0 for a free one."),
    ] = None,
    first_account: Annotated[
        bool,
        typer.Option(
            "--first-account/--no-first-account",
            help="Whether an administrator is made, and told here, where there is no account.",
        ),
    ] = True,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Serve the review page until Ctrl-C, as [review] of the settings says."""
    if context.invoked_subcommand is not None:
        return
    from workers.review import run_review

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        if port is not None:
            settings = replace(settings, review=replace(settings.review, port=port))
        set_up_logs(settings.monitoring.log)
        place = ledger_place(settings)
        run_review(settings, place, state_folder(place), tell=typer.echo if first_account else None)


@accounts.command("add")
def add_command(
    name: NameArgument,
    *,
    role: Annotated[str, typer.Option("--role", help="viewer, reviewer or administrator.")],
    display_name: DisplayNameOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Make an account."""
    from pipeline.ledger.accounts import By, NewAccount, add_account
    from pipeline.ledger.ledger import Ledger
    from pipeline.owner import this_person
    from pipeline.review.passwords import digest_of

    with complaints():
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        new = NewAccount(name=name, display_name=display_name or name, role=_role(role))
        new = replace(new, password=digest_of(_password(password_file)))
        with Ledger.open(place) as ledger:
            add_account(ledger, new, By(actor=this_person()))
    typer.echo(f"account {name}: {role}")


@accounts.command("change")
def change_command(
    name: NameArgument,
    *,
    role: RoleOption = None,
    display_name: DisplayNameOption = None,
    is_open: Annotated[
        bool | None, typer.Option("--open/--closed", help="Whether it may sign in.")
    ] = None,
    password: Annotated[bool, typer.Option("--password", help="Set another password.")] = False,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Change an account: its role, its password, whether it may sign in."""
    from pipeline.ledger.accounts import By, Change, change_account
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.signins import end_sessions_of
    from pipeline.owner import this_person
    from pipeline.review.passwords import digest_of

    with complaints():
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        is_new = password or password_file is not None
        change = Change(
            display_name=display_name,
            role=None if role is None else _role(role),
            is_open=is_open,
            password=digest_of(_password(password_file)) if is_new else None,
        )
        with Ledger.open(place) as ledger:
            changed = change_account(
                ledger,
                name,
                change,
                By(actor=this_person()),
                within=lambda session: end_sessions_of(session, name),
            )
    state = "" if changed.is_open else ", closed"
    typer.echo(f"account {name}: {changed.role}{state}")


@accounts.command("list")
def list_command(
    *, config: ConfigOption = None, as_json: JsonOption = False, ledger_url: LedgerOption = None
) -> None:
    """Tell which accounts there are."""
    import json

    from pipeline.console import printable
    from pipeline.ledger.accounts import accounts as all_accounts
    from pipeline.ledger.ledger import Ledger

    with complaints():
        place = ledger_place(site_configuration(config, ledger_url=ledger_url))
        with Ledger.open(place) as ledger:
            found = all_accounts(ledger)
    for each in found:
        if as_json:
            told = {"name": each.name, "display_name": each.display_name, "role": str(each.role)}
            typer.echo(json.dumps({**told, "open": each.is_open, "local": each.is_local}))
            continue
        state = "" if each.is_open else "  closed"
        typer.echo(printable(f"{each.name}  {each.role}  {each.display_name}{state}"))


def _role(given: str) -> "Role":
    """Return a role by its name.

    Raises
    ------
    UnusableCall
        If there is none.
    """
    from pipeline.errors import UnusableCall
    from pipeline.ledger.accounts import Role

    try:
        return Role(given)
    except ValueError:
        known = ", ".join(Role)
        raise UnusableCall(f"--role is {given!r}, possible is {known}") from None


def _password(path: Path | None) -> str:
    """Return a password: a file's first line, or what is typed twice."""
    if path is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    from pipeline.gateways.secret import read_secret

    return read_secret(path)
