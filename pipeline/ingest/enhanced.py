"""Read the frames of an enhanced multi-frame MR image through its functional groups.

Each group stands either in the shared item or in every frame's own; a frame's own wins.

References
----------
.. [C7616] DICOM PS3.3, C.7.6.16 Multi-frame Functional Groups module and its macros.
.. [C813] DICOM PS3.3, C.8.13 Enhanced MR Image modules and macros.
"""

from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from pipeline.errors import UnreadableFile
from pipeline.ingest.attributes import items, optional_number, tag_text, text, whole_number
from pipeline.ingest.classic import rounded, whole_or_none
from pipeline.ingest.clock import seconds_of_moment
from pipeline.ingest.frame import Frame, Instance, Plane, TimeKeys
from pipeline.ingest.plane import plane_of
from pipeline.ingest.quantity import values_of

MANY = 1_000_000
"""More frames than an instance has: makes one order of instance number and frame number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Groups:
    """The functional groups that hold for one frame."""

    own: Dataset
    """The frame's item of the Per-Frame Functional Groups Sequence."""

    shared: Dataset
    """The item of the Shared Functional Groups Sequence."""

    def group(self, keyword: str) -> Dataset:
        """Return a group's item; an empty one where the frame has no such group."""
        found = items(self.own, keyword) or items(self.shared, keyword)
        return found[0] if found else Dataset()

    @property
    def mapping(self) -> Dataset:
        """The item that holds the Real World Value Mapping Sequence, the frame's own first."""
        own = items(self.own, "RealWorldValueMappingSequence")
        return self.own if own else self.shared


def enhanced_frames(header: Dataset, instance: Instance) -> tuple[Frame, ...]:
    """Return the frames of a multi-frame MR image.

    Raises
    ------
    UnreadableFile
        If the frames lack functional groups, or a frame has no place in the patient.
    """
    own = items(header, "PerFrameFunctionalGroupsSequence")
    n_frames = whole_number(header, "NumberOfFrames")
    if len(own) != n_frames:
        keyword = tag_text("PerFrameFunctionalGroupsSequence")
        raise UnreadableFile(f"{keyword} has {len(own)} items for {n_frames} frames")
    shared = (items(header, "SharedFunctionalGroupsSequence") or [Dataset()])[0]
    temporal = _temporal_dimension(header)
    frames = []
    for index, item in enumerate(own):
        groups = _Groups(own=item, shared=shared)
        try:
            frames.append(_frame(header, instance, groups, (index + 1, temporal)))
        except UnreadableFile as error:
            raise UnreadableFile(f"frame {index + 1}: {error}") from error
    return tuple(frames)


def _frame(
    header: Dataset, instance: Instance, groups: _Groups, place: tuple[int, int | None]
) -> Frame:
    """Return one frame; ``place`` is its number and which dimension index counts time."""
    number, temporal = place
    values = values_of(groups.group("PixelValueTransformationSequence"), groups.mapping)
    return Frame(
        instance=instance,
        number=number,
        of=whole_number(header, "NumberOfFrames"),
        rows=whole_number(header, "Rows"),
        columns=whole_number(header, "Columns"),
        plane=_plane(header, groups),
        times=_times(header, groups, number, temporal),
        contrast=(*_contrast(header, groups), f"values in {values.unit or 'no unit'}"),
        delay_ms=optional_number(groups.group("MRModifierSequence"), "InversionTimes"),
        echo_ms=optional_number(groups.group("MREchoSequence"), "EffectiveEchoTime"),
        slope=values.slope,
        intercept=values.intercept,
        unit=values.unit,
    )


def _plane(header: Dataset, groups: _Groups) -> Plane:
    """Return where a frame lies."""
    return plane_of(
        groups.group("PlanePositionSequence"),
        groups.group("PlaneOrientationSequence"),
        groups.group("PixelMeasuresSequence"),
        frame_of_reference_uid=text(header, "FrameOfReferenceUID") or None,
    )


def _times(header: Dataset, groups: _Groups, number: int, temporal: int | None) -> TimeKeys:
    """Return all that may tell when a frame was acquired."""
    content = groups.group("FrameContentSequence")
    position = whole_or_none(content, "TemporalPositionIndex")
    indices = text(content, "DimensionIndexValues").split("\\")
    if position is None and temporal is not None and temporal < len(indices):
        position = int(indices[temporal]) if indices[temporal].isdecimal() else None
    offset_s = optional_number(
        groups.group("TemporalPositionSequence"), "TemporalPositionTimeOffset"
    )
    if offset_s is None:
        trigger = groups.group("CardiacSynchronizationSequence")
        delay_ms = optional_number(trigger, "NominalCardiacTriggerDelayTime")
        offset_s = None if delay_ms is None else 1e-3 * delay_ms
    return TimeKeys(
        temporal_position=position,
        acquisition_s=seconds_of_moment(text(content, "FrameAcquisitionDateTime")),
        trigger_s=offset_s,
        content_s=seconds_of_moment(text(content, "FrameReferenceDateTime")),
        instance_number=(whole_or_none(header, "InstanceNumber") or 0) * MANY + number,
    )


def _contrast(header: Dataset, groups: _Groups) -> tuple[str, ...]:
    """Return what a frame was acquired with."""
    timing = groups.group("MRTimingAndRelatedParametersSequence")
    echo = groups.group("MREchoSequence")
    frame_type = text(groups.group("MRImageFrameTypeSequence"), "FrameType")
    return (
        f"flip angle {rounded(timing, 'FlipAngle')}",
        f"echo time {rounded(echo, 'EffectiveEchoTime')}",
        f"sequence {text(header, 'PulseSequenceName')}",
        f"image type {frame_type or text(header, 'ImageType')}",
    )


def _temporal_dimension(header: Dataset) -> int | None:
    """Return which of the Dimension Index Values counts temporal positions; None if none does."""
    temporal = tag_for_keyword("TemporalPositionIndex")
    for index, item in enumerate(items(header, "DimensionIndexSequence")):
        if item.get("DimensionIndexPointer") == temporal:
            return index
    return None
