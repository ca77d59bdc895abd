"""Commands on the versions of models: what a site has, and what each does."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app
from pipeline.errors import BundleRejected, UnusableCall
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    ModelsOption,
    complaints,
    ledger_place,
    site_configuration,
)

if TYPE_CHECKING:
    from pipeline.config import Configuration
    from pipeline.infer.bundle import Bundle
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.versions import Version
    from pipeline.registry.store import Registry

models = typer.Typer(help="Versions of models: what a site has, and what each does.")
app.add_typer(models, name="models")

VersionArgument = Annotated[
    str,
    typer.Argument(metavar="VERSION", help="perfusion@1.2.0, or the first digits of a digest."),
]


@models.command("list")
def list_command(
    *,
    analysis: Annotated[
        str | None, typer.Option("--analysis", metavar="NAME", help="Only of this analysis.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """List the versions in the registry."""
    from pipeline.console import printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.versions import Versions
    from pipeline.manifest import serialised

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as ledger:
            found = Versions(ledger).listed(analysis)
    if as_json:
        typer.echo(serialised({"versions": [version.to_json() for version in found]}).rstrip())
        return
    for version in found:
        typer.echo(printable(_line(version)))
    if not found:
        typer.echo("no versions in the registry: the installed bundles do the studies")


@models.command("show")
def show_command(
    version: VersionArgument,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Tell all of a version: its role, its files, what it was promoted on."""
    from pipeline.console import printable
    from pipeline.ledger import audit
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.versions import Versions
    from pipeline.manifest import serialised

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as ledger:
            found = Versions(ledger).named(version)
            bundle = registry_of(settings).read(found.digest)
            events = [
                event
                for event in audit.entries(ledger, audit.Sought(subject=f"model {found.label}"))
                if event.audited.detail.get("digest") == found.digest
            ]
    told: dict[str, object] = {
        **found.to_json(),
        "folder": str(bundle.folder),
        "task": bundle.metadata.task,
        "description": bundle.metadata.description,
        "networks": {network.name: network.sha256 for network in bundle.networks},
        "events": [event.to_json() for event in events],
    }
    if as_json:
        typer.echo(serialised(told).rstrip())
        return
    typer.echo(printable(_line(found)))
    for key in ("digest", "folder", "task", "description"):
        typer.echo(printable(f"{key:12} {told[key]}"))
    for network in bundle.networks:
        typer.echo(printable(f"{network.name:12} {network.sha256}"))
    for event in events:
        done = event.audited
        typer.echo(printable(f"{event.at.isoformat()}  {done.action}  {done.actor}"))


@models.command("verify")
def verify_command(
    versions: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VERSION|FOLDER...]", help="Default: all of the registry."),
    ] = None,
    *,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Read every byte of bundles, and tell which are whole, and whose signature they have.

    A version is one of the registry; a folder is a bundle that is not in it.

    Exit status: 0 all may do work here, 1 one may not, 2 unusable call.
    """
    from pipeline.console import printable
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.versions import Versions
    from pipeline.trust import load_trusted

    broken = 0
    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        folders = [Path(name) for name in versions or () if Path(name).is_dir()]
        named = [name for name in versions or () if not Path(name).is_dir()]
        chosen: Sequence[Version] = ()
        if named or not folders:
            with Ledger.open(ledger_place(settings)) as ledger:
                known = Versions(ledger)
                chosen = [known.named(name) for name in named] or known.listed()
        for version in chosen:
            loading = partial(registry_of(settings).load, version.digest)
            wrong, told = _judged(loading, settings)
            broken += wrong
            typer.echo(printable(f"{version.label}  {version.digest[:12]}  {told}"))
        for folder in folders:
            wrong, told = _judged(partial(load_trusted, folder, settings.models), settings)
            broken += wrong
            typer.echo(printable(f"{folder}  {told}"))
    if broken:
        raise typer.Exit(SOME_INPUT_FAILED)


@models.command("enable")
def enable_command(
    version: VersionArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Let a version be given work, or take away its work as a shadow or canary."""
    from pipeline.ledger.versions import Versions

    _change(
        (version, config, ledger_url),
        lambda ledger, found, actor: Versions(ledger).enable(found.digest, actor),
    )


@models.command("retire")
def retire_command(
    version: VersionArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Give a version no work any more; what it has done stays reproducible."""
    from pipeline.ledger.versions import Versions

    _change(
        (version, config, ledger_url),
        lambda ledger, found, actor: Versions(ledger).retire(found.digest, actor),
        needs_files=False,
    )


@models.command("shadow")
def shadow_command(
    version: VersionArgument, *, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Have a version do the studies beside live; nothing of it is delivered."""
    from pipeline.ledger.versions import Versions

    _change(
        (version, config, ledger_url),
        lambda ledger, found, actor: Versions(ledger).shadow(found.digest, actor),
    )


@models.command("canary")
def canary_command(
    version: VersionArgument,
    *,
    share: Annotated[
        float, typer.Option("--share", metavar="SHARE", help="Share of the studies, 0 to 1.")
    ],
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Have a version do a share of the studies instead of live; a study's always goes one way."""
    from pipeline.ledger.versions import Versions

    _change(
        (version, config, ledger_url),
        lambda ledger, found, actor: Versions(ledger).canary(found.digest, share, actor),
    )


@models.command("promote")
def promote_command(
    version: VersionArgument,
    *,
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence",
            metavar="verdict.json",
            help="Verdict of vesalius compare on what is live and this version.",
        ),
    ] = None,
    anyway: Annotated[
        str | None,
        typer.Option("--anyway", metavar="REASON", help="Without one; the audit log tells why."),
    ] = None,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
    models_path: ModelsOption = None,
) -> None:
    """Make a version live; the one that was is remembered for a rollback."""
    from pipeline.ledger.versions import Versions

    with complaints():
        if (evidence is None) == (anyway is None):
            raise UnusableCall("give --evidence with a passing verdict, or --anyway with a reason")
        settings = site_configuration(config, ledger_url=ledger_url, models=models_path)

    def promote(ledger: "Ledger", found: "Version", actor: str) -> "Version":
        why = {"anyway": anyway} if evidence is None else _proven(evidence, found, settings, ledger)
        return Versions(ledger).promote(found.digest, actor, why)

    _change((version, config, ledger_url), promote)


@models.command("rollback")
def rollback_command(
    analysis: Annotated[str, typer.Argument(metavar="ANALYSIS", help="Name of the analysis.")],
    *,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Make live again what was live before the version that is."""
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.versions import Versions
    from pipeline.owner import this_person

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as ledger:
            versions = Versions(ledger)
            before = next((v.before for v in versions.listed(analysis) if v.role == "live"), None)
            if before is not None:
                check_usable(registry_of(settings), versions.named(before), ledger)
            back = versions.rollback(analysis, this_person())
    if back is None:
        typer.echo(f"{analysis}: the installed bundle does the studies")
    else:
        tell(back)


def _proven(
    evidence: Path, version: "Version", settings: "Configuration", ledger: "Ledger"
) -> dict[str, object]:
    """Return what a verdict says for a promotion."""
    from pipeline.compare.named import LIVE, analysis_named
    from pipeline.compare.verdict import check_evidence

    live = analysis_named(f"{version.analysis}@{LIVE}", settings, ledger)
    return check_evidence(evidence, (live.bundle.digest, version.digest), settings.compare)


def _change(
    asked: tuple[str, Path | None, str | None],
    change: "Callable[[Ledger, Version, str], Version]",
    *,
    needs_files: bool = True,
) -> None:
    """Change what a version does, after reading every byte of it if it is to work."""
    from pipeline.ledger.ledger import Ledger
    from pipeline.ledger.versions import Versions
    from pipeline.owner import this_person

    name, config, ledger_url = asked
    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as ledger:
            found = Versions(ledger).named(name)
            if needs_files:
                check_usable(registry_of(settings), found, ledger)
            version = change(ledger, found, this_person())
    tell(version)


def check_usable(registry: "Registry", version: "Version", ledger: "Ledger") -> None:
    """Read every byte of a version that is to work; that one was refused is told to the audit log.

    Raises
    ------
    BundleRejected
        If it is not whole, or not signed as the site demands.
    """
    from pipeline.ledger.refusals import Refusal, record_refusal
    from pipeline.owner import this_person

    try:
        registry.load(version.digest)
    except BundleRejected as problem:
        refusal = Refusal(
            model=version.label, digest=version.digest, tried="work", reason=str(problem)
        )
        record_refusal(ledger, refusal, this_person())
        raise


def registry_of(settings: "Configuration") -> "Registry":
    """Return the registry of a site."""
    from pipeline.registry.store import Registry

    if settings.models.registry is None:
        raise UnusableCall("no registry: set models.registry")
    return Registry(root=settings.models.registry, models=settings.models)


def _judged(load: "Callable[[], Bundle]", settings: "Configuration") -> tuple[bool, str]:
    """Return whether a bundle may not do work here, and what is said of it."""
    from pipeline.trust import check_signature, signature_of

    try:
        bundle = load()
        key, said = check_signature(bundle, settings.models), signature_of(bundle.folder)
    except BundleRejected as problem:
        return True, str(problem)
    if key is not None:
        return False, f"whole, signed by key {key}"
    if said is not None:
        return False, f"whole, a signature by key {said.key_id}, which is not known here"
    return False, "whole, not signed"


def tell(version: "Version") -> None:
    """Tell where a version stands."""
    from pipeline.console import printable

    typer.echo(printable(_line(version)))


def _line(version: "Version") -> str:
    """Return a version as a line."""
    share = "" if version.share is None else f" {version.share:.0%}"
    role = f"{version.role.value}{share}"
    return f"{version.label:24} {version.digest[:12]}  {role:12} {version.name}"
