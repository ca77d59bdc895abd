"""Secret keys in minisign's format: made, read with their password, and signed with."""

import os
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import blake2b, scrypt

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.errors import SignatureUnusable
from pipeline.signing.minisign import (
    KEY_ALGORITHM,
    UNTRUSTED,
    PublicKey,
    Signature,
    decoded,
    id_bytes,
    id_text,
    prehashed,
)

SCRYPT, IN_THE_CLEAR, CHECKSUM = b"Sc", b"\0\0", b"B2"
"""How a key is locked: by a password, or not at all; and how it is known to be unlocked."""

HEAD_BYTES, SALT_BYTES, SECRET_BYTES = 6, 32, 8 + 64 + 32
"""Lengths of the algorithms, of the salt, and of what is locked: id, key, checksum [bytes]."""

OPERATIONS, MEMORY_BYTES = 2**25, 2**30
"""Cost of a password that new keys ask for, as minisign's own do: a gibibyte, some seconds."""

MOST_N, MOST_P, BLOCK = 2**20, 16, 8
"""Cost that is spent on a file at most: scrypt's N and p (RFC 7914), and its r."""

MOST_MEMORY_BYTES = 2**31 - 1
"""What scrypt may use [bytes]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretKey:
    """What signatures are made with."""

    key_id: str
    """Its id."""

    seed: bytes = field(repr=False)
    """The Ed25519 private key."""

    @property
    def public(self) -> PublicKey:
        """The key that its signatures are checked by."""
        key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return PublicKey(key_id=self.key_id, key=key.public_bytes_raw())

    def sign(self, content: bytes, trusted_comment: str) -> Signature:
        """Sign a content and a comment of one line."""
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        signature = key.sign(prehashed(content))
        return Signature(
            key_id=self.key_id,
            signature=signature,
            trusted_comment=trusted_comment,
            comment_signature=key.sign(signature + trusted_comment.encode()),
        )

    def text(self, password: str | None) -> str:
        """Return the content of its file, locked by a password if there is one."""
        public = self.public.key
        sealed = id_bytes(self.key_id) + self.seed + public
        sealed += _checksum(sealed)
        salt, operations, memory = bytes(SALT_BYTES), 0, 0
        if password is not None:
            salt, operations, memory = os.urandom(SALT_BYTES), OPERATIONS, MEMORY_BYTES
            sealed = _locked(sealed, password, salt, (operations, memory))
        kind = IN_THE_CLEAR if password is None else SCRYPT
        cost = operations.to_bytes(8, "little") + memory.to_bytes(8, "little")
        packed = KEY_ALGORITHM + kind + CHECKSUM + salt + cost + sealed
        return f"{UNTRUSTED}minisign secret key {self.key_id}\n{b64encode(packed).decode()}\n"


def new_secret_key() -> SecretKey:
    """Draw a key."""
    return SecretKey(key_id=id_text(os.urandom(8)), seed=os.urandom(32))


def needs_password(text: str) -> bool:
    """Tell whether a secret key is locked.

    Raises
    ------
    SignatureUnusable
        If it is none of minisign.
    """
    return _packed(text)[2:4] == SCRYPT


def parse_secret_key(text: str, password: str | None) -> SecretKey:
    """Return the secret key of a file.

    Raises
    ------
    SignatureUnusable
        If it is none of minisign, asks for a cost that is not spent, or the password is wrong.
    """
    packed = _packed(text)
    salt, cost = packed[HEAD_BYTES:][:SALT_BYTES], packed[HEAD_BYTES + SALT_BYTES :][:16]
    sealed = packed[-SECRET_BYTES:]
    if packed[2:4] == SCRYPT:
        spent = int.from_bytes(cost[:8], "little"), int.from_bytes(cost[8:], "little")
        sealed = _locked(sealed, password or "", salt, spent)
    key_id, seed, public, checksum = sealed[:8], sealed[8:40], sealed[40:72], sealed[72:]
    made = SecretKey(key_id=id_text(key_id), seed=seed)
    if checksum != _checksum(sealed[:72]) or made.public.key != public:
        raise SignatureUnusable("wrong password, or a secret key that is damaged")
    return made


def _packed(text: str) -> bytes:
    """Return the bytes of a secret key's file."""
    lines = text.strip().splitlines()
    packed = decoded(lines[-1] if lines else "", "secret key")
    kind = packed[2:4] in (SCRYPT, IN_THE_CLEAR)
    whole = len(packed) == HEAD_BYTES + SALT_BYTES + 16 + SECRET_BYTES
    if not whole or not kind or packed[:2] != KEY_ALGORITHM or packed[4:6] != CHECKSUM:
        raise SignatureUnusable("no secret key of minisign")
    return packed


def _checksum(sealed: bytes) -> bytes:
    """Return the checksum of id and key."""
    return blake2b(KEY_ALGORITHM + sealed, digest_size=32).digest()


def _locked(sealed: bytes, password: str, salt: bytes, cost: tuple[int, int]) -> bytes:
    """Lock what is unlocked, and the other way round."""
    n, p = _scrypt_cost(*cost)
    if n > MOST_N or p > MOST_P:
        raise SignatureUnusable("a secret key whose password costs more than a gibibyte")
    stream = scrypt(
        password.encode(), salt=salt, n=n, r=BLOCK, p=p, maxmem=MOST_MEMORY_BYTES, dklen=len(sealed)
    )
    return bytes(a ^ b for a, b in zip(sealed, stream, strict=True))


def _scrypt_cost(operations: int, memory: int) -> tuple[int, int]:
    """Return scrypt's N and p for the limits that a file names, as libsodium picks them."""
    operations = max(operations, 2**15)
    if operations < memory // 32:
        return _power_below(operations // (BLOCK * 4)), 1
    n = _power_below(memory // (BLOCK * 128))
    return n, max(min(operations // 4 // n, 0x3FFFFFFF) // BLOCK, 1)


def _power_below(largest: int) -> int:
    """Return the power of two that libsodium takes for a limit: the first above its half."""
    n = 2
    while n <= largest // 2:
        n *= 2
    return n
