"""Studies of an archive, and what takes what is fetched from it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from pipeline.errors import UnreadableFile
from pipeline.gateways.multipart import Encoded

NAMES = {
    "japanese": (
        ["", "ISO 2022 IR 87"],
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    "greek": ("ISO_IR 126", "Διονυσιος".encode("iso8859-7")),
    "latin": ("ISO_IR 100", "Müller^Änne^Élodie".encode("latin-1")),
}
"""Specific Character Set and Patient's Name, encoded; two are PS3.5's, H.3 and I.3."""


def write_named(folder: Path, name: str, **changes: Any) -> tuple[Path, str]:
    """Write a study of one instance whose patient has one of the names; return its study's UID."""
    charset, encoded = NAMES[name]
    number = 1 + list(NAMES).index(name)
    instance = Dataset()
    instance.SpecificCharacterSet = charset
    instance.SOPClassUID = MRImageStorage
    instance.SOPInstanceUID = f"2.25.1000{number}"
    instance.StudyInstanceUID = f"2.25.2000{number}"
    instance.SeriesInstanceUID = f"2.25.3000{number}"
    instance.Modality = "MR"
    instance.StudyDate, instance.StudyTime = f"2026010{number}", "120000"
    instance.AccessionNumber = f"A{number}"
    instance.PatientID = f"named-{number}"
    instance.StudyDescription = f"Heart {number}"
    for keyword, value in changes.items():
        setattr(instance, keyword, value)
    # In the place of the name, which is put in as it is.
    instance.PatientName = "N" * len(encoded)
    instance.Rows = instance.Columns = 2
    instance.BitsAllocated, instance.BitsStored, instance.HighBit = 16, 16, 15
    instance.PixelRepresentation, instance.SamplesPerPixel = 0, 1
    instance.PhotometricInterpretation = "MONOCHROME2"
    instance.add_new("PixelData", "OW", bytes(range(8)))
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{instance.SOPInstanceUID}.dcm"
    instance.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace(b"N" * len(encoded), encoded))
    assert encoded in path.read_bytes()
    return path, str(instance.StudyInstanceUID)


def data_set(path: Path) -> bytes:
    """Return the encoded data set of a file, without its meta information."""
    meta = dcmread(path, stop_before_pixels=True).file_meta
    return path.read_bytes()[132 + 12 + meta.FileMetaInformationGroupLength :]


@dataclass
class Shelf:
    """Keeps what is fetched in memory; refuses some, or fails, if it is told to."""

    kept: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    senders: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    before: Callable[[], None] = lambda: None

    def has(self, sop_instance_uids: Collection[str]) -> set[str]:
        """Return those that are here."""
        return set(sop_instance_uids) & set(self.kept)

    def keep(self, encoded: Encoded, sender: str) -> None:
        """Take one."""
        self.before()
        data = b"".join(encoded.chunks)
        if encoded.sop_instance_uid in self.refuses:
            raise UnreadableFile("refused by the test")
        self.kept[encoded.sop_instance_uid] = (encoded.transfer_syntax_uid, data)
        self.senders.add(sender)

    def take(self, encoded: Encoded) -> None:
        """Take one, from nobody in particular."""
        self.keep(encoded, "test")
