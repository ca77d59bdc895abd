"""The command that does a job of the past again, and compares."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app
from pipeline.errors import UnusableCall
from pipeline.options import (
    SOME_INPUT_FAILED,
    UNUSABLE_CALL,
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    complaints,
    ledger_place,
    site_configuration,
)

if TYPE_CHECKING:
    from pipeline.reproduce import Bench
    from pipeline.reproduction import Reproduction


@app.command("reproduce")
def reproduce_command(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of the job, or its first digits.")],
    *,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", help="Where its input is, if not where the ledger has it."),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also with another input or bundle than the job's.")
    ] = False,
    scratch: Annotated[
        Path | None,
        typer.Option("--scratch", metavar="DIR", help="Keep the files there. Default: nowhere."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Do a job again from the ledger; tell whether its files are the same, byte for byte.

    Exit status: 0 identical, 1 something differs, 2 it cannot be done again.
    """
    from pipeline.console import printable
    from pipeline.infer.terms import Compute
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.listing import job_named
    from pipeline.manifest import serialised
    from pipeline.reproduce import Bench
    from pipeline.reproduction import Verdict

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        compute = Compute(threads=settings.worker.threads_each, providers=settings.worker.providers)
        with Ledger.open(ledger_place(settings)) as ledger:
            bench = Bench(
                ledger=ledger,
                configuration=settings,
                compute=compute,
                scratch=Path(),
                inputs=tuple(inputs or ()),
                anyway=anyway,
            )
            found = _in_scratch(scratch, bench, job_named(ledger, job).job_id.hex)
    if as_json:
        typer.echo(serialised(found.to_json()).rstrip())
    else:
        for line in _told(found):
            typer.echo(printable(line))
    if found.verdict is Verdict.DIFFERS:
        raise typer.Exit(SOME_INPUT_FAILED)
    if found.verdict is Verdict.IMPOSSIBLE:
        raise typer.Exit(UNUSABLE_CALL)


def _in_scratch(scratch: Path | None, bench: "Bench", job_id: str) -> "Reproduction":
    """Do a job again in a folder that is kept, or in one that is removed."""
    from dataclasses import replace
    from tempfile import TemporaryDirectory
    from uuid import UUID

    from pipeline.reproduce import reproduce

    if scratch is not None and scratch.exists() and any(scratch.iterdir()):
        raise UnusableCall(f"{scratch}: is not empty")
    try:
        with TemporaryDirectory() as passing:
            return reproduce(UUID(job_id), replace(bench, scratch=scratch or Path(passing)))
    except OSError as problem:
        raise UnusableCall(f"the files cannot be written ({problem.strerror})") from problem


def _told(found: "Reproduction") -> list[str]:
    """Return what came of it as lines."""
    said = found.verdict.value
    if found.n_files:
        said += f", {found.n_files} files compared"
    lines = [f"{found.job_id}  {said}"]
    lines += [f"    {stage.value}: {told}" for stage, told in found.stages]
    for file in found.files:
        lines.append(f"    {file.path}: {file.how}")
        lines += [f"        {place}" for place in file.told]
    return [*lines, *(f"    {note}" for note in found.notes)]
