"""What ingest knows of an instance and of each of its frames before any pixel is read."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientIdentity:
    """Who an instance says the patient is: compared, never shown."""

    patient_id: str = field(repr=False)
    """Patient ID (0010,0020)."""

    name: str = field(repr=False)
    """Patient's Name (0010,0010)."""

    birth_date: str = field(repr=False)
    """Patient's Birth Date (0010,0030)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """A SOP instance in a file."""

    path: Path
    """The file."""

    name: str
    """How messages name the file: its path under the input."""

    sha256: str
    """SHA-256 of the file, hexadecimal."""

    transfer_syntax_uid: UID
    """Transfer Syntax UID (0002,0010)."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""

    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""

    study_instance_uid: str
    """Study Instance UID (0020,000D)."""

    series_instance_uid: str
    """Series Instance UID (0020,000E)."""

    modality: str
    """Modality (0008,0060)."""

    patient: PatientIdentity = field(repr=False)
    """Who the patient is."""

    laterality: str = ""
    """``R`` or ``L`` where it is stated, of what comes in pairs."""

    images_in_acquisition: int | None = None
    """Images in Acquisition (0020,1002), where stated."""

    @property
    def named(self) -> str:
        """How messages name the instance: by SOP Instance UID and file."""
        return f"{self.sop_instance_uid} ({self.name})"


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeKeys:
    """All that may tell when a frame was acquired; None where it is not stated."""

    temporal_position: int | None = None
    """Temporal Position Identifier (0020,0100) or Index (0020,9128): order only."""

    acquisition_s: float | None = None
    """Acquisition DateTime, or Date and Time, or Frame Acquisition DateTime [s]."""

    trigger_s: float | None = None
    """Trigger Time (0018,1060), or the offset of the temporal position [s]."""

    content_s: float | None = None
    """Content Date and Time [s]."""

    instance_number: int | None = None
    """Instance Number (0020,0013), with the frame number of a multi-frame instance: order only."""

    n_temporal_positions: int | None = None
    """Number of Temporal Positions (0020,0105), where stated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """Where a frame lies in the patient, DICOM PS3.3, C.7.6.2."""

    position_mm: NDArray[np.float64]
    """Image Position (Patient) (0020,0032) [mm], LPS+. Shape ``(3,)``."""

    row_cosines: NDArray[np.float64]
    """Direction in which columns ascend, along a row. Shape ``(3,)``."""

    column_cosines: NDArray[np.float64]
    """Direction in which rows ascend, along a column. Shape ``(3,)``."""

    pixel_spacing_mm: tuple[float, float]
    """Pixel Spacing (0028,0030): distance between rows, then between columns [mm]."""

    slice_spacing_mm: float | None = None
    """Spacing Between Slices (0018,0088) [mm], where stated."""

    slice_thickness_mm: float | None = None
    """Slice Thickness (0018,0050) [mm], where stated."""

    frame_of_reference_uid: str | None = None
    """Frame of Reference UID (0020,0052), where stated."""

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector row cosines x column cosines. Shape ``(3,)``."""
        return np.cross(self.row_cosines, self.column_cosines)


@dataclass(frozen=True, kw_only=True, slots=True)
class NativePixels:
    """Where the stored values of a single frame lie in its file, not compressed."""

    offset: int
    """Where they begin [byte]."""

    dtype: str
    """How each is stored: ``<u2``, ``<i2`` and the like, little endian."""

    unused_bits: int
    """Bits Allocated (0028,0100) less Bits Stored (0028,0101): no part of the value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One frame: an instance of its own, or one of a multi-frame instance."""

    instance: Instance
    """The instance that holds it."""

    number: int
    """Frame within the instance, from 1."""

    of: int = 1
    """Number of Frames (0028,0008) of the instance."""

    rows: int
    """Rows (0028,0010)."""

    columns: int
    """Columns (0028,0011)."""

    plane: Plane
    """Where it lies."""

    times: TimeKeys
    """When it was acquired."""

    contrast: tuple[str, ...]
    """What it was acquired with: sequence, flip angle, echo time, image type."""

    delay_ms: float | None = None
    """Inversion Time (0018,0082) [ms], which scanners write the delay after a saturation as."""

    echo_ms: float | None = None
    """Echo Time (0018,0081) [ms], where stated."""

    slope: float
    """Rescale Slope (0028,1053)."""

    intercept: float
    """Rescale Intercept (0028,1052)."""

    unit: str | None = None
    """UCUM code of the values, where they are concentrations: slope and intercept are then those
    of the mapping that says so."""

    native: NativePixels | None = None
    """Where its values lie, where that is known before its file is parsed again."""

    @property
    def named(self) -> str:
        """How messages name the frame."""
        if self.number == 1:
            return self.instance.named
        return f"{self.instance.named} frame {self.number}"

    @property
    def height_mm(self) -> float:
        """Position along its own normal [mm]."""
        return float(self.plane.position_mm @ self.plane.normal)


def listed(names: list[str], most: int = 4) -> str:
    """Return names as a list that a message can hold."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
