"""How results point at what they were made from.

A dynamic series shows one position many times, in one file a frame or many frames in one, in one
series or one series a slice. No constructor of DICOM objects takes all of that, so objects are
built against one stand-in image and then made to point at all source frames.

References
----------
.. [C7616] DICOM PS3.3, C.7.6.16.2.6 Derivation Image macro.
.. [C122] DICOM PS3.3, C.12.2 Common Instance Reference module.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy

import numpy as np
from highdicom import SpecificCharacterSetValues
from highdicom import Volume as PlacedVolume
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage, MRImageStorage
from pydicom.valuerep import PersonName

from pipeline.encode.context import EncodingContext, is_date, is_time
from pipeline.errors import ModelContractBroken
from pipeline.imaging.volume import TimeSeries, Volume
from pipeline.study import InputSeries, Series, SourceFrame

REQUIRED = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Attributes of type 2 that every object has: empty where the source lacks them."""

ASCII_WITH_EXTENSIONS = "ISO 2022 IR 6"
"""Defined term of Specific Character Set (0008,0005), PS3.3, C.12.1.1.2."""

PURPOSE = Code("121322", "DCM", "Source image for image processing operation")
"""Purpose of reference of a source frame, PS3.16, CID 7202."""

SINGLE_FRAME = frozenset({CTImageStorage, MRImageStorage})
"""SOP classes whose instances have one frame, which no reference numbers."""

_POSSIBLE: dict[str, Callable[[str], object]] = {
    "PatientSex": re.compile("[MFO]?").fullmatch,
    "PatientBirthDate": is_date,
    "StudyDate": is_date,
    "StudyTime": is_time,
}
"""What tells a value that can be from one that no object may hold; the latter is left empty."""

_IMAGE_GROUPS = frozenset({0x0028, 0x5200, 0x7FE0})
_PLACE_TOLERANCE = 1e-3


def source_header(series: Series) -> Dataset:
    """Return the header of a DICOM series with all that objects copy from it present.

    Attributes that a source must have and lacks are empty, as the standard allows; nothing is made
    up.

    Raises
    ------
    ValueError
        If nothing is known of its patient and study.
    """
    if series.header is None:
        raise ValueError("the series has no header")
    header = Dataset()
    for element in series.header:
        if element.tag.group not in _IMAGE_GROUPS and not element.tag.is_private:
            header.add(deepcopy(element))
    for keyword in REQUIRED:
        if header.get(keyword) is None:
            setattr(header, keyword, PersonName("") if keyword.endswith("Name") else "")
    _settle_character_set(header)
    for keyword, is_possible in _POSSIBLE.items():
        if not is_possible(str(header.get(keyword))):
            setattr(header, keyword, "")
    return header


def _settle_character_set(header: Dataset) -> None:
    """Have a header name its character sets as the objects can; its texts keep their bytes.

    An empty first value means ASCII with code extensions (PS3.3, C.12.1.1.2). Texts of a set that
    is none of the standard's are taken as they can be read, and written as UTF-8.
    """
    given = header.get("SpecificCharacterSet")
    if not given:
        return
    values = [given] if isinstance(given, str) else [str(value) for value in given]
    named = [ASCII_WITH_EXTENSIONS, *values[1:]] if not values[0] else values
    if {value.value for value in SpecificCharacterSetValues}.issuperset(named):
        header.SpecificCharacterSet = named[0] if len(named) == 1 else named
    else:
        header.decode()
        header.SpecificCharacterSet = "ISO_IR 192"


def stand_in(series: InputSeries, header: Dataset, context: EncodingContext) -> Dataset:
    """Return a single-frame image of the first slice, without pixels, to build objects against."""
    image = series.image
    kind = series.frames[0][0].sop_class_uid
    # Data sets share their elements when one is made from another: a copy must be deep.
    found = deepcopy(header)
    found.SOPClassUID = kind if kind in SINGLE_FRAME else MRImageStorage
    found.SOPInstanceUID = context.uid("stand-in", "0")
    found.StudyInstanceUID = series.study_instance_uid
    found.SeriesInstanceUID = series.series_instance_uids[0]
    found.FrameOfReferenceUID = image.frame_of_reference_uid or context.uid(
        "source", "frame of reference"
    )
    found.Rows, found.Columns = image.array.shape[2:]
    _place(found, image)
    return found


def _place(found: Dataset, image: TimeSeries) -> None:
    """Say where the first slice lies, PS3.3, equation C.7.6.2.1-1."""
    slice_spacing, row_spacing, column_spacing = image.spacing_mm
    row_cosines = image.affine[:3, 2] / column_spacing
    column_cosines = image.affine[:3, 1] / row_spacing
    found.ImagePositionPatient = list(image.affine[:3, 3])
    found.ImageOrientationPatient = [*row_cosines, *column_cosines]
    found.PixelSpacing = [row_spacing, column_spacing]
    found.SliceThickness = found.SpacingBetweenSlices = slice_spacing


def placed(volume: Volume, frame_of_reference_uid: str) -> PlacedVolume:
    """Return a volume as highdicom takes it: the same indices and the same affine, LPS+ [mm]."""
    return PlacedVolume(
        array=volume.array,
        affine=volume.affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=frame_of_reference_uid,
    )


def point_at_sources(
    instance: Dataset, series: InputSeries, affine: NDArray[np.float64], derivation: Code
) -> list[int]:
    """Make each frame of a multi-frame object point at all source frames of its slice.

    Parameters
    ----------
    instance
        An object with functional groups, on the grid of the series.
    series
        Its source.
    affine
        The grid, LPS+ [mm]. Shape ``(4, 4)``.
    derivation
        How the frames were derived.

    Returns
    -------
        The slice of each frame.

    Raises
    ------
    ModelContractBroken
        If a frame lies on none of the slices.
    """
    by_slice = [
        DicomSequence([_derivation(frames, derivation)])
        for frames in zip(*series.frames, strict=True)
    ]
    slices = []
    # Frames of several segments lie on one slice: each position is looked for once.
    known: dict[tuple[float, ...], int] = {}
    for item in instance.PerFrameFunctionalGroupsSequence:
        position = tuple(item.PlanePositionSequence[0].ImagePositionPatient)
        if position not in known:
            known[position] = slice_of(item, affine, len(by_slice))
        slices.append(known[position])
        item.DerivationImageSequence = by_slice[slices[-1]]
    name_sources(instance, series)
    return slices


def slice_of(item: Dataset, affine: NDArray[np.float64], n_slices: int) -> int:
    """Return which slice of a grid an item of the per-frame functional groups lies on.

    Raises
    ------
    ModelContractBroken
        If it lies on none.
    """
    position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
    index = np.linalg.solve(affine, np.append(position, 1.0))[:3]
    nearest = round(float(index[0]))
    off = np.abs(affine[:3, :3] @ (index - np.array([nearest, 0.0, 0.0]))).max()
    if off > _PLACE_TOLERANCE or not 0 <= nearest < n_slices:
        raise ModelContractBroken(f"a frame lies {off:.3f} mm off every slice of its source")
    return nearest


def name_sources(instance: Dataset, series: InputSeries) -> None:
    """Name all frames of a series as the source of an object, and list their instances [C122]_."""
    frames = [frame for beat in series.frames for frame in beat]
    by_instance: dict[str, list[SourceFrame]] = {}
    for frame in frames:
        by_instance.setdefault(frame.sop_instance_uid, []).append(frame)
    instance.SourceImageSequence = DicomSequence(_referenced(by_instance.values()))
    by_series: dict[str, dict[str, Dataset]] = {}
    for frame in frames:
        members = by_series.setdefault(frame.series_instance_uid, {})
        if frame.sop_instance_uid not in members:
            members[frame.sop_instance_uid] = _reference(frame)
    items = []
    for uid, members in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedInstanceSequence = DicomSequence(members.values())
        items.append(item)
    instance.ReferencedSeriesSequence = DicomSequence(items)


def _derivation(frames: Sequence[SourceFrame], derivation: Code) -> Dataset:
    """Return the item of a Derivation Image Sequence for one slice.

    Each frame has an item of its own, also those of one instance: several frame numbers in one
    item are allowed, but highdicom does not open such an object.
    """
    item = Dataset()
    item.SourceImageSequence = DicomSequence(_referenced([frame] for frame in frames))
    item.DerivationCodeSequence = DicomSequence([coded(derivation)])
    return item


def _referenced(instances: Iterable[Sequence[SourceFrame]]) -> list[Dataset]:
    """Return a reference to frames of each instance, with numbers where it has several frames."""
    # One for all: a series may have thousands of frames.
    purpose = DicomSequence([coded(PURPOSE)])
    items = []
    for members in instances:
        item = _reference(members[0])
        if members[0].sop_class_uid not in SINGLE_FRAME:
            item.ReferencedFrameNumber = [frame.frame_number for frame in members]
        item.PurposeOfReferenceCodeSequence = purpose
        item.SpatialLocationsPreserved = "YES"
        items.append(item)
    return items


def _reference(frame: SourceFrame) -> Dataset:
    """Return a reference to the instance of a frame."""
    item = Dataset()
    item.ReferencedSOPClassUID = frame.sop_class_uid
    item.ReferencedSOPInstanceUID = frame.sop_instance_uid
    return item


def coded(code: Code) -> Dataset:
    """Return a code as an item of a code sequence."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item
