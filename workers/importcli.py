"""The command that makes an analysis of a MONAI bundle, without code."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UnusableCall
from pipeline.options import JsonOption, complaints
from workers.modelscli import models

TRAIN = ("torch", "monai", "onnx", "onnxscript", "yaml")
"""Packages of the extra ``train`` that an import needs."""

LONGEST_S = 3600.0
"""Time after which an import is ended [s]."""


FolderArgument = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="MONAI bundle, unpacked."),
]


@models.command("import")
def import_command(
    folder: FolderArgument,
    *,
    manifest: Annotated[
        Path,
        typer.Option(
            "--manifest", metavar="FILE", exists=True, dir_okay=False, help="What the site says."
        ),
    ],
    sample: Annotated[
        Path,
        typer.Option(
            "--sample", metavar="PATH", exists=True, help="One volume, as NIfTI or DICOM."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", metavar="DIR", file_okay=False, help="Folder of models."),
    ],
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="DIGEST",
            help="Digest of a bundle whose custom Python is trusted; may be repeated.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an analysis of a MONAI bundle, and prove it equal to MONAI's own inference.

    The bundle is refused if what it declares is not supported, or if its results differ on the
    sample. Needs the extra "train".

    Exit status: 0 imported, 2 refused, or unusable call.
    """
    from pipeline.console import printable

    with complaints():
        made = imported(folder, manifest, sample, output, allow or [])
    if as_json:
        typer.echo(json.dumps(made))
    else:
        typer.echo(printable(f"{made['analysis']}: {made['bundle']}, digest {made['digest']}"))
        typer.echo(printable(f"against MONAI's own inference: {json.dumps(made['compared'])}"))


def imported(
    folder: Path, manifest: Path, sample: Path, output: Path, allowed: list[str]
) -> dict[str, object]:
    """Import a bundle in a process of its own, and return what was made.

    Raises
    ------
    UnusableCall
        If the extra is missing, or the bundle is refused: with the reason.
    """
    missing = [name for name in TRAIN if find_spec(name) is None]
    if missing:
        raise UnusableCall(f"an import needs {', '.join(missing)}: pip install 'vesalius[train]'")
    # The current folder is no place for imports: a bundle's modules would be found there.
    command = [sys.executable, "-P", "-m", "models.importer", str(folder.absolute())]
    for name, path in (("manifest", manifest), ("sample", sample), ("output", output)):
        command += [f"--{name}", str(path.absolute())]
    for digest in allowed:
        command += ["--allow", digest]
    root = str(Path(__file__).parents[1])
    inherited = os.environ.get("PYTHONPATH")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([root, *([inherited] if inherited else [])])
    }
    try:
        done = subprocess.run(  # noqa: S603 - arguments are given one by one, without a shell
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise UnusableCall(f"{folder}: not imported within {LONGEST_S:g} s") from None
    if done.returncode != 0:
        told = done.stderr.strip().splitlines() or ["it ended without a reason"]
        raise UnusableCall(told[-1])
    made: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return made
