"""Commands that remove a study with all that was derived from it, prove it, and hold studies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import app
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

if TYPE_CHECKING:
    from pipeline.ledger.footprint import Footprint
    from pipeline.record.forget import Forgotten, Holdings

forget = typer.Typer(help="Remove a study with all that was derived from it, with proof.")
hold = typer.Typer(help="List the studies that nothing may be removed of, and hold one.")
app.add_typer(forget, name="forget")
app.add_typer(hold, name="hold")

StudyOption = Annotated[
    str | None, typer.Option("--study", metavar="UID", help="Study Instance UID.")
]


@forget.callback(invoke_without_command=True)
def forget_command(
    context: typer.Context,
    *,
    study: StudyOption = None,
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="ID", help="All studies whose objects have this ID."),
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(
            "--again", metavar="CERTIFICATE", help="The study of a certificate that has come back."
        ),
    ] = None,
    reason: Annotated[
        str,
        typer.Option("--reason", help="One of request, consent, retention, mistake, other."),
    ] = "request",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be removed, and remove nothing.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Remove studies: received files, results, what is shown of them, and all rows of the ledger.

    Copies that were sent are told, not removed. A removal that was killed goes on with the next
    call. Exit status: 0 all removed, 2 refused: held, or something works on it.
    """
    if context.invoked_subcommand is not None:
        return
    from pipeline.ledger.forgetting import REASONS, Asked
    from pipeline.owner import this_person
    from pipeline.record.forget import forget as forget_study
    from pipeline.record.forget import look, resume
    from workers.holdings import opened_holdings

    with complaints():
        if [study, patient, again].count(None) != 2:
            raise UnusableCall("give --study, --patient or --again")
        if reason not in REASONS:
            raise UnusableCall(f"no reason {reason!r}; known are {', '.join(REASONS)}")
        settings = site_configuration(config, ledger_url=ledger_url)
        with opened_holdings(settings, ledger_place(settings)) as holdings:
            uids = _studies((study, patient, again), holdings)
            found = [look(uid, holdings) for uid in uids]
            if dry_run:
                _tell_plan(found, as_json=as_json)
                return
            ended = list(resume(holdings))
            longest_s = settings.service.longest_s
            asked = Asked(actor=this_person(), reason=reason, longest_s=longest_s)
            ended += [forget_study(uid, asked, holdings) for uid in uids]
    _tell(found, ended, as_json=as_json)


@forget.command("verify")
def verify_command(
    certificate: Annotated[
        Path, typer.Argument(metavar="CERTIFICATE", help="File that a removal has written.")
    ],
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Digest the content of every file, too.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Look whether anything is left of a study that was removed, by its certificate.

    Exit status: 0 nothing is left, 1 something is, or the certificate is not the one of the log.
    """
    from pipeline.manifest import serialised
    from pipeline.record.certificate import read_certificate
    from pipeline.record.left import prove
    from workers.holdings import opened_holdings

    with complaints():
        document, sha256 = read_certificate(certificate)
        settings = site_configuration(config, ledger_url=ledger_url)
        with opened_holdings(settings, ledger_place(settings)) as holdings:
            proof = prove(document, sha256, holdings, deep=deep)
    if as_json:
        typer.echo(serialised(proof.to_json()).rstrip())
    else:
        typer.echo(f"looked at {proof.studies} studies, {proof.jobs} jobs and {proof.files} files")
        typer.echo("\n".join(proof.faults) or "nothing is left")
    if proof.faults:
        raise typer.Exit(SOME_INPUT_FAILED)


@hold.callback(invoke_without_command=True)
def hold_command(
    context: typer.Context,
    *,
    study: StudyOption = None,
    case: Annotated[
        str | None,
        typer.Option("--case", metavar="REFERENCE", help="What it is held for; no name."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    ledger_url: LedgerOption = None,
) -> None:
    """Hold a study: nothing of it is removed until it is released. Without one, list all."""
    if context.invoked_subcommand is not None:
        return
    import json

    from pipeline.ledger.holds import hold as hold_study
    from pipeline.ledger.holds import holds
    from pipeline.ledger.ledger import Ledger
    from pipeline.owner import this_person

    with complaints():
        if (study is None) != (case is None):
            raise UnusableCall("give --study and --case, or neither")
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as ledger:
            if study is not None and case is not None:
                hold_study(ledger, study, case, this_person())
            found = holds(ledger)
    if as_json:
        typer.echo(json.dumps({"holds": [each.to_json() for each in found]}))
        return
    for each in found:
        typer.echo(f"{each.study_instance_uid}  {each.case}  {each.at:%Y-%m-%d}  {each.actor}")


@hold.command("release")
def release_command(
    study: Annotated[str, typer.Argument(metavar="UID", help="Study Instance UID.")],
    *,
    config: ConfigOption = None,
    ledger_url: LedgerOption = None,
) -> None:
    """Release a study that is held."""
    from pipeline.ledger.holds import release
    from pipeline.ledger.ledger import Ledger
    from pipeline.owner import this_person

    with complaints():
        settings = site_configuration(config, ledger_url=ledger_url)
        with Ledger.open(ledger_place(settings)) as ledger:
            release(ledger, study, this_person())


def _studies(
    asked: tuple[str | None, str | None, Path | None], holdings: "Holdings"
) -> tuple[str, ...]:
    """Return the studies that a call names: by UID, by a patient, or by a certificate.

    Raises
    ------
    UnusableCall
        If there is none.
    """
    from pipeline.ledger.footprint import studies_known
    from pipeline.ledger.holds import check_study
    from pipeline.record.certificate import read_certificate
    from pipeline.record.left import is_of
    from pipeline.record.patients import studies_of

    study, patient, again = asked
    if study is not None:
        return (check_study(study),)
    if again is not None:
        certificate, _ = read_certificate(again)
        known = studies_known(holdings.ledger)
        found = tuple(uid for uid in known if is_of(certificate, uid))
    else:
        found = studies_of(str(patient), holdings)
    if not found:
        raise UnusableCall("nothing that is kept is of this patient or certificate")
    return found


def _tell_plan(found: "list[Footprint]", *, as_json: bool) -> None:
    """Tell what would be removed."""
    from pipeline.manifest import serialised

    if as_json:
        typer.echo(serialised({"studies": [each.to_json() for each in found]}).rstrip())
        return
    for each in found:
        typer.echo(f"study {each.study_instance_uid} would be removed:")
        for name, count in each.rows.items():
            if count:
                typer.echo(f"  {count:6} {name}")
        _tell_sent(each)


def _tell_sent(found: "Footprint") -> None:
    """Tell where copies were sent, and what is the site's own."""
    for sent in found.sent:
        typer.echo(
            f"  not removed: {sent['objects']} objects at {sent['destination']} "
            f"({sent['state']}, the last {sent['last_at']})"
        )


def _tell(found: "list[Footprint]", ended: "list[Forgotten]", *, as_json: bool) -> None:
    """Tell what was removed."""
    from pipeline.manifest import serialised

    if as_json:
        sent = [dict(each) for footprint in found for each in footprint.sent]
        document = {"removed": [each.to_json() for each in ended], "sent": sent}
        typer.echo(serialised(document).rstrip())
        return
    for each in found:
        _tell_sent(each)
    for done in ended:
        typer.echo(f"removed; certificate {done.certificate}")
        if done.received_again:
            typer.echo(f"{done.received_again} files had come anew, and were left", err=True)
        if not done.is_clean:
            typer.echo("the ledger is being read: call again to clean its journal", err=True)
