"""What the commands share: options, the site's settings, and how an unusable call ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.config import Configuration, LedgerSettings, read_configuration
from pipeline.errors import PipelineError
from pipeline.ingest.limits import put_in_force

if TYPE_CHECKING:
    from pipeline.routing.rules import Rules

SOME_INPUT_FAILED, UNUSABLE_CALL = 1, 2
"""Exit statuses."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings of the site.")
]
LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="URL",
        envvar="VESALIUS_LEDGER",
        help="Ledger: path of a SQLite file, or URL. Default: the user's own.",
    ),
]
ModelsOption = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="DIR",
        envvar="VESALIUS_MODELS",
        help="A bundle, or a folder with ANALYSIS/bundle. Default: the installed models.",
    ),
]
RulesOption = Annotated[
    Path | None,
    typer.Option(
        "--rules", metavar="FILE.toml", help="Routing rules. Default: as in the settings, or none."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and no text.")]


def site_configuration(
    path: Path | None, *, ledger_url: str | None = None, models: Path | None = None
) -> Configuration:
    """Return the site's settings; what the call or the environment names goes before.

    The registry of models has a place in them, whether the file names one or not. The limits are
    in force from here on.
    """
    settings = read_configuration(path)
    put_in_force(settings.limits)
    if ledger_url:
        settings = replace(settings, ledger=LedgerSettings(url=ledger_url))
    registry = settings.models.registry or state_folder(ledger_place(settings)) / "registry"
    path = models or settings.models.path
    return replace(settings, models=replace(settings.models, path=path, registry=registry))


def names_bundles(context: typer.Context) -> bool:
    """Tell whether a call itself names bundles, by ``--models``: those are meant then.

    What the environment names is the site's, and the registry goes before it.
    """
    source = context.get_parameter_source("models")
    return source is not None and source.name == "COMMANDLINE"


def site_rules(path: Path | None, settings: Configuration) -> "Rules | None":
    """Return the routing rules of a call, or of the site.

    Raises
    ------
    UnusableCall
        If the file cannot be read, or holds what is not possible, such as an unknown analysis.
    """
    from pipeline.perform import kinds_in
    from pipeline.routing.rules import read_rules

    path = path or settings.routing.rules
    if path is None:
        return None
    rules = read_rules(path)
    rules.check_analyses(kind.name for kind in kinds_in(settings))
    return rules


def ledger_place(settings: Configuration) -> str:
    """Return where the ledger is: as set, or the user's own."""
    from platformdirs import user_state_path

    return settings.ledger.url or str(user_state_path("vesalius", appauthor=False) / "ledger.db")


def state_folder(place: str) -> Path:
    """Return the folder for what a service keeps: beside a ledger that is a file, or the user's."""
    from platformdirs import user_state_path

    if "://" in place:
        return Path(user_state_path("vesalius", appauthor=False))
    return Path(place).expanduser().absolute().parent


@contextmanager
def complaints() -> Iterator[None]:
    """End an unusable call with its reason."""
    try:
        yield
    except PipelineError as problem:
        from pipeline.console import printable

        typer.echo(printable(f"vesalius: {problem}"), err=True)
        raise typer.Exit(UNUSABLE_CALL) from None
