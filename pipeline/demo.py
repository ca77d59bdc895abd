"""Write a generated series as a classic DICOM study: what the demonstration and the tests take in.

One MR Image Storage instance a frame, all slices in one series, under a made-up research patient.
UIDs derive from the name and the values, dates are fixed: the same series gives the same bytes.

References
----------
.. [C762] DICOM PS3.3, C.7.6.2.1.1, Image Position and Image Orientation.
.. [C83] DICOM PS3.3, A.4 and C.8.3.1, MR Image IOD and module.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import format_number_as_ds

from pipeline.identity import JOB_NAMESPACE, derived_uid, digest_bytes
from pipeline.imaging.volume import TimeSeries
from pipeline.phantom.pair import PerfusionPair, StateTruth

STARTED_AT = datetime(2026, 3, 2, 10, 0, 0, tzinfo=UTC)
"""When every made-up study began."""

TRIGGER_DELAY_MS = 90.0
"""Delay from the R wave to the first slice of a beat [ms]."""

SERIES = ("rest", "stress_aif", "stress")
"""Series of a study of a dual sequence, in their order."""

STRESS_LATER_S = 900.0
"""How long after that at rest the series under stress of a study with both begins [s]."""

IMPLEMENTATION_CLASS_UID = UID(derived_uid(JOB_NAMESPACE, "implementation class"))
"""Implementation Class UID (0002,0012) of files that this module writes."""

UINT16_MAX, INT16_MIN = 65535, -32768


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredValues:
    """Stored values of a series and the way back to modality values."""

    array: NDArray[np.uint16] | NDArray[np.int16]
    """Stored values. Shape ``(beats, slices, rows, columns)``."""

    slope: float
    """Rescale Slope (0028,1053): modality = stored * slope + intercept."""

    intercept: float
    """Rescale Intercept (0028,1052)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Taken:
    """Images of one sequence, as a study of a dual sequence has them."""

    series: str
    """Names their series."""

    image: TimeSeries
    """The images; times since the study began."""

    delay_s: float
    """Delay after saturation [s], written as Inversion Time."""

    echo_s: float
    """Echo time [s]."""

    first_number: int
    """Instance Number of the first."""

    numbers_a_beat: int
    """How many numbers a beat of their series takes."""


def write_study(image: TimeSeries, folder: Path, *, name: str) -> tuple[Path, ...]:
    """Write a series as a classic DICOM MR study.

    Parameters
    ----------
    image
        The series. Its times go into Acquisition Time, rounded to the microsecond.
    folder
        Where the files go; made if it is missing.
    name
        Names the study: another name gives other UIDs.

    Returns
    -------
        The files, beat by beat.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = stored_values(image.array)
    study = study_identity(image, name)
    paths = []
    for beat in range(image.n_beats):
        for index in range(image.n_slices):
            number = beat * image.n_slices + index + 1
            instance = mr_instance(image, stored, study, (beat, index))
            instance.InstanceNumber = number
            paths.append(write_instance(instance, folder / f"IM{number:05d}.dcm"))
    return tuple(paths)


def write_dual_study(pair: PerfusionPair, folder: Path, *, name: str) -> tuple[Path, ...]:
    """Write a study of rest and stress by a dual sequence, in both ways that scanners write it.

    At rest the images of low resolution are in the series of the others, under stress they are a
    series of their own. The headers state the delays after saturation.

    Parameters
    ----------
    pair
        The study, with the images of low resolution.
    folder
        Where the files go, a folder a series; made if it is missing.
    name
        Names the study: another name gives other UIDs.

    Returns
    -------
        The files, series by series.
    """
    study = study_identity(pair.rest.phantom.image, name)
    paths: list[Path] = []
    for taken in (*_taken(pair.rest, "rest", "rest"), *_taken(pair.stress, "stress", "stress_aif")):
        stored = stored_values(taken.image.array)
        place = folder / taken.series
        place.mkdir(parents=True, exist_ok=True)
        for beat, index in np.ndindex(taken.image.array.shape[:2]):
            number = taken.first_number + beat * taken.numbers_a_beat + index
            instance = mr_instance(taken.image, stored, study, (beat, index))
            instance.SeriesInstanceUID = derived_uid(study, taken.series)
            instance.SeriesNumber = SERIES.index(taken.series) + 1
            instance.SeriesDescription = f"Perfusion {taken.series.replace('_', ' ')}"
            instance.SOPInstanceUID = derived_uid(study, f"{taken.series}/{number}")
            instance.InstanceNumber = number
            instance.InversionTime = _ds(1000.0 * taken.delay_s)
            instance.EchoTime = _ds(1000.0 * taken.echo_s)
            instance.MagneticFieldStrength = "1.5"
            paths.append(write_instance(instance, place / f"IM{number:05d}.dcm"))
    return tuple(paths)


def _taken(truth: StateTruth, series: str, arterial_series: str) -> Iterator[_Taken]:
    """Yield what is written of a state: its images of low resolution first, as in each beat."""
    main, low = truth.phantom.image, truth.arterial
    n_low, n_main = 0 if low is None else low.image.n_slices, main.n_slices
    is_one = series == arterial_series
    later_s = STRESS_LATER_S if series == "stress" else 0.0
    if low is not None:
        yield _Taken(
            series=arterial_series,
            image=replace(low.image, times_s=low.image.times_s + later_s),
            delay_s=low.delay_s,
            echo_s=low.echo_s,
            first_number=1,
            numbers_a_beat=n_low + n_main if is_one else n_low,
        )
    yield _Taken(
        series=series,
        image=replace(main, times_s=main.times_s + later_s),
        delay_s=truth.delay_s,
        echo_s=truth.echo_s,
        first_number=1 + n_low if is_one else 1,
        numbers_a_beat=n_low + n_main if is_one else n_main,
    )


def study_identity(image: TimeSeries, name: str) -> UUID:
    """Return what the UIDs of a study derive from: its name, its values and their place."""
    parts = (name, digest_bytes(image.array.tobytes()), digest_bytes(image.affine.tobytes()))
    return uuid5(JOB_NAMESPACE, "\n".join(parts))


def stored_values(array: NDArray[np.float32]) -> StoredValues:
    """Return 16-bit stored values: exact where the modality values are integers that fit.

    Other values are scaled to the whole unsigned range, with an error of at most half a step of
    1/65535 of the range.
    """
    low, high = float(array.min()), float(array.max())
    if np.array_equal(array, np.rint(array)) and low >= 0 and high <= UINT16_MAX:
        return StoredValues(array=array.astype(np.uint16), slope=1.0, intercept=0.0)
    if np.array_equal(array, np.rint(array)) and low >= INT16_MIN and high < -INT16_MIN:
        return StoredValues(array=array.astype(np.int16), slope=1.0, intercept=0.0)
    slope = (high - low) / UINT16_MAX or 1.0
    scaled = np.rint((array.astype(np.float64) - low) / slope).astype(np.uint16)
    return StoredValues(array=scaled, slope=float(_ds(slope)), intercept=float(_ds(low)))


def mr_instance(
    image: TimeSeries, stored: StoredValues, study: UUID, frame: tuple[int, int]
) -> Dataset:
    """Return one frame as an MR Image Storage instance [C83]_.

    Parameters
    ----------
    image
        The series.
    stored
        Its stored values.
    study
        What the UIDs derive from.
    frame
        Beat and slice, from 0.
    """
    beat, index = frame
    instance = Dataset()
    _add_patient_and_study(instance, study)
    _add_series(instance, study, image.frame_of_reference_uid)
    instance.SOPClassUID = MRImageStorage
    instance.SOPInstanceUID = derived_uid(study, f"instance/{beat}/{index}")
    instance.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    _add_times(instance, float(image.times_s[beat, index]))
    instance.TriggerTime = _ds(TRIGGER_DELAY_MS + 1000 * _delay_in_beat_s(image, index))
    instance.TemporalPositionIdentifier = beat + 1
    instance.NumberOfTemporalPositions = image.n_beats
    _add_plane(instance, image, index)
    _add_pixels(instance, stored, frame)
    return instance


def write_instance(instance: Dataset, path: Path) -> Path:
    """Write an instance as a DICOM file, explicit VR little endian, and return the path."""
    add_file_meta(instance)
    instance.save_as(path, enforce_file_format=True)
    return path


def add_file_meta(instance: Dataset) -> None:
    """Add the file meta information of an explicit VR little endian file."""
    instance.file_meta = FileMetaDataset()
    instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID


def _add_patient_and_study(instance: Dataset, study: UUID) -> None:
    """Add the made-up patient and the study."""
    instance.SpecificCharacterSet = "ISO_IR 192"
    instance.PatientName = "Phantom^Perfusion"
    instance.PatientID = f"DEMO-{study.hex[:8].upper()}"
    instance.PatientBirthDate = "19700101"
    instance.PatientSex = "O"
    instance.StudyInstanceUID = derived_uid(study, "study")
    instance.StudyDate = STARTED_AT.strftime("%Y%m%d")
    instance.StudyTime = STARTED_AT.strftime("%H%M%S")
    instance.ReferringPhysicianName = ""
    instance.StudyID = "1"
    instance.AccessionNumber = ""
    instance.StudyDescription = "Numerical phantom, not a patient"


def _add_series(instance: Dataset, study: UUID, frame_of_reference_uid: str | None) -> None:
    """Add the series, its equipment and its acquisition."""
    instance.Modality = "MR"
    instance.SeriesInstanceUID = derived_uid(study, "series")
    instance.SeriesNumber = 1
    instance.SeriesDate, instance.SeriesTime = instance.StudyDate, instance.StudyTime
    instance.SeriesDescription = "First-pass perfusion, short axis"
    instance.ProtocolName = "first_pass_perfusion"
    instance.BodyPartExamined = "HEART"
    instance.PatientPosition = "HFS"
    instance.FrameOfReferenceUID = frame_of_reference_uid or derived_uid(study, "frame")
    instance.PositionReferenceIndicator = ""
    instance.Manufacturer = "Vesalius"
    instance.ManufacturerModelName = "Numerical phantom"
    instance.DeviceSerialNumber = "0"
    instance.SoftwareVersions = "1"
    instance.ScanningSequence = "GR"
    instance.SequenceVariant = ["SP", "MP"]
    instance.ScanOptions = "CG"
    instance.MRAcquisitionType = "2D"
    instance.RepetitionTime = "2.5"
    instance.EchoTime = "1.2"
    instance.EchoTrainLength = 1
    instance.FlipAngle = "12"
    instance.MagneticFieldStrength = "3"
    instance.AcquisitionNumber = 1


def _add_times(instance: Dataset, seconds: float) -> None:
    """Add when a frame was acquired."""
    moment = STARTED_AT + timedelta(microseconds=round(1e6 * seconds))
    instance.AcquisitionDate = instance.ContentDate = moment.strftime("%Y%m%d")
    instance.AcquisitionTime = instance.ContentTime = moment.strftime("%H%M%S.%f")


def _delay_in_beat_s(image: TimeSeries, index: int) -> float:
    """Return how long after the first slice of a beat a slice is acquired [s]."""
    return max(0.0, float(image.times_s[0, index] - image.times_s[0].min()))


def _add_plane(instance: Dataset, image: TimeSeries, index: int) -> None:
    """Add where a slice lies, equation C.7.6.2.1-1 [C762]_.

    Pixel Spacing lists the distance between rows first, and it is the *column* cosines that run
    from row to row.
    """
    slice_spacing, row_spacing, column_spacing = image.spacing_mm
    row_cosines = image.affine[:3, 2] / column_spacing
    column_cosines = image.affine[:3, 1] / row_spacing
    position = image.affine[:3, 3] + index * image.affine[:3, 0]
    instance.ImagePositionPatient = [_ds(v) for v in position]
    instance.ImageOrientationPatient = [_ds(v) for v in (*row_cosines, *column_cosines)]
    instance.PixelSpacing = [_ds(row_spacing), _ds(column_spacing)]
    instance.SliceThickness = _ds(min(slice_spacing, 8.0))
    instance.SpacingBetweenSlices = _ds(slice_spacing)
    instance.SliceLocation = _ds(float(np.cross(row_cosines, column_cosines) @ position))


def _add_pixels(instance: Dataset, stored: StoredValues, frame: tuple[int, int]) -> None:
    """Add the stored values of a frame, with a window over the whole series."""
    pixels = stored.array[frame]
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = "MONOCHROME2"
    instance.Rows, instance.Columns = pixels.shape
    instance.BitsAllocated = instance.BitsStored = 16
    instance.HighBit = 15
    instance.PixelRepresentation = 1 if pixels.dtype == np.int16 else 0
    if (stored.slope, stored.intercept) != (1.0, 0.0):
        instance.RescaleSlope, instance.RescaleIntercept = _ds(stored.slope), _ds(stored.intercept)
        instance.RescaleType = "US"
    low = float(stored.array.min()) * stored.slope + stored.intercept
    high = float(stored.array.max()) * stored.slope + stored.intercept
    instance.WindowCenter = _ds(0.5 * (low + high))
    instance.WindowWidth = _ds(max(high - low, 1.0))
    instance.PixelData = np.ascontiguousarray(pixels).tobytes()


def _ds(value: float) -> str:
    """Return a decimal string: at most 16 characters, as precise as that allows."""
    return format_number_as_ds(float(value))
