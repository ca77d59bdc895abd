"""Which series are for the reconstruction analysis."""

MODALITIES = ("KSPACE",)
"""What raw data comes as."""


def why_not(modality: str) -> str | None:
    """Return why a series is not one for this analysis, or None if it is.

    Parameters
    ----------
    modality
        Modality (0008,0060), or ``KSPACE`` for raw data.
    """
    if modality not in MODALITIES:
        return f"modality is {modality}, reconstruction needs raw data"
    return None
