"""A series that is its image and no more, as one from NIfTI is."""

from pipeline.imaging.volume import TimeSeries
from pipeline.study import InputSeries


def plain_series(image: TimeSeries, label: str = "phantom") -> InputSeries:
    """Return an image over time as a series without a header, a study or a patient."""
    return InputSeries(
        label=label,
        study_instance_uid=None,
        series_instance_uids=(),
        image=image,
        frames=(),
        header=None,
        input_digest="",
    )
