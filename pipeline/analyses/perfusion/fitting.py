"""Which series are for the perfusion analysis."""

MODALITIES = ("MR", "NIFTI")
"""What a first-pass series comes as."""

MINIMUM_BEATS = 12
"""Fewer beats cannot hold a first pass."""


def why_not(modality: str, n_beats: int) -> str | None:
    """Return why a series is not one for this analysis, or None if it is.

    Parameters
    ----------
    modality
        Modality (0008,0060), or ``NIFTI``.
    n_beats
        Time steps of the series.
    """
    if modality not in MODALITIES:
        return f"modality is {modality}, perfusion needs {' or '.join(MODALITIES)}"
    if n_beats < MINIMUM_BEATS:
        return f"{n_beats} time steps, perfusion needs at least {MINIMUM_BEATS}"
    return None
