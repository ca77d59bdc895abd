"""How tables and report name studies: as the site wishes."""

import re
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from pipeline.batchsettings import BatchSettings
from pipeline.deliver.pseudonyms import Pseudonyms
from pipeline.errors import UnusableCall
from pipeline.quiet import quietly

UID = re.compile(r"\b\d+(?:\.\d+){3,}\b")
"""A UID in a text."""

WORD_OF_FILE = re.compile(r"\S*(?:/|\.[A-Za-z][A-Za-z0-9]{1,6}\b)\S*")
"""A word that is a path, or a name with an ending."""

NAMELESS = "(a file)"
"""What stands for the name of a file where it must not be told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Naming:
    """How studies are named."""

    kind: str
    """One of ``pipeline.batchsettings.IDENTIFIERS``."""

    pseudonyms: Pseudonyms | None = None
    """Maps UIDs, where they are hashed."""

    def uid(self, uid: str | None) -> str | None:
        """Return what stands for a UID."""
        if uid is None or self.pseudonyms is None:
            return uid
        return self.pseudonyms.uid(uid)

    def file(self, name: str | None) -> str | None:
        """Return the name of an input; None where it must not be told."""
        return name if self.pseudonyms is None else None

    def text(self, text: str | None) -> str | None:
        """Return a reason without what must not be told: UIDs, and names of files."""
        if text is None or self.pseudonyms is None:
            return text
        parts = []
        for word in re.split(r"(\s+)", text):
            hashed = UID.sub(lambda found: str(self.uid(found[0])), word)
            is_file = hashed == word and WORD_OF_FILE.fullmatch(word)
            parts.append(NAMELESS if is_file else hashed)
        return "".join(parts)

    def accession(self, path: Path | None) -> str | None:
        """Return the Accession Number (0008,0050) of a result's object, if the site wants it."""
        if self.kind != "accession" or path is None:
            return None
        try:
            with quietly():
                header = dcmread(path, stop_before_pixels=True, specific_tags=["AccessionNumber"])
                return str(header.get("AccessionNumber") or "") or None
        except (OSError, InvalidDicomError):
            return None


def naming_of(settings: BatchSettings) -> Naming:
    """Return how a site wishes studies to be named.

    Raises
    ------
    UnusableCall
        If its key cannot be read or is too short.
    """
    if settings.identifiers != "hashed" or settings.key is None:
        return Naming(kind=settings.identifiers)
    try:
        key = settings.key.read_bytes().strip()
    except OSError as problem:
        raise UnusableCall(f"{settings.key}: cannot be read ({problem.strerror})") from None
    return Naming(kind="hashed", pseudonyms=Pseudonyms(key))
