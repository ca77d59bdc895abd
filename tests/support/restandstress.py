"""Studies with a rest and a stress series, as DICOM."""

from pathlib import Path

from pipeline.demo import mr_instance, stored_values, study_identity, write_instance
from pipeline.identity import derived_uid
from pipeline.imaging.volume import TimeSeries
from pipeline.phantom import PhantomSettings
from pipeline.phantom.pair import PerfusionPair, perfusion_pair

SMALL = PhantomSettings(n_slices=1, n_beats=45, rows=96, columns=96)
"""One slice, as the small bundle wants it."""


def small_pair(seed: int = 3) -> PerfusionPair:
    """Return a small study of both states with little noise."""
    return perfusion_pair(seed, SMALL, 60.0)


def write_pair(rest: TimeSeries, stress: TimeSeries, folder: Path) -> Path:
    """Write two series of one study, and return the folder."""
    study = study_identity(rest, "rest and stress")
    for number, (state, image) in enumerate((("rest", rest), ("stress", stress)), start=1):
        place = folder / state
        place.mkdir(parents=True)
        stored = stored_values(image.array)
        for beat in range(image.n_beats):
            for index in range(image.n_slices):
                instance = mr_instance(image, stored, study, (beat, index))
                instance.SeriesInstanceUID = derived_uid(study, state)
                instance.SeriesNumber = number
                instance.SeriesDescription = f"Perfusion {state}"
                instance.SOPInstanceUID = derived_uid(study, f"{state}/{beat}/{index}")
                instance.InstanceNumber = beat * image.n_slices + index + 1
                write_instance(instance, place / f"IM{instance.InstanceNumber:05d}.dcm")
    return folder
