"""Read the reference that a call names: a DICOM series of the same examination."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UnusableCall
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.raw.reference import Reference, reference_of
from pipeline.study import InputSeries


def read_reference(path: Path | None, stated: Sequence[str] = ()) -> Reference | None:
    """Return what a call says of its raw data; None if it says nothing.

    Parameters
    ----------
    path
        A file or folder with one DICOM MR series.
    stated
        Texts ``Keyword=value``.

    Raises
    ------
    UnusableCall
        If there is no such file, it holds no or several MR series, or a statement is not possible.
    StudyRejected
        If the series cannot be loaded.
    """
    if path is None:
        return reference_of(None, stated)
    found = [c for c in take_inventory([path]).candidates if c.modality == "MR" and c.n_beats]
    if len(found) != 1:
        raise UnusableCall(f"{path}: {len(found)} DICOM MR series, a reference is one")
    series = found[0].load()
    if not isinstance(series, InputSeries):
        raise UnusableCall(f"{path}: no DICOM series")
    return reference_of(series, stated)
