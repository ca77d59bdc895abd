"""What a process that reads NIfTI does for ``pipeline.ingest.nifti``.

Imported by readers only: it loads nibabel, so that each reader begins with it.
"""

from pathlib import Path

from pipeline.imaging.complexnifti import is_complex
from pipeline.imaging.nifti import read_header, read_time_series
from pipeline.imaging.niftiheader import NiftiHeader
from pipeline.imaging.volume import TimeSeries


def header(path: Path, max_bytes: int) -> NiftiHeader | None:
    """Read and check a header; None if the values are complex."""
    return None if is_complex(path) else read_header(path, max_bytes=max_bytes)


def series(path: Path, max_bytes: int) -> TimeSeries:
    """Read all values."""
    return read_time_series(path, max_bytes=max_bytes)
