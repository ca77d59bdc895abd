"""Where results lie in a job's folder, and what is not written: known without a DICOM library."""

from pathlib import Path

from pipeline.study import RawSeries

FIGURES = "figures"
"""Name of the folder that figures go to."""

IMAGES = "images"
"""Name of the folder that classic images go to."""

TABLE = "measurements.csv"
"""Name of the table of numbers."""


def why_no_dicom(series: RawSeries) -> str | None:
    """Return why raw data get no DICOM images; None if they do.

    Parameters
    ----------
    series
        The raw data.
    """
    if series.header is None:
        return "no DICOM images: nothing is known of patient and study; give a reference series"
    if series.kspace.affine is None:
        return "no DICOM images: the place in the patient is not known; give a reference series"
    return None


def reconstructed_images(folder: Path) -> Path | None:
    """Return where a reconstruction wrote its images: DICOM before NIfTI, None if there are none.

    Parameters
    ----------
    folder
        The folder that ``encode_reconstruction`` wrote into.
    """
    for name in (IMAGES, "enhanced.dcm", "magnitude.nii.gz"):
        if (folder / name).exists():
            return folder / name
    return None
