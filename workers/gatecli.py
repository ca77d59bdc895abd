"""Commands that check and de-identify DICOM objects, and write the conformance statement."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import app
from pipeline.errors import UnusableCall
from pipeline.options import SOME_INPUT_FAILED, ConfigOption, JsonOption, complaints

FilesArgument = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", exists=True, dir_okay=False, help="DICOM objects."),
]


@app.command("gate")
def gate_command(
    files: FilesArgument, *, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Tell what is wrong with DICOM objects, as the gate judges them before they leave.

    Exit status: 0 nothing is, 1 something is, 2 unusable call.
    """
    from pipeline.config import read_configuration
    from pipeline.console import printable
    from pipeline.deliver.gate import check
    from pipeline.manifest import serialised

    with complaints():
        settings = read_configuration(config).gate
        found = {str(path): check(path, settings) for path in files}
    if as_json:
        typer.echo(serialised({"problems": {k: list(v) for k, v in found.items()}}).rstrip())
    else:
        for path, problems in found.items():
            for problem in problems:
                typer.echo(printable(f"{path}: {problem}"))
    if any(found.values()):
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command("deidentify")
def deidentify_command(
    files: FilesArgument,
    *,
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", file_okay=False, help="Where results go.")
    ],
    key: Annotated[
        Path,
        typer.Option(
            "--key", metavar="FILE", help="Secret of 16 bytes or more; the same maps the same."
        ),
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """De-identify DICOM objects (PS3.15, E), and tell what was done and what to look at.

    Files are named by their new SOP Instance UIDs. Frames are not altered. An object that the gate
    does not let pass is not written.

    Exit status: 0 all done, 1 some object did not pass the gate or cannot be read, 2 unusable call.
    """
    from pipeline.config import read_configuration
    from pipeline.console import printable
    from pipeline.deliver.deidentifyfiles import written_into
    from pipeline.manifest import serialised

    with complaints():
        settings = read_configuration(config).gate
        secret = _secret(key)
        output.mkdir(parents=True, exist_ok=True)
        outcomes = written_into(files, output, secret, settings)
    if as_json:
        typer.echo(serialised({"objects": [o.to_json() for o in outcomes]}).rstrip())
    else:
        for outcome in outcomes:
            for line in outcome.told():
                typer.echo(printable(line))
    if not all(outcome.report for outcome in outcomes):
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command("conformance")
def conformance_command(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Where it is written. Default: standard output."),
    ] = None,
) -> None:
    """Write the DICOM conformance statement of this version."""
    from pipeline.gateways.conformance import statement

    with complaints():
        if path is None:
            typer.echo(statement().rstrip())
        else:
            path.write_text(statement(), encoding="utf-8")


def _secret(path: Path) -> bytes:
    """Return the bytes of a key file, without white space around them.

    Raises
    ------
    UnusableCall
        If it cannot be read.
    """
    try:
        return path.read_bytes().strip()
    except OSError as problem:
        raise UnusableCall(f"{path}: cannot be read ({problem.strerror})") from problem
