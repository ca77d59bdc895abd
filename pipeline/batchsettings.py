"""What a site sets of batch runs: what they use of the machine and of the archive, and when."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UnusableCall

IDENTIFIERS = ("uid", "hashed", "accession")
"""How tables name studies: by UIDs, by UIDs under a key, or with accession numbers, too."""

NIGHT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
"""A window of the day: ``20:00-06:00``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSettings:
    """Batch runs: ceilings on what they take, and what their tables tell."""

    processes: int = 1
    """Jobs at a time, each in a process of its own."""

    threads: int = 0
    """Cores that each job uses; 0 shares all cores among the processes."""

    prefetch: int = 4
    """Studies that are fetched and read ahead of those that are being analysed; no more lie on disk
    for it."""

    load: float = 0.0
    """No job begins while the machine's load average of a minute is above, the batch's own load
    included; 0 sets no ceiling."""

    window: str | None = None
    """Time of day in which jobs begin and the archive is asked, local time, such as
    ``20:00-06:00``; None is always."""

    archive_associations: int = 1
    """Studies that are fetched from an archive at a time."""

    archive_per_minute: float = 30.0
    """Most studies, and most queries for an accession number, that an archive is asked for a
    minute, evenly spaced."""

    identifiers: str = "uid"
    """How tables and report name studies: one of ``IDENTIFIERS``."""

    key: Path | None = None
    """File with the key that hashed identifiers are made with, 16 bytes or more."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        least = (("processes", 0), ("threads", 0), ("prefetch", 1), ("archive_associations", 1))
        for name, number in (*least, ("load", 0)):
            if getattr(self, name) < number:
                raise UnusableCall(f"{name} is {getattr(self, name)}, needed is {number} or more")
        if self.archive_per_minute <= 0:
            raise UnusableCall(
                f"archive_per_minute is {self.archive_per_minute:g}, needed is more than 0"
            )
        if self.window is not None and not NIGHT.fullmatch(self.window):
            raise UnusableCall(f"window is {self.window!r}, possible is HH:MM-HH:MM")
        if self.identifiers not in IDENTIFIERS:
            raise UnusableCall(
                f"identifiers is {self.identifiers!r}, possible is {', '.join(IDENTIFIERS)}"
            )
        if self.identifiers == "hashed" and self.key is None:
            raise UnusableCall("identifiers is 'hashed': set key, the file of the site's key")
