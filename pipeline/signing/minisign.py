"""Public keys and signatures in minisign's format (https://jedisct1.github.io/minisign/).

A signature is Ed25519 (RFC 8032) over the BLAKE2b-512 of a file. A second one covers the first and
a comment, which is therefore trusted like the file. The old form without the hash (``minisign -l``)
is refused.
"""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import blake2b

from pipeline.errors import SignatureUnusable

KEY_ALGORITHM, PREHASHED = b"Ed", b"ED"
"""Algorithm of a key, and of a signature over a hash."""

KEY_BYTES, ID_BYTES, SIGNATURE_BYTES = 32, 8, 64
"""Lengths of a public key, of its id and of a signature [bytes]."""

UNTRUSTED, TRUSTED = "untrusted comment: ", "trusted comment: "
"""How the lines with comments begin."""

LARGEST_BYTES = 4096
"""A signature or a key is at most so long [bytes]."""

LINES = 4
"""Lines of a signature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """What signatures of one key are checked by."""

    key_id: str
    """Its id: sixteen hexadecimal digits, as minisign shows it. Chosen by whoever made the key."""

    key: bytes
    """The Ed25519 public key."""

    def text(self) -> str:
        """Return it as a line: what settings hold, and a file of minisign in its second line."""
        return b64encode(KEY_ALGORITHM + id_bytes(self.key_id) + self.key).decode()

    def holds(self, signature: "Signature", content: bytes) -> bool:
        """Tell whether a signature of a content, and of its trusted comment, is this key's."""
        # Only now: every command reads the keys in its settings, and few check a signature.
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        key = Ed25519PublicKey.from_public_bytes(self.key)
        both = signature.signature + signature.trusted_comment.encode()
        try:
            key.verify(signature.signature, prehashed(content))
            key.verify(signature.comment_signature, both)
        except InvalidSignature:
            return False
        return signature.key_id == self.key_id


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """What is in a signature's file. Nothing of it is true before a key has checked it."""

    key_id: str
    """Id of the key that is said to have made it."""

    signature: bytes
    """Ed25519 over the BLAKE2b-512 of the file."""

    trusted_comment: str
    """Comment that is signed, too."""

    comment_signature: bytes
    """Ed25519 over signature and comment."""

    def text(self, untrusted_comment: str) -> str:
        """Return the content of the file, with a comment that nothing covers."""
        head = b64encode(PREHASHED + id_bytes(self.key_id) + self.signature).decode()
        last = b64encode(self.comment_signature).decode()
        return f"{UNTRUSTED}{untrusted_comment}\n{head}\n{TRUSTED}{self.trusted_comment}\n{last}\n"


def prehashed(content: bytes) -> bytes:
    """Return what is signed of a content: its BLAKE2b-512."""
    return blake2b(content).digest()


def parse_public_key(text: str) -> PublicKey:
    """Return the public key of a line, or of a file of minisign.

    Raises
    ------
    SignatureUnusable
        If it is none.
    """
    lines = text.strip().splitlines()
    if len(lines) > 1 and lines[0].startswith(UNTRUSTED.strip()):
        del lines[0]
    packed = decoded(lines[0] if len(lines) == 1 else "", "public key")
    if len(packed) != len(KEY_ALGORITHM) + ID_BYTES + KEY_BYTES or packed[:2] != KEY_ALGORITHM:
        raise SignatureUnusable("no public key of minisign")
    return PublicKey(key_id=id_text(packed[2:10]), key=packed[10:])


def parse_signature(content: bytes) -> Signature:
    """Return what is in a signature's file.

    Raises
    ------
    SignatureUnusable
        If it is none of minisign, or one of its old form without a hash.
    """
    try:
        lines = content.decode().splitlines() if len(content) <= LARGEST_BYTES else []
    except UnicodeDecodeError:
        lines = []
    if len(lines) != LINES or not lines[0].startswith(UNTRUSTED) or lines[2][:17] != TRUSTED:
        raise SignatureUnusable("no signature of minisign")
    head, last = decoded(lines[1], "signature"), decoded(lines[3], "signature")
    if len(head) != 2 + ID_BYTES + SIGNATURE_BYTES or len(last) != SIGNATURE_BYTES:
        raise SignatureUnusable("no signature of minisign")
    if head[:2] != PREHASHED:
        raise SignatureUnusable(
            "a signature without a hash, of minisign's old form: sign anew without -l"
        )
    return Signature(
        key_id=id_text(head[2:10]),
        signature=head[10:],
        trusted_comment=lines[2].removeprefix(TRUSTED),
        comment_signature=last,
    )


def parse_key_id(text: str) -> str:
    """Return the id that a text names: sixteen hexadecimal digits, or a public key's.

    Raises
    ------
    SignatureUnusable
        If it is neither.
    """
    try:
        return id_text(id_bytes(text))
    except ValueError:
        return parse_public_key(text).key_id


def id_text(packed: bytes) -> str:
    """Return a key's id as minisign shows it."""
    return packed[::-1].hex().upper()


def id_bytes(key_id: str) -> bytes:
    """Return a key's id as it lies in files.

    Raises
    ------
    ValueError
        If it has not sixteen hexadecimal digits.
    """
    packed = bytes.fromhex(key_id)[::-1]
    if len(packed) != ID_BYTES or len(key_id) != 2 * ID_BYTES:
        raise ValueError("an id has sixteen hexadecimal digits")
    return packed


def decoded(line: str, what: str) -> bytes:
    """Return the bytes of a line in base 64.

    Raises
    ------
    SignatureUnusable
        If it is none.
    """
    try:
        found = b64decode(line.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as problem:
        raise SignatureUnusable(f"no {what} of minisign") from problem
    # Bits that are left over at the end have one form only, too.
    if b64encode(found).decode() != line:
        raise SignatureUnusable(f"no {what} of minisign")
    return found
