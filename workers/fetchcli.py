"""Commands that ask other systems, and fetch studies from them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import app
from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import UnusableCall
from pipeline.options import (
    SOME_INPUT_FAILED,
    ConfigOption,
    JsonOption,
    LedgerOption,
    complaints,
    ledger_place,
    site_configuration,
)
from workers.options import inbox_folder

if TYPE_CHECKING:
    from pipeline.analysis import Priors
    from pipeline.fetch import Fetched, Keeper, Source
    from pipeline.gateways.found import Found, Level, Query

NodeArgument = Annotated[
    str, typer.Argument(metavar="NODE", help="Name of the archive in [nodes] of the settings.")
]
StudyOption = Annotated[
    str | None, typer.Option("--study", metavar="UID", help="Study Instance UID.")
]
AccessionOption = Annotated[str | None, typer.Option("--accession", help="Accession number.")]
PatientOption = Annotated[str | None, typer.Option("--patient", help="Patient ID.")]
DateOption = Annotated[
    str | None,
    typer.Option("--date", help="Study date: YYYYMMDD, or a range YYYYMMDD-YYYYMMDD."),
]
ModalityOption = Annotated[str | None, typer.Option("--modality", help="Such as MR.")]
DescriptionOption = Annotated[
    str | None, typer.Option("--description", help="Study description; * and ? are wild cards.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="How many at most.")]


@app.command("nodes")
def nodes_command(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Ask each node of the settings whether it is there.

    Exit status: 0 all are, 1 one is not, 2 unusable call.
    """
    from pipeline.gateways.reach import reach

    with complaints():
        settings = site_configuration(config)
        answers = reach(settings.nodes, settings)
    if as_json:
        _print_json({"nodes": [one.to_json() for one in answers]})
    else:
        for one in answers:
            _print(f"{one.node:16} {one.by:8} " + (one.problem or f"{one.ms:.0f} ms"))
        if not answers:
            _print("no nodes in the settings")
    if any(one.problem for one in answers):
        raise typer.Exit(SOME_INPUT_FAILED)


@app.command("query")
def query_command(
    node: NodeArgument,
    *,
    study: StudyOption = None,
    accession: AccessionOption = None,
    patient: PatientOption = None,
    date: DateOption = None,
    modality: ModalityOption = None,
    description: DescriptionOption = None,
    level: Annotated[
        str, typer.Option("--level", help="What is listed: study, series or image.")
    ] = "study",
    limit: LimitOption = 100,
    show_accession: Annotated[
        bool, typer.Option("--show-accession", help="With accession numbers.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what an archive has. No name and no number of a patient is shown."""
    from dataclasses import replace

    from pipeline.gateways.query import query

    with complaints():
        settings = site_configuration(config)
        wanted = _selection(
            study=study,
            accession=accession,
            patient=patient,
            dates=date,
            modality=modality,
            description=description,
            limit=limit,
        )
        wanted = replace(wanted, level=_level(level))
        answers = query(_node(node, settings), wanted, settings)
        _audit(ledger_place(settings), node, len(answers))
    if as_json:
        _print_json({"found": [one.to_json(accession=show_accession) for one in answers]})
        return
    for one in answers:
        _print(_line(one, accession=show_accession))
    told = ", there may be more: --limit" if len(answers) == limit else ""
    _print(f"{len(answers)} found{told}", err=True)


@app.command("fetch")
def fetch_command(
    node: NodeArgument,
    *,
    study: StudyOption = None,
    accession: AccessionOption = None,
    patient: PatientOption = None,
    date: DateOption = None,
    modality: ModalityOption = None,
    description: DescriptionOption = None,
    limit: LimitOption = None,
    priors_of: Annotated[
        str | None,
        typer.Option("--priors-of", metavar="UID", help="Earlier studies of the same patient."),
    ] = None,
    priors: Annotated[int, typer.Option("--priors", min=1, help="How many of those.")] = 1,
    within_days: Annotated[
        int | None, typer.Option("--within-days", min=1, help="How much older those may be.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", help="wado, get or move. Default: the best that the node has."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be fetched, and fetch nothing.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Fetch studies into the inbox; instances that are there are not fetched again.

    Exit status: 0 all are there, 1 some are not, 2 unusable call.
    """
    from pipeline.analysis import Priors
    from pipeline.fetch import Source
    from pipeline.fetchinbox import open_inbox

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        source = Source(name=node, node=_node(node, settings), settings=settings, by=by)
        wanted = _selection(
            study=study,
            accession=accession,
            patient=patient,
            dates=date,
            modality=None if priors_of else modality,
            description=description,
            limit=limit,
        )
        earlier = Priors(number=priors, within_days=within_days, modality=modality)
        place = ledger_place(settings)
        with open_inbox(settings, place, inbox_folder(settings, place)) as inbox:
            uids = _studies(source, wanted, (priors_of, earlier))
            _audit(place, node, len(uids))
            results = list(_fetched(source, uids, inbox, (dry_run, as_json)))
    failed = sum(one.failure is not None for one in results)
    if as_json:
        _print_json({"studies": [one.to_json() for one in results]})
    else:
        came, there = (sum(getattr(one, name) for one in results) for name in ("fetched", "there"))
        _print(
            f"{len(results)} studies: {came} instances fetched, {there} were here, "
            f"{failed} studies failed",
            err=True,
        )
    if failed:
        raise typer.Exit(SOME_INPUT_FAILED)


def _audit(place: str, node: str, answers: int) -> None:
    """Record that somebody has asked an archive; what was asked for may name a patient."""
    from pipeline.ledger.audit import Audited, record
    from pipeline.ledger.ledger import Ledger
    from pipeline.owner import this_person

    with Ledger.open(place) as ledger:
        subject, detail = f"node {node}", {"answers": answers}
        told = Audited(action="query", actor=this_person(), subject=subject, detail=detail)
        record(ledger, told)


def _studies(source: "Source", wanted: "Query", earlier: "tuple[str | None, Priors]") -> list[str]:
    """Return the UIDs of the studies that a call means."""
    from pipeline.fetch import selected
    from pipeline.priors import priors

    of, asked = earlier
    if of is None:
        return selected(source, wanted)
    if wanted.is_selective:
        raise UnusableCall("--priors-of names the studies: beside it, --modality only")
    return [one.study_instance_uid for one in priors(source, of, asked)]


def _fetched(
    source: "Source", uids: list[str], inbox: "Keeper", how: tuple[bool, bool]
) -> Iterator["Fetched"]:
    """Fetch studies, or look only, and print what each came to."""
    from pipeline.fetch import fetch_study, look

    is_dry, is_json = how
    for uid in uids:
        one = look(source, uid, inbox) if is_dry else fetch_study(source, uid, inbox)
        if not is_json:
            lacking = one.instances - one.there
            done = f"{lacking} to fetch" if is_dry else f"{one.fetched} fetched"
            why = f"  {one.failure}" if one.failure else ""
            _print(f"{uid}  {one.instances} instances, {one.there} were here, {done}{why}")
        yield one


def _selection(**keys: Any) -> "Query":  # noqa: ANN401 - of the record's own types
    """Return what is looked for."""
    from pipeline.gateways.found import Query

    return Query(**keys)


def _level(name: str) -> "Level":
    """Return a level of its name."""
    from pipeline.gateways.found import Level

    try:
        return Level(name.upper())
    except ValueError:
        raise UnusableCall(f"no level {name!r}; known are study, series, image") from None


def _line(one: "Found", *, accession: bool) -> str:
    """Return a line about what was found."""
    parts = [one.date or "-" * 8, "/".join(one.modalities) or "--"]
    if one.instances is not None:
        series = f"{one.series} series, " if one.series is not None else ""
        parts.append(f"{series}{one.instances} instances")
    parts.append(one.sop_instance_uid or one.series_instance_uid or one.study_instance_uid)
    if accession and one.accession:
        parts.append(one.accession)
    return "  ".join((*parts, one.description or ""))


def _node(name: str, settings: Configuration) -> Node:
    """Return the node of a name."""
    try:
        return settings.nodes[name]
    except KeyError:
        known = ", ".join(settings.nodes) or "none"
        raise UnusableCall(f"no node {name!r}; the nodes are {known}") from None


def _print(text: str, *, err: bool = False) -> None:
    """Print a line."""
    from pipeline.console import printable

    typer.echo(printable(text), err=err)


def _print_json(values: dict[str, Any]) -> None:
    """Print JSON."""
    from pipeline.manifest import serialised

    typer.echo(serialised(values).rstrip())
