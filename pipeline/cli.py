"""The command ``vesalius``.

What a command needs is imported when it runs, so that ``--help`` answers at once. Exit status: 0
all done, 1 some input failed, 2 unusable call, 130 interrupted. Standard output holds the result,
one JSON object with ``--json``; all else goes to standard error.
"""

import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.config import Configuration, LedgerSettings, ModelSettings, read_configuration
from pipeline.errors import PipelineError, UnusableCall
from pipeline.spread import separated, spreading

SOME_INPUT_FAILED, UNUSABLE_CALL = 1, 2
"""Exit statuses."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Medical-imaging inference: DICOM in, analyses, DICOM out. Research use only.",
)
evaluate = typer.Typer(no_args_is_help=True, help="Judge an analysis on labelled series.")
ledger = typer.Typer(no_args_is_help=True, help="Look after the ledger.")
app.add_typer(evaluate, name="evaluate")
app.add_typer(ledger, name="ledger")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings of the site.")
]
LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="URL",
        envvar="VESALIUS_LEDGER",
        help="Ledger: path of a SQLite file, or URL. Default: the user's own.",
    ),
]
ModelsOption = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="DIR",
        envvar="VESALIUS_MODELS",
        help="A bundle, or a folder with ANALYSIS/bundle. Default: the installed models.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and no text.")]


@app.callback(invoke_without_command=True)
def root(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Medical-imaging inference: DICOM in, analyses, DICOM out. Research use only."""
    if version:
        typer.echo(f"vesalius {__version__}")
        raise typer.Exit


@app.command("run")
def run_command(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Files, folders or a DICOMDIR.")
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="Folder for the results.")
    ],
    analysis: Annotated[
        list[str] | None,
        typer.Option("--analysis", metavar="NAME", help="Analysis; may be repeated. Default: all."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            metavar="PATH",
            exists=True,
            help="DICOM series of the examination that raw data belong to.",
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="KEYWORD=VALUE",
            help="Attribute of raw data, such as PatientID or StudyInstanceUID; may be repeated.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    again: Annotated[
        bool, typer.Option("--again", help="Compute also what the ledger says is done.")
    ] = False,
    ledger_url: LedgerOption = None,
    models: ModelsOption = None,
) -> None:
    """Analyse what is found in the inputs and write the results.

    Exit status: 0 all done, 1 some input failed, 2 unusable call.
    """
    from pipeline.console import Reporter, summary
    from pipeline.ingest.reference import read_reference
    from pipeline.ledger.ledger import Ledger
    from pipeline.manifest import MANIFEST, serialised
    from pipeline.perform import open_analyses
    from pipeline.run import RunRequest, run

    with _complaints():
        settings = _configuration(config, ledger_url=ledger_url, models=models)
        analyses = open_analyses(analysis or [], settings)
        request = RunRequest(
            inputs=tuple(inputs),
            output=output,
            analyses=analyses,
            again=again,
            reference=read_reference(reference, state or []),
        )
        reporter = Reporter()
        with Ledger.open(_ledger_place(settings)) as opened, reporter.shown():
            manifest = run(request, opened, reporter)
    where = str(output / MANIFEST)
    typer.echo(serialised(manifest.to_json()).rstrip() if as_json else summary(manifest, where))
    if manifest.failed:
        raise typer.Exit(SOME_INPUT_FAILED)


@evaluate.command("perfusion")
def evaluate_perfusion_command(
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
    config: ConfigOption = None,
    as_json: JsonOption = False,
    models: ModelsOption = None,
) -> None:
    """Compare the perfusion analysis with labels: how a site accepts a model.

    Exit status: 0 all judged, 1 some series could not be judged, 2 unusable call.
    """
    from pipeline.analyses.perfusion.networks import open_pool
    from pipeline.console import Reporter, printable
    from pipeline.evaluate import evaluate_perfusion
    from pipeline.infer.bundle import find_bundle, load_bundle
    from pipeline.manifest import finite_object, serialised

    with _complaints():
        settings = _configuration(config, models=models)
        search = [settings.models.path] if settings.models.path else []
        pool = open_pool(load_bundle(find_bundle("perfusion", search)))
        reporter = Reporter()
        with reporter.shown():
            found = evaluate_perfusion(images, labels, pool, settings.perfusion, reporter.counted)
    if as_json:
        typer.echo(serialised(finite_object(found.to_json())).rstrip())
    else:
        typer.echo("\n".join(printable(line) for line in found.table().splitlines()))
    if found.not_judged:
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
    from pipeline.infer.bundle import find_bundle, load_bundle
    from pipeline.manifest import finite_object, serialised

    with _complaints():
        settings = _configuration(config, models=models)
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
        bundle = load_bundle(find_bundle("reconstruction", search))
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
    from pipeline.infer.bundle import find_bundle, load_bundle
    from pipeline.labelledphases import LabelledSource, read_labelled
    from pipeline.manifest import finite_object, serialised

    with _complaints():
        settings = _configuration(config, models=models)
        search = [settings.models.path] if settings.models.path else []
        bundle = load_bundle(find_bundle("phases", search))
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


@app.command("demo-study")
def demo_study_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files.")],
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another heart.")] = 1,
) -> None:
    """Generate a perfusion study of a numerical phantom as classic DICOM."""
    from pipeline.demo import write_study
    from pipeline.phantom import perfusion_phantom

    with _complaints():
        paths = write_study(perfusion_phantom(seed).image, folder, name=f"demonstration {seed}")
    typer.echo(f"{len(paths)} files in {folder}")


@app.command("demo-raw")
def demo_raw_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the file.")],
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another heart.")] = 1,
) -> None:
    """Generate undersampled raw data of a numerical phantom as a NumPy file."""
    from pipeline.demoraw import write_raw

    with _complaints():
        path = write_raw(folder, seed)
    typer.echo(f"{path.name} in {folder}")


@ledger.command("migrate")
def migrate_command(*, config: ConfigOption = None, ledger_url: LedgerOption = None) -> None:
    """Bring the ledger's tables to this version. A SQLite ledger is whenever it is opened."""
    from pipeline.ledger.database import migrate_database, parse_url

    with _complaints():
        settings = _configuration(config, ledger_url=ledger_url)
        url = parse_url(_ledger_place(settings))
        migrate_database(url)
    typer.echo(f"{url.render_as_string(hide_password=True)} is up to date")


def main() -> None:
    """Run the command: what the script ``vesalius`` calls."""
    _keep_others_quiet()
    sys.excepthook = _show_no_values
    signal.signal(signal.SIGTERM, _interrupt)
    typer.main.get_command(app)(prog_name="vesalius")


def _configuration(
    path: Path | None, *, ledger_url: str | None = None, models: Path | None = None
) -> Configuration:
    """Return the site's settings; what the call or the environment names goes before."""
    settings = read_configuration(path)
    if ledger_url:
        settings = replace(settings, ledger=LedgerSettings(url=ledger_url))
    if models:
        settings = replace(settings, models=ModelSettings(path=models))
    return settings


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


def _ledger_place(settings: Configuration) -> str:
    """Return where the ledger is: as set, or the user's own."""
    from platformdirs import user_state_path

    return settings.ledger.url or str(user_state_path("vesalius", appauthor=False) / "ledger.db")


@contextmanager
def _complaints() -> Iterator[None]:
    """End an unusable call with its reason."""
    try:
        yield
    except PipelineError as problem:
        from pipeline.console import printable

        typer.echo(printable(f"vesalius: {problem}"), err=True)
        raise typer.Exit(UNUSABLE_CALL) from None


def _keep_others_quiet() -> None:
    """Show no warning and no log line but the pipeline's own: others' may quote a data set."""
    warnings.simplefilter("ignore")
    handler = logging.StreamHandler()
    handler.addFilter(logging.Filter("pipeline"))
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(message)s", handlers=[handler]
    )


def _show_no_values(
    kind: type[BaseException], _: BaseException, trace: TracebackType | None
) -> None:
    """Report a defect by its place in the code; its message may quote a data set."""
    lines = traceback.format_tb(trace)
    typer.echo("".join(lines) + f"vesalius: unexpected {kind.__name__}; please report it", err=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Treat a request to end like Ctrl-C, so that working folders are removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
