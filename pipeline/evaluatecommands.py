"""The commands ``vesalius evaluate ...``: an analysis judged on labelled data.

What a command needs is imported when it runs, as in ``cli``.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UnusableCall
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    ModelsOption,
    complaints,
    site_configuration,
)
from pipeline.spread import separated, spreading

evaluate = typer.Typer(no_args_is_help=True, help="Judge an analysis on labelled series.")


@evaluate.command("perfusion")
def evaluate_perfusion_command(
    *,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", metavar="DIR", exists=True, file_okay=False, help="4-D NIfTI series."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="DIR", exists=True, file_okay=False, help="NAME_label.nii.gz."
        ),
    ] = None,
    cohort: Annotated[
        list[str] | None,
        typer.Option(
            "--cohort",
            metavar="NAME=IMAGES:LABELS",
            help="Instead of the two: a cohort with a name; may be repeated.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Folder for figures and a JSON file."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    models: ModelsOption = None,
) -> None:
    """Compare the perfusion analysis with labels: how a site accepts a model.

    Exit status: 0 all judged, 1 some series could not be judged, 2 unusable call.
    """
    from pipeline.analyses.perfusion.networks import open_pool, with_site_trust
    from pipeline.console import Reporter, printable
    from pipeline.evaluate.perfusion import evaluate_perfusion
    from pipeline.evaluate.table import table
    from pipeline.infer.bundle import find_bundle
    from pipeline.manifest import finite_object, serialised
    from pipeline.trust import load_trusted

    with complaints():
        settings = site_configuration(config, models=models)
        cohorts = _cohorts(images, labels, cohort or [])
        search = [settings.models.path] if settings.models.path else []
        pool = open_pool(load_trusted(find_bundle("perfusion", search), settings.models))
        pool = with_site_trust(pool, settings.perfusion)
        reporter = Reporter()
        with reporter.shown():
            found = {
                name: evaluate_perfusion(*folders, pool, settings.perfusion, reporter.counted)
                for name, folders in cohorts.items()
            }
    if report is not None:
        from pipeline.evaluate.report import write_report

        write_report(found, report)
    if as_json:
        all_of_it = {name: one.to_json() for name, one in found.items()}
        document = {"cohorts": all_of_it} if cohort else next(iter(all_of_it.values()))
        typer.echo(serialised(finite_object(document)).rstrip())
    else:
        for name, one in found.items():
            lines = ([f"cohort {name}"] if cohort else []) + table(one).splitlines()
            typer.echo("\n".join(printable(line) for line in lines))
    if any(one.not_judged for one in found.values()):
        raise typer.Exit(SOME_INPUT_FAILED)


@evaluate.command(
    "reconstruction", cls=spreading("--kspace", "--patterns", "--accelerations", "--against")
)
def evaluate_reconstruction_command(
    *,
    kspace: Annotated[
        list[Path],
        typer.Option("--kspace", metavar="FILE...", exists=True, help="Raw data, any format."),
    ],
    patterns: Annotated[
        list[str] | None,
        typer.Option("--patterns", metavar="NAME...", help="Patterns. Default: all."),
    ] = None,
    accelerations: Annotated[
        list[str] | None,
        typer.Option("--accelerations", metavar="R...", help="Default: 2, 4, 6, 8."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="METHOD...",
            help="zero-filled, varnet, bart, bart-tv. Default: the first two.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", metavar="DIR", help="For images of data without a truth."),
    ] = Path("evaluation"),
    config: ConfigOption = None,
    as_json: JsonOption = False,
    models: ModelsOption = None,
) -> None:
    """Undersample fully sampled raw data and compare reconstructions with the truth.

    Values of an option are separated by spaces or commas. Data that were measured undersampled have
    no truth: their residual in k-space is printed, and the images are written side by side. Exit
    status: 0 all judged, 1 some file could not be judged, 2 unusable call.
    """
    from pipeline.analyses.reconstruction.networks import open_networks
    from pipeline.console import Reporter, printable
    from pipeline.evaluatereconstruction import Task, evaluate_reconstruction
    from pipeline.infer.bundle import find_bundle
    from pipeline.manifest import finite_object, serialised
    from pipeline.trust import load_trusted

    with complaints():
        settings = site_configuration(config, models=models)
        chosen: dict[str, object] = {
            "patterns": separated(patterns or []),
            "accelerations": tuple(_number(a) for a in separated(accelerations or [])),
            "against": separated(against or []),
        }
        task = Task(
            files=tuple(kspace),
            output=output,
            **{name: values for name, values in chosen.items() if values},  # type: ignore[arg-type]
        )
        search = [settings.models.path] if settings.models.path else []
        bundle = load_trusted(find_bundle("reconstruction", search), settings.models)
        wanted = ("operator", *(["varnet"] if "varnet" in task.against else []))
        networks = {method: open_networks(bundle, method) for method in wanted}
        reporter = Reporter()
        with reporter.shown():
            found = evaluate_reconstruction(task, networks, reporter.counted)
    if as_json:
        typer.echo(serialised(finite_object(found.to_json())).rstrip())
    else:
        typer.echo("\n".join(printable(line) for line in found.table().splitlines()))
    if found.not_judged:
        raise typer.Exit(SOME_INPUT_FAILED)


@evaluate.command("phases", cls=spreading("--video", "--features", "--logits", "--only"))
def evaluate_phases_command(
    *,
    frames: Annotated[
        Path | None,
        typer.Option("--frames", metavar="DIR", exists=True, file_okay=False, help="Frames."),
    ] = None,
    video: Annotated[
        list[Path] | None,
        typer.Option("--video", metavar="FILE...", exists=True, help="Videos of any format."),
    ] = None,
    features: Annotated[
        list[Path] | None,
        typer.Option("--features", metavar="FILE.npz", exists=True, help="Instruments in sight."),
    ] = None,
    logits: Annotated[
        list[Path] | None,
        typer.Option(
            "--logits", metavar="FILE.npz", exists=True, help="Another encoder's outputs."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            exists=True,
            help="CSV with video, second, phase, file; or npz with videoNN_phase.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME...", help="Names, such as video41. Default: all."),
    ] = None,
    procedure: Annotated[
        str | None, typer.Option("--procedure", metavar="NAME", help="Default: as configured.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    models: ModelsOption = None,
) -> None:
    """Compare the phase analysis with labels, beside the trivial ways to do the same.

    From frames or video the whole analysis is judged. From another encoder's outputs
    (videoNN_logits), from instruments in sight (videoNN_tools) or from both, all but the encoder
    is. Exit status: 0 all judged, 1 some operation could not be judged, 2 unusable call.
    """
    from pipeline.analyses.phases.networks import open_phases
    from pipeline.console import Reporter, printable
    from pipeline.evaluatephases import evaluate_phases
    from pipeline.infer.bundle import find_bundle
    from pipeline.labelledphases import LabelledSource, read_labelled
    from pipeline.manifest import finite_object, serialised
    from pipeline.trust import load_trusted

    with complaints():
        settings = site_configuration(config, models=models)
        search = [settings.models.path] if settings.models.path else []
        bundle = load_trusted(find_bundle("phases", search), settings.models)
        networks = open_phases(bundle, procedure or settings.phases.procedure)
        source = LabelledSource(
            frames=frames,
            videos=tuple(video or []),
            outputs=(*(logits or []), *(features or [])),
            labels=labels,
            only=separated(only or []),
        )
        operations = read_labelled(source, networks.procedure, networks.model)
        reporter = Reporter()
        with reporter.shown():
            found = evaluate_phases(operations, networks, reporter.counted)
    if as_json:
        typer.echo(serialised(finite_object(found.to_json())).rstrip())
    else:
        typer.echo("\n".join(printable(line) for line in found.table().splitlines()))
    if found.not_judged:
        raise typer.Exit(SOME_INPUT_FAILED)


def _cohorts(
    images: Path | None, labels: Path | None, named: list[str]
) -> dict[str, tuple[Path, Path]]:
    """Return the folders of images and labels of each cohort, by its name.

    Raises
    ------
    UnusableCall
        If neither or both ways to name them are used, a name is used twice, or a folder is missing.
    """
    if named and (images or labels):
        raise UnusableCall("--cohort stands in the place of --images and --labels")
    if not named:
        if images is None or labels is None:
            raise UnusableCall("--images and --labels are needed, or --cohort")
        return {"series": (images, labels)}
    found: dict[str, tuple[Path, Path]] = {}
    for text in named:
        name, equals, folders = text.partition("=")
        first, colon, second = folders.partition(":")
        if not (name and equals and first and colon and second) or name in found:
            raise UnusableCall(f"--cohort {text}: needed is NAME=IMAGES:LABELS, each name once")
        for folder in (Path(first), Path(second)):
            if not folder.is_dir():
                raise UnusableCall(f"--cohort {name}: {folder} is no folder")
        found[name] = (Path(first), Path(second))
    return found


def _number(text: str) -> float:
    """Return a number of the command line.

    Raises
    ------
    UnusableCall
        If it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise UnusableCall(f"{text!r} is not a number") from None
