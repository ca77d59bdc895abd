"""Commands that send results to destinations, and look after what is on its way."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app
from pipeline.errors import UnusableCall
from pipeline.options import (
    ConfigOption,
    JsonOption,
    LedgerOption,
    complaints,
    ledger_place,
    site_configuration,
)
from workers.logs import set_up_logs

if TYPE_CHECKING:
    from pipeline.ledger.deliverycare import DeliveryCare, DeliveryLine
    from pipeline.ledger.deliverytables import DeliveryState

deliveries = typer.Typer(help="List deliveries, and look after one.")
app.add_typer(deliveries, name="deliveries")

DeliveryArgument = Annotated[int, typer.Argument(metavar="ID", help="Number of the delivery.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the destination.")]


@app.command("deliver")
def deliver_command(*, config: ConfigOption = None, ledger_url: LedgerOption = None) -> None:
    """Send results to their destinations until told to end; see [destinations] of the settings.

    SIGTERM or Ctrl-C: finish the object in flight, hand back the rest. More than one may run.
    """
    from workers.deliverer import run_deliverer

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        if not settings.destinations:
            raise UnusableCall("no destinations: write one [destinations.NAME] or more")
        set_up_logs(settings.monitoring.log)
        run_deliverer(settings, ledger_place(settings))


@deliveries.callback(invoke_without_command=True)
def deliveries_command(
    context: typer.Context,
    *,
    destination: Annotated[
        str | None, typer.Option("--destination", metavar="NAME", help="Only to this one.")
    ] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only in this state.")] = None,
    job: Annotated[str | None, typer.Option("--job", help="Only of this job.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """List deliveries, the latest change first, and destinations that are held or have failed."""
    if context.invoked_subcommand is not None:
        return
    from dataclasses import asdict

    from pipeline.console import printable
    from pipeline.ledger.breaker import Destinations
    from pipeline.ledger.deliverycare import WantedDeliveries
    from pipeline.ledger.deliverycare import deliveries as found_deliveries
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.listing import job_named
    from pipeline.manifest import serialised

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        wanted = WantedDeliveries(
            destination=destination,
            state=_state(state),
            job_id=job_named(ledger, job).job_id if job else None,
            limit=limit,
        )
        lines = found_deliveries(ledger, wanted)
        standing = Destinations(ledger).all()
    if as_json:
        found = {
            "deliveries": [line.to_json() for line in lines],
            "destinations": [asdict(each) for each in standing],
        }
        typer.echo(serialised(found).rstrip())
        return
    for each in standing:
        if each.held is not None:
            typer.echo(printable(f"{each.name} is held: {each.held}"), err=True)
        elif each.closed_s is not None:
            typer.echo(f"{each.name} does not answer; next in {each.closed_s:.0f} s", err=True)
    for line in lines:
        typer.echo(printable(_told(line)))


@deliveries.command("retry")
def retry_command(
    delivery: DeliveryArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Try a delivery again now: one that has ended, or waits for its time."""
    _care(config, ledger_url, delivery, lambda care: care.retry(delivery))


@deliveries.command("hold")
def hold_command(
    delivery: DeliveryArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Keep a delivery back."""
    _care(config, ledger_url, delivery, lambda care: care.hold(delivery))


@deliveries.command("release")
def release_command(
    delivery: DeliveryArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Let a delivery go that is held."""
    _care(config, ledger_url, delivery, lambda care: care.release(delivery))


@deliveries.command("cancel")
def cancel_command(
    delivery: DeliveryArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """End a delivery; what was sent stays where it is."""
    _care(config, ledger_url, delivery, lambda care: care.cancel(delivery))


@deliveries.command("hold-destination")
def hold_destination_command(
    name: NameArgument,
    *,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; nothing of a patient.")
    ] = "held by a person",
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Keep back all that goes to a destination."""
    from pipeline.ledger.breaker import Destinations
    from pipeline.ledger.ledger import Ledger

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        if name not in settings.destinations:
            raise UnusableCall(f"no destination {name!r} in the settings")
        with Ledger.open(ledger_place(settings)) as ledger:
            Destinations(ledger).hold(name, reason)
    typer.echo(f"{name}  held")


@deliveries.command("release-destination")
def release_destination_command(
    name: NameArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Let go what is kept back from a destination, or waits since it did not answer."""
    from pipeline.ledger.breaker import Destinations
    from pipeline.ledger.ledger import Ledger

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        Destinations(ledger).release(name)
    typer.echo(f"{name}  released")


@deliveries.command("add")
def add_command(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of the job, or its first digits.")],
    name: NameArgument,
    *,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Have the result of a job delivered that is done."""
    from pipeline.ledger.deliveries import Deliveries
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.listing import job_named
    from pipeline.ledger.roles import Role
    from pipeline.ledger.states import JobState

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        if name not in settings.destinations:
            raise UnusableCall(f"no destination {name!r} in the settings")
        with Ledger.open(ledger_place(settings)) as ledger:
            found = job_named(ledger, job)
            if found.state is not JobState.DONE:
                raise UnusableCall(f"job {found.job_id} is {found.state.value}, and has no result")
            if found.role == Role.SHADOW:
                raise UnusableCall(f"job {found.job_id} is a shadow's: nothing of it is delivered")
            with ledger.transaction() as session:
                Deliveries(ledger).add_within(session, found.job_id, [name])
    typer.echo(f"{found.job_id}  to {name}")


def _care(
    config: Path | None,
    ledger_url: str | None,
    delivery: int,
    change: "Callable[[DeliveryCare], DeliveryState]",
) -> None:
    """Change a delivery, and tell where it stands."""
    from pipeline.ledger.deliverycare import DeliveryCare
    from pipeline.ledger.ledger import Ledger

    with complaints(), Ledger.open(_place(config, ledger_url)) as ledger:
        state = change(DeliveryCare(ledger))
    typer.echo(f"{delivery}  {state.value}")


def _told(line: "DeliveryLine") -> str:
    """Return a delivery as a line."""
    more = f"  in {line.wait_s:.0f} s" if line.wait_s else ""
    more += f"  {line.error}: {line.reason}" if line.error else ""
    return (
        f"{line.id:6}  {line.state.value:10}  {line.destination:16}  {line.job_id}  "
        f"{line.sent} sent, {line.confirmed} proven{more}"
    )


def _state(name: str | None) -> "DeliveryState | None":
    """Return the state of a name."""
    from pipeline.ledger.deliverytables import DeliveryState

    if name is None:
        return None
    try:
        return DeliveryState(name)
    except ValueError:
        possible = ", ".join(state.value for state in DeliveryState)
        raise UnusableCall(f"no state {name!r}; known are {possible}") from None


def _place(config: Path | None, url: str | None) -> str:
    """Return where the ledger of a call is."""
    return ledger_place(site_configuration(config, ledger_url=url))
