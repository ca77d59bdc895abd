"""The service's commands of ``vesalius``, beside those of the pipeline.

What a command needs is imported when it runs, as in ``pipeline.cli``.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    app,
    complaints,
    ledger_place,
    main,
    site_configuration,
)
from pipeline.config import LANES, Configuration
from pipeline.errors import UnusableCall

__all__ = ["main"]

BrokerOption = Annotated[
    str | None,
    typer.Option(
        "--broker",
        metavar="URL",
        envvar="VESALIUS_BROKER",
        help="Broker: redis:// or amqp://. Default: as in the settings.",
    ),
]


@app.command("submit")
def submit_command(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Files, folders or a DICOMDIR.")
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Results. Default: as in the settings."),
    ] = None,
    analysis: Annotated[
        list[str] | None,
        typer.Option("--analysis", metavar="NAME", help="Analysis; may be repeated. Default: all."),
    ] = None,
    lane: Annotated[str, typer.Option("--lane", help=f"One of {', '.join(LANES)}.")] = "routine",
    priority: Annotated[
        int, typer.Option("--priority", help="The higher, the sooner within the lane.")
    ] = 0,
    again: Annotated[
        bool, typer.Option("--again", help="Also jobs that have ended, done or not.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Have a job wait for each series and each analysis that fit; a worker does it.

    Exit status: 0 all taken, 1 some input was refused, 2 unusable call.
    """
    from pipeline.console import printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import finite_object, serialised
    from pipeline.perform import open_analyses
    from pipeline.submit import Terms, submit

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        terms = Terms(
            output=_output(output, settings),
            lane=_lane(lane),
            priority=priority,
            attempts=settings.service.attempts,
            again=again,
        )
        analyses = open_analyses(analysis or [], settings)
        with Ledger.open(ledger_place(settings)) as ledger:
            found = submit(inputs, analyses, terms, ledger)
    if as_json:
        typer.echo(serialised(finite_object(found.to_json())).rstrip())
    else:
        for job in found.jobs:
            known = "" if job.is_new else " (known before)"
            typer.echo(f"{job.job_id}  {job.state.value}{known}")
        for refusal in found.refusals:
            typer.echo(printable(f"refused: {refusal.reason}"), err=True)
    if found.refusals:
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command("worker")
def worker_command(
    *,
    lane: Annotated[
        list[str] | None,
        typer.Option("--lane", help="Lane to serve, the most urgent first; may be repeated."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="Jobs at a time.")
    ] = None,
    broker: BrokerOption = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Do the jobs that wait, until told to end.

    SIGTERM or Ctrl-C: take no more jobs, finish what runs, hand back what takes too long.
    """
    from workers.run import run_worker

    with complaints():
        settings = _served(site_configuration(config, ledger_url=ledger_url, models=models), broker)
        worker = settings.worker
        if lane:
            worker = replace(worker, lanes=tuple(lane))
        if processes:
            worker = replace(worker, processes=processes)
        _log()
        status = run_worker(replace(settings, worker=worker), ledger_place(settings))
    raise typer.Exit(status)


@app.command("dispatch")
def dispatch_command(
    *, broker: BrokerOption = None, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Call workers for jobs that wait and hand out jobs whose worker is gone, until told to end.

    One is needed; more than one may run.
    """
    from workers.run import run_dispatcher

    with complaints():
        settings = _served(site_configuration(config, ledger_url=ledger_url), broker)
        _log()
        run_dispatcher(settings, ledger_place(settings))


def _served(settings: Configuration, broker: str | None) -> Configuration:
    """Return settings with the broker of the call."""
    if broker is None:
        return settings
    return replace(settings, service=replace(settings.service, broker=broker))


def _output(given: Path | None, settings: Configuration) -> Path:
    """Return the folder for results."""
    output = given or settings.service.output
    if output is None:
        raise UnusableCall("no folder for results: give --output, or set service.output")
    return output


def _lane(lane: str) -> str:
    """Return a lane of inference that exists."""
    if lane not in LANES:
        raise UnusableCall(f"no lane {lane!r}; known are {', '.join(LANES)}")
    return lane


def _log() -> None:
    """Have what a service does logged, its own lines only."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda line: line.name.split(".")[0] in ("pipeline", "workers"))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


if __name__ == "__main__":
    main()
