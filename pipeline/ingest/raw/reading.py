"""What a process that reads raw data does for ``pipeline.ingest.raw.confined``.

Imported by readers only: it loads the libraries of every format, so that each reader begins with
them.
"""

from pathlib import Path

from pipeline.ingest.limits import Limits, put_in_force
from pipeline.ingest.raw.files import FORMATS, raw_format
from pipeline.ingest.raw.part import RawContent, RawLook


def found(path: Path, name: str, limits: Limits) -> RawLook | None:
    """Do what ``look`` asks for."""
    put_in_force(limits)
    kind = raw_format(path, name)
    if kind is None:
        return None
    return RawLook(kind=kind.name, parts=kind.parts(path, name, limits))


def read(path: Path, name: str, kind: str, part: str, limits: Limits) -> RawContent:
    """Do what ``content`` asks for."""
    put_in_force(limits)
    return FORMATS[kind].read(path, name, part, limits)
