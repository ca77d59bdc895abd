"""New identities that are derived from old ones by a secret: the same secret gives the same.

References
----------
.. [B2] DICOM PS3.5, B.2 UUID derived UIDs; RFC 9562, 5.8 UUID version 8.
"""

import hmac

from pipeline.errors import UnusableCall

LEAST_KEY = 16
"""Bytes of a key at least."""

STANDARD = "1.2.840.10008."
"""Root of the UIDs that the standard itself gives out, which name nobody."""


class Pseudonyms:
    """Maps UIDs and patients by HMAC-SHA256 under a key."""

    def __init__(self, key: bytes) -> None:
        """Take a key.

        Raises
        ------
        UnusableCall
            If it is too short to be a secret.
        """
        if len(key) < LEAST_KEY:
            raise UnusableCall(f"the key has {len(key)} bytes, needed are {LEAST_KEY} or more")
        self._key = key

    def uid(self, uid: str) -> str:
        """Return what stands for a UID: 2.25 and a UUID [B2]_; one of the standard is kept."""
        if not uid or uid.startswith(STANDARD):
            return uid
        number = int.from_bytes(self._digest("uid", uid)[:16], "big")
        number &= ~(0xF << 76) & ~(0x3 << 62)
        return f"2.25.{number | 0x8 << 76 | 0x2 << 62}"

    def patient(self, identity: str) -> str:
        """Return what stands for a patient: the same for all objects of one."""
        return f"ANON-{self._digest('patient', identity).hex()[:12].upper()}" if identity else ""

    def _digest(self, what: str, value: str) -> bytes:
        """Return the keyed hash of a value."""
        return hmac.digest(self._key, f"{what}\n{value}".encode(), "sha256")
