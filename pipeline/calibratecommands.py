"""The commands ``vesalius calibrate ...``: an analysis fitted to a site's own labelled data.

What a command needs is imported when it runs, as in ``cli``.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    ModelsOption,
    complaints,
    site_configuration,
)

calibrate = typer.Typer(no_args_is_help=True, help="Fit an analysis to a site's labelled series.")


@calibrate.callback()
def _group() -> None:
    """Fit an analysis to a site's labelled series."""


@calibrate.command("perfusion")
def calibrate_perfusion_command(
    *,
    images: Annotated[
        Path,
        typer.Option(
            "--images", metavar="DIR", exists=True, file_okay=False, help="4-D NIfTI series."
        ),
    ],
    labels: Annotated[
        Path,
        typer.Option(
            "--labels", metavar="DIR", exists=True, file_okay=False, help="NAME_label.nii.gz."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="For [perfusion] trust.")
    ] = Path("trust.json"),
    most_failures: Annotated[
        float, typer.Option("--most-failures", help="Share of failures among trusted patients.")
    ] = 0.1,
    confidence: Annotated[
        float, typer.Option("--confidence", help="Probability with which it is kept below.")
    ] = 0.9,
    config: ConfigOption = None,
    models: ModelsOption = None,
) -> None:
    """Find up to which score a segmentation is trusted, on labelled series of the site.

    The series are drawn by chance from those that the analysis is for: docs/trust.md. Exit status:
    0 all judged, 1 some series could not be judged, 2 unusable call.
    """
    from pipeline.analyses.perfusion.networks import open_pool
    from pipeline.analyses.perfusion.trust import trust_document
    from pipeline.console import Reporter
    from pipeline.evaluate.calibrate import calibrate_on, told
    from pipeline.infer.bundle import find_bundle, load_bundle
    from pipeline.manifest import serialised

    goal = (most_failures, confidence)
    with complaints():
        settings = site_configuration(config, models=models)
        search = [settings.models.path] if settings.models.path else []
        pool = open_pool(load_bundle(find_bundle("perfusion", search)))
        reporter = Reporter()
        with reporter.shown():
            model, found = calibrate_on(
                (images, labels), (pool, settings.perfusion), goal, reporter.counted
            )
    output.write_text(serialised(trust_document(model)), encoding="utf-8")
    typer.echo(told(model, goal))
    for name, why in found.not_judged.items():
        typer.echo(f"not judged: {name}: {why}")
    if found.not_judged:
        raise typer.Exit(SOME_INPUT_FAILED)
