"""Passwords, kept as Argon2id with the parameters of RFC 9106 for machines of little memory."""

import secrets
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from pipeline.errors import UnusableCall

LEAST_LENGTH, MOST_LENGTH = 12, 128
"""Characters of a password; no mixture is asked for, as NIST SP 800-63B advises."""

HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)

AT_A_TIME = threading.BoundedSemaphore(2)
"""Passwords that are digested at a time: each takes 64 MiB."""


def digest_of(password: str) -> str:
    """Return what is kept of a password.

    Raises
    ------
    UnusableCall
        If it is too short or too long.
    """
    if not LEAST_LENGTH <= len(password) <= MOST_LENGTH:
        raise UnusableCall(f"a password has {LEAST_LENGTH} to {MOST_LENGTH} characters")
    with AT_A_TIME:
        return HASHER.hash(password)


def is_password(digest: str | None, password: str) -> bool:
    """Tell whether a password is the one; None takes as long, and is none."""
    with AT_A_TIME:
        try:
            HASHER.verify(_nobodys() if digest is None else digest, password)
        except (VerificationError, InvalidHashError):
            return False
    return digest is not None


def drawn_password() -> str:
    """Return a password of 128 random bits."""
    return secrets.token_urlsafe(16)


@cache
def _nobodys() -> str:
    """Return the digest of a password that nobody knows."""
    return HASHER.hash(drawn_password())
