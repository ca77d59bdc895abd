"""The command that tells what a model is made of."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UnusableCall
from pipeline.options import (
    ConfigOption,
    LedgerOption,
    ModelsOption,
    complaints,
    ledger_place,
    site_configuration,
)
from workers.modelscli import models, registry_of

if TYPE_CHECKING:
    from pipeline.config import Configuration
    from pipeline.infer.bundle import Bundle


@models.command("sbom")
def sbom_command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="An installed model (perfusion), a version of the registry, or a folder.",
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", dir_okay=False, help="Where to."),
    ] = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
    models_path: ModelsOption = None,
) -> None:
    """Tell what a model is made of, as a CycloneDX 1.6 bill of materials.

    Files with their digests, the model card, data sets and licence, as the bundle states them.
    """
    from pipeline.manifest import serialised
    from pipeline.mlbom import ml_bom

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models_path)
        told = serialised(ml_bom(_bundle_named(name, settings)))
        if output is None:
            typer.echo(told.rstrip())
            return
        try:
            output.write_text(told, encoding="utf-8")
        except OSError as problem:
            raise UnusableCall(f"{output}: cannot be written ({problem.strerror})") from problem
    typer.echo(str(output), err=True)


def _bundle_named(name: str, settings: "Configuration") -> "Bundle":
    """Return the bundle of a folder, of an installed model, or of a version in the registry."""
    from pipeline.infer.bundle import find_bundle, load_bundle
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.versions import Versions
    from pipeline.perform import kinds_in

    if Path(name).is_dir():
        return load_bundle(Path(name))
    analysis, _, version = name.partition("@")
    if version in ("", "installed") and analysis in {kind.name for kind in kinds_in(settings)}:
        search = [settings.models.path] if settings.models.path else []
        return load_bundle(find_bundle(analysis, search))
    with Ledger.open(ledger_place(settings)) as ledger:
        found = Versions(ledger).named(name)
    return registry_of(settings).read(found.digest)
