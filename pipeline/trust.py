"""Whose word is taken for a model: the signature of a bundle's list of files.

``configs/files.json.minisig`` is a signature in minisign's format over ``configs/files.json``,
which holds the digest of every other file. It says who has released or checked the bundle; that the
files are those of the list is checked before (``pipeline/infer/filelist.py``).

=======================  ====================================  =====================================
signature                ``require_signature = false``         ``require_signature = true``
=======================  ====================================  =====================================
none, or unknown key     opened                                refused
of a trusted key         opened if it holds, else refused      opened if it holds, else refused
of a revoked key         refused                               refused
none of minisign         refused                               refused
=======================  ====================================  =====================================
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.config import ModelSettings
from pipeline.errors import BundleUntrusted, SignatureUnusable
from pipeline.flush import flush
from pipeline.infer.bundle import Bundle, load_bundle
from pipeline.infer.filelist import FILE_LIST, SIGNATURE, digest_of_list
from pipeline.signing.minisign import (
    LARGEST_BYTES,
    PublicKey,
    Signature,
    parse_key_id,
    parse_public_key,
    parse_signature,
)


def load_trusted(folder: Path, models: ModelSettings) -> Bundle:
    """Read a bundle, check every file of it, and its signature as the site demands.

    Raises
    ------
    BundleRejected
        If the bundle cannot be used.
    BundleUntrusted
        If it is not signed as the site demands.
    """
    bundle = load_bundle(folder)
    check_signature(bundle, models)
    return bundle


def check_signature(bundle: Bundle, models: ModelSettings) -> str | None:
    """Check the signature of a bundle that was read, and return the id of the key that made it.

    Returns
    -------
        None for a bundle without a signature of a trusted key, where none is needed.

    Raises
    ------
    BundleUntrusted
        If it is not signed as the site demands: with the bundle, the key's id and the reason.
    """
    signature = signature_of(bundle.folder)
    if signature is None:
        if models.require_signature:
            raise BundleUntrusted(f"{bundle.folder}: not signed, and a signature is required")
        return None
    if signature.key_id in {parse_key_id(key) for key in models.revoked_keys}:
        raise BundleUntrusted(
            f"{bundle.folder}: signed by key {signature.key_id}, which is revoked"
        )
    known = [parse_public_key(key) for key in models.trusted_keys]
    named = [key for key in known if key.key_id == signature.key_id]
    if not named:
        if models.require_signature:
            raise BundleUntrusted(
                f"{bundle.folder}: signed by key {signature.key_id}, which is not trusted here"
            )
        return None
    _check_holds(bundle, signature, named)
    return signature.key_id


def signature_of(folder: Path) -> Signature | None:
    """Return what a bundle's signature says of itself, unchecked; None if it has none.

    Raises
    ------
    BundleUntrusted
        If the file is no signature.
    """
    path = folder / SIGNATURE
    if not path.exists() and not path.is_symlink():
        return None
    try:
        return parse_signature(_read(path))
    except (SignatureUnusable, OSError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise BundleUntrusted(f"{path}: {reason}") from problem


def put_signature(folder: Path, content: bytes) -> None:
    """Put a signature into a bundle, whole or not at all; it takes the place of one that is there.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    place = folder / SIGNATURE
    with TemporaryDirectory(prefix=".coming-", dir=folder.parent) as passing:
        coming = Path(passing) / place.name
        coming.write_bytes(content)
        flush(coming)
        coming.replace(place)
    flush(place.parent)


def _check_holds(bundle: Bundle, signature: Signature, keys: list[PublicKey]) -> None:
    """Check a signature by the trusted keys of its id, and that it is of this bundle.

    The bytes that are checked are those whose digest is compared, so that a list that is exchanged
    meanwhile is found.
    """
    content = (bundle.folder / FILE_LIST).read_bytes()
    if not any(key.holds(signature, content) for key in keys):
        raise BundleUntrusted(
            f"{bundle.folder}: the signature by key {signature.key_id} does not hold for its list "
            "of files"
        )
    if digest_of_list(content, bundle.folder / FILE_LIST) != bundle.digest:
        raise BundleUntrusted(f"{bundle.folder}: its list of files was altered while it was read")


def _read(path: Path) -> bytes:
    """Return the beginning of a file, long enough to tell one that is too long."""
    with path.open("rb") as file:
        return file.read(LARGEST_BYTES + 1)
