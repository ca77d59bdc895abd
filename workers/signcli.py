"""The commands that sign bundles: a key for the site, and its signature on what it has checked."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UnusableCall
from pipeline.options import ConfigOption, ModelsOption, complaints, site_configuration
from workers.modelscli import models

if TYPE_CHECKING:
    from pipeline.config import Configuration
    from pipeline.infer.bundle import Bundle
    from pipeline.signing.secretkey import SecretKey


@models.command("new-key")
def new_key_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File for the secret key; .pub gets the other.")
    ],
    *,
    without_password: Annotated[
        bool,
        typer.Option("--without-password", help="Do not lock it: for a machine that signs alone."),
    ] = False,
) -> None:
    """Make a key to sign bundles with, in minisign's format, and tell the public one.

    Keep the secret one where no machine that serves can read it.
    """
    from pipeline.console import printable
    from pipeline.signing.minisign import UNTRUSTED
    from pipeline.signing.secretkey import new_secret_key

    with complaints():
        public = file.with_name(f"{file.name}.pub")
        for path in (file, public):
            if path.exists():
                raise UnusableCall(f"{path}: exists already; a key is never overwritten")
        password = None
        if not without_password:
            password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        key = new_secret_key()
        try:
            _write_secret(file, key.text(password))
            public.write_text(f"{UNTRUSTED}minisign public key {key.key_id}\n{key.public.text()}\n")
        except OSError as problem:
            raise UnusableCall(f"{file}: cannot be written ({problem.strerror})") from problem
    typer.echo(printable(f"{file}: the secret key {key.key_id}"), err=True)
    typer.echo(f'trusted_keys = ["{key.public.text()}"]')


@models.command("sign")
def sign_command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER...]", help="Bundles. Default: the installed ones."),
    ] = None,
    *,
    key: Annotated[
        Path, typer.Option("--key", metavar="FILE", help="Secret key, of new-key or of minisign.")
    ],
    config: ConfigOption = None,
    models_path: ModelsOption = None,
) -> None:
    """Sign bundles that you have checked: your word that they may do work.

    Every byte is read before. A signature that is there gives way to the new one. The signature is
    of minisign's format, in configs/files.json.minisig.
    """
    from pipeline.console import printable
    from pipeline.infer.bundle import load_bundle

    with complaints():
        settings = site_configuration(config, models=models_path)
        chosen = [load_bundle(folder) for folder in folders or _installed(settings)]
        secret = _secret_key(key)
        for bundle in chosen:
            _sign(bundle, secret)
            told = f"{bundle.folder}  {bundle.name} {bundle.version}  {bundle.digest[:12]}"
            typer.echo(printable(f"{told}  signed by key {secret.key_id}"))


def _installed(settings: "Configuration") -> list[Path]:
    """Return the folders of the bundles that serve where no version is live."""
    from pipeline.errors import BundleRejected
    from pipeline.infer.bundle import find_bundle
    from pipeline.perform import kinds_in

    search = [settings.models.path] if settings.models.path else []
    found = []
    for kind in kinds_in(settings):
        try:
            found.append(find_bundle(kind.name, search))
        except BundleRejected:
            continue
    if not found:
        raise UnusableCall("no bundle is installed: name the folder of one")
    return found


def _secret_key(path: Path) -> "SecretKey":
    """Read a secret key, and ask for its password if it has one."""
    from pipeline.signing.secretkey import needs_password, parse_secret_key

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise UnusableCall(f"{path}: cannot be read") from problem
    password = None
    if needs_password(text):
        password = typer.prompt("Password", hide_input=True, err=True)
    return parse_secret_key(text, password)


def _write_secret(path: Path, text: str) -> None:
    """Write a file that nobody else may read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _sign(bundle: "Bundle", key: "SecretKey") -> None:
    """Sign the list of a bundle that was read, if it is still the one that was read."""
    from pipeline.infer.filelist import FILE_LIST, digest_of_list
    from pipeline.trust import put_signature

    path = bundle.folder / FILE_LIST
    content = path.read_bytes()
    if digest_of_list(content, path) != bundle.digest:
        raise UnusableCall(f"{path}: altered while it was read")
    at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    signature = key.sign(content, f"bundle {bundle.digest} signed {at}")
    try:
        put_signature(
            bundle.folder, signature.text("signature of a bundle's list of files").encode()
        )
    except OSError as problem:
        raise UnusableCall(f"{bundle.folder}: cannot be written ({problem.strerror})") from problem
