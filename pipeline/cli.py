"""The command ``vesalius``.

What a command needs is imported when it runs, so that ``--help`` answers at once. Exit status: 0
all done, 1 some input failed, 2 unusable call, 130 interrupted. Standard output holds the result,
one JSON object with ``--json``; all else goes to standard error.
"""

import json
import logging
import signal
import sys
import traceback
import warnings
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated
from uuid import UUID

import typer

from pipeline import __version__
from pipeline.calibratecommands import calibrate
from pipeline.errors import UnusableCall
from pipeline.evaluatecommands import evaluate
from pipeline.imports import in_one_go
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    RulesOption,
    complaints,
    ledger_place,
    names_bundles,
    site_configuration,
    site_rules,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Medical-imaging inference: DICOM in, analyses, DICOM out. Research use only.",
)
ledger = typer.Typer(no_args_is_help=True, help="Look after the ledger.")
app.add_typer(calibrate, name="calibrate")
app.add_typer(evaluate, name="evaluate")
app.add_typer(ledger, name="ledger")


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
    context: typer.Context,
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
    with in_one_go():
        from pipeline.console import Reporter, summary
        from pipeline.ingest.reference import read_reference
        from pipeline.inservice import InService
        from pipeline.ledger.ledger import Ledger
        from pipeline.manifest import MANIFEST, serialised
        from pipeline.perform import open_analyses
        from pipeline.run import RunRequest, run

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url, models=models)
        given = read_reference(reference, state or [])
        reporter = Reporter()
        with Ledger.open(ledger_place(settings)) as opened:
            # A bundle that the call names is meant, whatever the registry says.
            service = None if names_bundles(context) else InService(opened, settings)
            names = analysis or []
            request = RunRequest(
                inputs=tuple(inputs),
                output=output,
                analyses=service.analyses(names) if service else open_analyses(names, settings),
                again=again,
                reference=given,
                drift=settings.drift,
                service=service,
            )
            with reporter.shown():
                manifest = run(request, opened, reporter)
    where = str(output / MANIFEST)
    typer.echo(serialised(manifest.to_json()).rstrip() if as_json else summary(manifest, where))
    if manifest.failed:
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command("reserve")
def reserve_command(
    jobs: Annotated[
        list[UUID] | None,
        typer.Argument(metavar="[JOB]...", help="Perfusion jobs. Default: all of the ledger."),
    ] = None,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Make what the rest and the stress series of studies say together; runs do it by themselves.

    Exit status: 0 all done, 1 some could not be made, 2 unusable call.
    """
    from pipeline.console import headline, printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.pairs import jobs_with_a_state
    from pipeline.manifest import finite_object, serialised
    from pipeline.reserve import make_reserves

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as opened:
            made = make_reserves(jobs or jobs_with_a_state(opened), opened)
    if as_json:
        typer.echo(serialised(finite_object({"jobs": [e.to_json() for e in made]})).rstrip())
    else:
        for entry in made:
            typer.echo(printable(f"{entry.job_id} {headline(entry)}"))
    if any(entry.failure for entry in made):
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command("route")
def route_command(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Files, folders or a DICOMDIR.")
    ],
    *,
    rules: RulesOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    models: ModelsOption = None,
) -> None:
    """Tell what the routing rules would do with inputs, and why; nothing is done.

    Exit status: 0 all told, 1 some input was refused, 2 unusable call.
    """
    from pipeline.console import printable
    from pipeline.manifest import serialised
    from pipeline.perform import open_analyses
    from pipeline.preview import preview
    from pipeline.routing.told import told_preview

    with complaints():
        settings = site_configuration(config, models=models)
        analyses = open_analyses([], settings)
        read = site_rules(rules, settings)
        if read is None:
            raise UnusableCall("no rules: give --rules, or set routing.rules")
        found = preview(inputs, analyses, read)
    if as_json:
        typer.echo(serialised(found.to_json()).rstrip())
    else:
        for line in told_preview(found.to_json()):
            typer.echo(printable(line))
    if found.refusals:
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command("stream")
def stream_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Video file, camera (/dev/video0), URL (rtsp, udp, ...), or - for standard input.",
        ),
    ],
    *,
    fast: Annotated[
        bool, typer.Option("--fast", help="Play a file as fast as it goes, not at its own pace.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="Save the state here, and go on from it."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--serve",
            metavar="PORT",
            min=0,
            max=65535,
            help="Serve /state and /events on the loopback interface; 0 takes any free port.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a second and no text.")
    ] = False,
    models: ModelsOption = None,
) -> None:
    """Follow an operation on video: present phase, confidence, what is expected next.

    Exit status: 0 the source has ended, 2 unusable call.
    """
    from contextlib import nullcontext

    from pipeline.analyses.phases.networks import open_phases
    from pipeline.analyses.phases.result import StepResult
    from pipeline.infer.bundle import find_bundle
    from pipeline.stream import StreamRequest, follow, second_line, second_values
    from pipeline.streamserver import Broadcast, served
    from pipeline.trust import load_trusted

    with complaints():
        settings = site_configuration(config, models=models)
        search = [settings.models.path] if settings.models.path else []
        bundle = load_trusted(find_bundle("phases", search), settings.models)
        networks = open_phases(bundle, settings.phases.procedure)
        broadcast = Broadcast()
        with nullcontext() if port is None else served(broadcast, port) as opened:
            if opened is not None:
                typer.echo(f"http://127.0.0.1:{opened}/state", err=True)

            def told(result: StepResult) -> None:
                values = second_values(result)
                broadcast.tell(values)
                typer.echo(json.dumps(values) if as_json else second_line(result, networks))

            request = StreamRequest(source=source, state=state, at_own_pace=not fast)
            latency = follow(request, networks, told)
    typer.echo(
        f"{latency.n_pictures} pictures, latency p50 {latency.p50_ms:.1f} ms, "
        f"p99 {latency.p99_ms:.1f} ms",
        err=True,
    )


@app.command("demo-study")
def demo_study_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files.")],
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another heart.")] = 1,
    dual: Annotated[
        bool, typer.Option("--dual", help="Rest and stress, by a dual sequence (docs/flow.md).")
    ] = False,
    dose: Annotated[
        float | None,
        typer.Option("--dose", min=0.1, max=5.0, help="With --dual, of the bolus; 2 is clipped."),
    ] = None,
) -> None:
    """Generate a perfusion study of a numerical phantom as classic DICOM."""
    from pipeline.demo import write_dual_study, write_study
    from pipeline.phantom import perfusion_phantom
    from pipeline.phantom.pair import dual_pair

    with complaints():
        if dose is not None and not dual:
            raise UnusableCall("--dose is of a study with --dual")
        if dual:
            pair = dual_pair(seed, dose or 1.0)
            paths = write_dual_study(pair, folder, name=f"demonstration {seed}")
            flows = pair.rest.mean_flow, pair.stress.mean_flow
            typer.echo("flow of the wall: rest {:.2f}, stress {:.2f} ml/min/g".format(*flows))
        else:
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

    with complaints():
        path = write_raw(folder, seed)
    typer.echo(f"{path.name} in {folder}")


@app.command("demo-video")
def demo_video_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files.")],
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, other videos.")] = 1,
) -> None:
    """Generate an operation on video, as MP4 and as a DICOM object."""
    from pipeline.demovideo import write_video

    with complaints():
        paths = write_video(folder, seed)
    typer.echo(f"{', '.join(path.name for path in paths)} in {folder}")


@ledger.command("migrate")
def migrate_command(*, config: ConfigOption = None, ledger_url: LedgerOption = None) -> None:
    """Bring the ledger's tables to this version. A SQLite ledger is whenever it is opened."""
    from pipeline.ledger.database import migrate_database, parse_url

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        url = parse_url(ledger_place(settings))
        migrate_database(url)
    typer.echo(f"{url.render_as_string(hide_password=True)} is up to date")


def main() -> None:
    """Run the command: what the script ``vesalius`` calls."""
    _keep_others_quiet()
    sys.excepthook = _show_no_values
    signal.signal(signal.SIGTERM, _interrupt)
    typer.main.get_command(app)(prog_name="vesalius")


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
