"""Write a series as scanners of different vendors do, to be put back together by ingest.

Only what those styles differ in is imitated: which attribute counts the beats, how instances are
numbered, one series or one a slice, and how values are scaled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage
from pydicom.valuerep import format_number_as_ds

from pipeline.demo import (
    STARTED_AT,
    StoredValues,
    mr_instance,
    stored_values,
    study_identity,
    write_instance,
    write_study,
)
from pipeline.identity import derived_uid
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import take_inventory
from pipeline.study import InputSeries

GE_FIRST_TRIGGER_MS = 769
SIEMENS_TRIGGER_MS = 155
PHILIPS_SLOPES = (0.25, 0.5, 1.0)
"""Powers of two: stored values and back is exact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Study:
    """A series about to be written."""

    image: TimeSeries
    """The series."""

    stored: StoredValues
    """Its stored values."""

    identity: UUID
    """What its UIDs derive from."""

    def instance(self, frame: tuple[int, int]) -> Dataset:
        """Return a frame (beat, slice) as the demonstration has it, without temporal position."""
        instance = mr_instance(self.image, self.stored, self.identity, frame)
        del instance.TemporalPositionIdentifier, instance.NumberOfTemporalPositions
        return instance


def write_ge_style(image: TimeSeries, folder: Path, *, name: str) -> tuple[Path, ...]:
    """Write cumulative Trigger Time, one Acquisition Time for all, Instance Number from 2."""
    study, paths = _study(image, name), []
    for number, frame in enumerate(_slice_by_slice(image), start=2):
        instance = study.instance(frame)
        trigger_ms = GE_FIRST_TRIGGER_MS + 1000 * float(image.times_s[frame])
        instance.TriggerTime = str(round(trigger_ms))
        instance.AcquisitionTime = instance.ContentTime = STARTED_AT.strftime("%H%M%S")
        instance.InstanceNumber = number
        instance.MagneticFieldStrength = "15000"
        instance.Manufacturer = "GE MEDICAL SYSTEMS"
        paths.append(_written(instance, folder))
    return tuple(paths)


def write_siemens_style(image: TimeSeries, folder: Path, *, name: str) -> tuple[Path, ...]:
    """Write one series a slice, constant Trigger Time, an Acquisition Time for each frame."""
    study, paths = _study(image, name), []
    for frame in _slice_by_slice(image):
        beat, index = frame
        instance = study.instance(frame)
        instance.TriggerTime = str(SIEMENS_TRIGGER_MS)
        instance.InstanceNumber = beat + 1
        instance.SeriesInstanceUID = derived_uid(study.identity, f"series/{index}")
        instance.SeriesNumber = 10 + index
        instance.SequenceName = "*tfiperf2d1"
        instance.Manufacturer = "SIEMENS"
        del instance.SpacingBetweenSlices
        paths.append(_written(instance, folder))
    return tuple(paths)


def write_philips_style(image: TimeSeries, folder: Path, *, name: str) -> tuple[Path, ...]:
    """Write temporal positions, jumbled instance numbers and another scaling for each instance."""
    study, paths = _study(image, name), []
    numbers = _shuffled(image.n_beats * image.n_slices, seed=1)
    for number, frame in zip(numbers, _slice_by_slice(image), strict=True):
        instance = study.instance(frame)
        slope, intercept = PHILIPS_SLOPES[number % 3], float(-(number % 5))
        values = image.array[frame].astype(np.float64)
        instance.PixelData = np.rint((values - intercept) / slope).astype(np.uint16).tobytes()
        instance.PixelRepresentation = 0
        instance.RescaleSlope, instance.RescaleIntercept = str(slope), str(intercept)
        instance.RescaleType = "normalized"
        instance.TemporalPositionIdentifier = frame[0] + 1
        instance.NumberOfTemporalPositions = image.n_beats
        instance.TriggerTime = format_number_as_ds(1000 * float(image.times_s[frame]))
        instance.AcquisitionTime = instance.ContentTime = STARTED_AT.strftime("%H%M%S.%f")
        instance.InstanceNumber = number + 1
        instance.Manufacturer = "Philips Medical Systems"
        paths.append(_written(instance, folder))
    return tuple(paths)


def write_enhanced(
    image: TimeSeries, folder: Path, *, name: str, one_a_beat: bool = False
) -> tuple[Path, ...]:
    """Write enhanced multi-frame MR: all frames in one instance, or one instance a beat."""
    beats = range(image.n_beats)
    parts = [[beat] for beat in beats] if one_a_beat else [list(beats)]
    study, paths = _study(image, name), []
    for number, part in enumerate(parts, start=1):
        frames = [(beat, index) for beat in part for index in range(image.n_slices)]
        frames = [frames[n] for n in _shuffled(len(frames), seed=2)]
        instance = study.instance(frames[0])
        _make_enhanced(instance, study, frames)
        instance.SOPInstanceUID = derived_uid(study.identity, f"enhanced/{number}/{len(parts)}")
        instance.InstanceNumber = number
        paths.append(_written(instance, folder))
    return tuple(paths)


def scattered(paths: tuple[Path, ...], folder: Path, *, seed: int = 0) -> Path:
    """Move files to names and folders that say nothing of their order, and return the folder."""
    numbers = np.random.default_rng(seed).choice(16**5, size=len(paths), replace=False)
    names = [f"{n:05x}" for n in numbers]
    for path, name in zip(paths, names, strict=True):
        target = folder / name[0] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    return folder


def _slice_by_slice(image: TimeSeries) -> list[tuple[int, int]]:
    """Return all frames as (beat, slice), slice by slice."""
    return [(beat, index) for index in range(image.n_slices) for beat in range(image.n_beats)]


def _study(image: TimeSeries, name: str) -> _Study:
    """Return a series about to be written."""
    return _Study(
        image=image, stored=stored_values(image.array), identity=study_identity(image, name)
    )


def _shuffled(count: int, seed: int) -> list[int]:
    """Return the numbers below a count in random order."""
    return [int(n) for n in np.random.default_rng(seed).permutation(count)]


def _written(instance: Dataset, folder: Path) -> Path:
    """Write an instance under its UID, and return the path."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_instance(instance, folder / f"{instance.SOPInstanceUID}.dcm")


def _make_enhanced(instance: Dataset, study: _Study, frames: list[tuple[int, int]]) -> None:
    """Turn a classic instance into an enhanced one that holds several frames."""
    stored = study.stored
    instance.SOPClassUID = EnhancedMRImageStorage
    instance.NumberOfFrames = len(frames)
    instance.PulseSequenceName = "perfusion"
    shared = Dataset()
    shared.PixelMeasuresSequence = _sequence(
        instance, "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"
    )
    shared.PlaneOrientationSequence = _sequence(instance, "ImageOrientationPatient")
    instance.SharedFunctionalGroupsSequence = Sequence([shared])
    instance.PerFrameFunctionalGroupsSequence = Sequence(
        [_frame_groups(study.image, frame, stored.slope, stored.intercept) for frame in frames]
    )
    instance.PixelData = b"".join(stored.array[frame].tobytes() for frame in frames)
    for keyword in ("ImagePositionPatient", "TriggerTime", "AcquisitionTime", "SliceLocation"):
        delattr(instance, keyword)
    for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
        if keyword in instance:
            delattr(instance, keyword)


def _frame_groups(
    image: TimeSeries, frame: tuple[int, int], slope: float, intercept: float
) -> Dataset:
    """Return the per-frame functional groups of a frame."""
    beat, index = frame
    groups, content, position, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    moment = STARTED_AT + timedelta(microseconds=round(1e6 * float(image.times_s[frame])))
    content.FrameAcquisitionDateTime = moment.strftime("%Y%m%d%H%M%S.%f")
    content.TemporalPositionIndex = beat + 1
    content.DimensionIndexValues = [index + 1, beat + 1]
    origin = image.affine[:3, 3] + index * image.affine[:3, 0]
    position.ImagePositionPatient = [format_number_as_ds(float(v)) for v in origin]
    rescale.RescaleSlope, rescale.RescaleIntercept = str(slope), str(intercept)
    rescale.RescaleType = "US"
    groups.FrameContentSequence = Sequence([content])
    groups.PlanePositionSequence = Sequence([position])
    groups.PixelValueTransformationSequence = Sequence([rescale])
    return groups


def _sequence(instance: Dataset, *keywords: str) -> Sequence:
    """Move attributes of an instance into a sequence of one item."""
    item = Dataset()
    for keyword in keywords:
        setattr(item, keyword, instance[keyword].value)
        delattr(instance, keyword)
    return Sequence([item])


Writer = Callable[..., tuple[Path, ...]]

STYLES: dict[str, Writer] = {
    "standard": write_study,
    "GE": write_ge_style,
    "Siemens": write_siemens_style,
    "Philips": write_philips_style,
    "enhanced": write_enhanced,
    "enhanced, one instance a beat": partial(write_enhanced, one_a_beat=True),
}
"""Every style, by name."""


def through(write: Writer, image: TimeSeries, folder: Path) -> InputSeries:
    """Write a series, scatter its files and read it back."""
    paths = write(image, folder / "written", name="study")
    inventory = take_inventory([scattered(paths, folder / "scattered")])
    assert not inventory.refusals
    (candidate,) = inventory.candidates
    return candidate.load()
