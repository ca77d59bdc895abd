"""The command that takes in a model: one of ours, or a MONAI bundle by a manifest."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UnusableCall
from pipeline.options import (
    ConfigOption,
    JsonOption,
    LedgerOption,
    complaints,
    ledger_place,
    site_configuration,
)
from workers.modelscli import models, registry_of, tell

TRAIN = ("torch", "monai", "onnx", "onnxscript", "yaml")
"""Packages of the extra ``train`` that an import needs."""

LONGEST_S = 3600.0
"""Time after which an import is ended [s]."""


@models.command("import")
def import_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a bundle, unpacked.")],
    *,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="For a MONAI bundle: what the site says of it.",
        ),
    ] = None,
    sample: Annotated[
        Path | None,
        typer.Option(
            "--sample", metavar="PATH", exists=True, help="One volume for it, as NIfTI or DICOM."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="DIR",
            file_okay=False,
            help="Folder of models that it is written to. Default: the registry.",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="DIGEST",
            help="Digest of a bundle whose custom Python is trusted; may be repeated.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Copy a bundle into the registry; it does nothing until it is enabled and given a role.

    A MONAI bundle becomes an analysis by a manifest first: it is refused if what it declares is not
    supported, or if its results differ from MONAI's own on the sample. Needs the extra "train".

    Exit status: 0 imported, 2 refused, or unusable call.
    """
    from tempfile import TemporaryDirectory

    with complaints():
        if not folder.is_dir():
            raise UnusableCall(f"{folder}: no such folder")
        if manifest is None:
            if sample or output or allow:
                raise UnusableCall("--sample, --output and --allow go with --manifest")
            _admit(folder, config, ledger_url, as_json=as_json)
            return
        if sample is None:
            raise UnusableCall("an import by a manifest needs --sample: one volume")
        with TemporaryDirectory() as passing:
            made = imported(folder, manifest, sample, output or Path(passing), allow or [])
            _told(made, as_json=as_json and output is not None)
            if output is None:
                place = Path(passing) / str(made["analysis"]) / "bundle"
                _admit(place, config, ledger_url, as_json=as_json)


def _told(made: dict[str, object], *, as_json: bool) -> None:
    """Tell what was made of a MONAI bundle."""
    from pipeline.console import printable

    if as_json:
        typer.echo(json.dumps(made))
        return
    for told in (
        f"{made['analysis']}: {made['bundle']}, digest {made['digest']}",
        f"against MONAI's own inference: {json.dumps(made['compared'])}",
    ):
        typer.echo(printable(told), err=True)


def _admit(folder: Path, config: Path | None, ledger_url: str | None, *, as_json: bool) -> None:
    """Take a bundle into the registry, and tell where it stands."""
    from pipeline.admit import admit
    from pipeline.ledger.ledger import Ledger
    from pipeline.owner import this_person

    settings = site_configuration(config, ledger_url=ledger_url)
    with Ledger.open(ledger_place(settings)) as ledger:
        version = admit(folder, registry_of(settings), ledger, this_person())
    if as_json:
        typer.echo(json.dumps(version.to_json()))
    else:
        tell(version)


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
