"""What is fetched ahead of inference: a folder for each study, removed when the study is done."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UnreadableFile
from pipeline.gateways.multipart import Encoded
from pipeline.identity import digest_bytes
from pipeline.receive.encoded import offered
from pipeline.receive.part10 import file_beginning

UNFINISHED = ".part"
"""End of the name of a file that is being written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelf:
    """Keeps the instances of one study in a folder: see ``pipeline.fetch.Keeper``.

    Names of files derive from digests and never from what an archive says.
    """

    folder: Path
    """The folder; made if it is missing."""

    def has(self, sop_instance_uids: Collection[str]) -> set[str]:
        """Return those of some instances that are here."""
        return {uid for uid in sop_instance_uids if self._place(uid).exists()}

    def keep(self, encoded: Encoded, sender: str) -> None:
        """Keep an instance.

        Raises
        ------
        UnreadableFile
            If it is no data set, or cannot be written.
        """
        offer, chunks = offered(encoded, sender)
        place = self._place(offer.sop_instance_uid)
        working = place.with_suffix(UNFINISHED)
        beginning = file_beginning(
            offer.sop_class_uid, offer.sop_instance_uid, offer.transfer_syntax_uid
        )
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with working.open("wb") as file:
                file.write(beginning)
                for chunk in chunks:
                    file.write(chunk)
            working.replace(place)
        except OSError as problem:
            raise UnreadableFile(
                f"the folder of what is fetched cannot be written ({problem.strerror})"
            ) from problem

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _place(self, sop_instance_uid: str) -> Path:
        """Return the file of an instance."""
        return self.folder / f"{digest_bytes(sop_instance_uid.encode())[:32]}.dcm"
