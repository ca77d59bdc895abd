"""Options that commands of the service share."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.config import Configuration
from pipeline.errors import UnusableCall
from pipeline.options import state_folder

BrokerOption = Annotated[
    str | None,
    typer.Option(
        "--broker",
        metavar="URL",
        envvar="VESALIUS_BROKER",
        help="Broker: redis:// or amqp://. Default: as in the settings.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", metavar="DIR", help="Results. Default: as in the settings."),
]


def served_by(settings: Configuration, broker: str | None) -> Configuration:
    """Return settings with the broker of the call."""
    if broker is None:
        return settings
    return replace(settings, service=replace(settings.service, broker=broker))


def results_folder(given: Path | None, settings: Configuration) -> Path:
    """Return the folder for results."""
    output = given or settings.service.output
    if output is None:
        raise UnusableCall("no folder for results: give --output, or set service.output")
    return output


def inbox_folder(settings: Configuration, place: str) -> Path:
    """Return the folder for what is received: as set, or with what a service keeps."""
    return settings.receive.folder or state_folder(place) / "inbox"


def moment(given: str, option: str) -> datetime:
    """Return a moment that an option names, UTC unless it says otherwise.

    Raises
    ------
    UnusableCall
        If it is none.
    """
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise UnusableCall(f"{option} is {given!r}, needed is a date or time of ISO 8601") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
