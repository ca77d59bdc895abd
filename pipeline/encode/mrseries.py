"""What the images of a reconstruction share: whose they are, where they lie, and their values.

One scale and one window hold for all frames and slices, so that intensities can be compared over
time. Attributes of another series, such as a reference's sequence and times, are not taken.

References
----------
.. [C83] DICOM PS3.3, C.8.3.1 MR Image module.
.. [C7615] DICOM PS3.3, C.8.13.5.7 MR Modifier macro: parallel acquisition, partial Fourier.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from pipeline.analyses.reconstruction.result import ReconstructionResult
from pipeline.encode.codes import NEURAL_NETWORK, ZERO_FILLED, private_scheme
from pipeline.encode.context import MAKER, EncodingContext, series_number
from pipeline.encode.provenance import contributing_equipment
from pipeline.encode.sources import coded, source_header
from pipeline.identity import JOB_NAMESPACE, derived_uid
from pipeline.imaging.volume import TimeSeries
from pipeline.mr.kspace import Readout
from pipeline.study import RawSeries

IMPLEMENTATION_CLASS_UID = UID(derived_uid(JOB_NAMESPACE, "implementation class"))
"""Implementation Class UID (0002,0012) of the files of this software."""

LARGEST_STORED = 4095
"""Largest stored value: 12 bits, as MR scanners write."""

BITS_STORED = 12

WHITE_QUANTILE = 0.995
"""Share of the pixels with signal that are not shown as white."""

SIGNAL = 0.05
"""Pixels above this share of the largest value have signal."""

LONGEST_DESCRIPTION = 1024
"""Characters of a value of VR ST."""

LEAN = 0.8
"""Reach of samples to one side of the origin over that to the other, below which the acquisition
is partial Fourier."""

COPIED = (
    "SpecificCharacterSet",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "StudyDescription",
    "InstitutionName",
    "ProtocolName",
    "BodyPartExamined",
    "AnatomicRegionSequence",
    "ScanningSequence",
    "SequenceVariant",
    "SequenceName",
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
)
"""Attributes beside the patient's that images take as they are known."""


@dataclass(frozen=True, kw_only=True)
class ImageSeries:
    """The images of a reconstruction, about to become DICOM objects."""

    raw: RawSeries
    """The raw data."""

    result: ReconstructionResult
    """What was made of them."""

    context: EncodingContext
    """What it is made under."""

    affine: NDArray[np.float64]
    """The grid, LPS+ [mm]. Shape ``(4, 4)``."""

    @cached_property
    def magnitude(self) -> NDArray[np.float32]:
        """Magnitude. Shape ``(frames, slices, rows, columns)``."""
        return np.abs(self.result.image)

    @cached_property
    def slope(self) -> float:
        """Magnitude of a stored value of one."""
        return float(self.magnitude.max(initial=0.0)) / LARGEST_STORED or 1.0

    @cached_property
    def stored(self) -> NDArray[np.uint16]:
        """Stored values. Shape ``(frames, slices, rows, columns)``."""
        stored: NDArray[np.uint16] = np.rint(self.magnitude / self.slope).astype(np.uint16)
        return stored

    @cached_property
    def window(self) -> tuple[float, float]:
        """Centre and width, in stored values: black is zero, white is nearly the brightest."""
        signal = self.stored[self.stored > SIGNAL * LARGEST_STORED]
        white = float(np.quantile(signal, WHITE_QUANTILE)) if signal.size else 1.0
        return white / 2, max(white, 1.0)

    @cached_property
    def header(self) -> Dataset:
        """What is known of patient, study and equipment, with all that every object has."""
        header = source_header(self.raw)
        header.StudyInstanceUID = self.raw.study_instance_uid or derived_uid(
            JOB_NAMESPACE, f"study/{self.raw.input_digest}"
        )
        return header

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame of Reference UID: the source's, or one of the raw data's own."""
        own = derived_uid(JOB_NAMESPACE, f"frame of reference/{self.raw.input_digest}")
        return self.raw.kspace.frame_of_reference_uid or own

    @cached_property
    def image(self) -> TimeSeries:
        """The images as other analyses take them: stored values, placed and timed."""
        return TimeSeries(
            array=self.stored.astype(np.float32),
            affine=self.affine,
            times_s=self.raw.kspace.times_s,
            times_are_estimated=self.raw.kspace.times_are_estimated,
            frame_of_reference_uid=self.frame_of_reference_uid,
        )


def description(series: ImageSeries) -> str:
    """Return how the images came about: Derivation Description (0008,2111)."""
    result, kspace = series.result, series.raw.kspace
    residual = float(np.mean([s.kspace_residual for s in result.slices])) if result.slices else 0.0
    consistency = "; measured samples put back" if result.hard_data_consistency else ""
    text = (
        f"Reconstructed from k-space of {kspace.n_coils} coils, acceleration "
        f"{result.acceleration:.2f}: {result.algorithm}{consistency}. Residual of the measured "
        f"samples {100 * residual:.1f} %. {MAKER} {series.context.software_version}, "
        f"{series.context.bundle_name} {series.context.bundle_version}. For research only."
    )
    return text[:LONGEST_DESCRIPTION]


def common_attributes(series: ImageSeries, role: str) -> Dataset:
    """Return what all images have, classic or enhanced: no UID of an instance, no values.

    Parameters
    ----------
    series
        The images.
    role
        Role of the object, which names its series.
    """
    known, context = series.header, series.context
    shared = Dataset()
    for element in known:
        if element.tag.group == 0x0010 or element.keyword in COPIED:
            shared.add(deepcopy(element))
    shared.Modality = "MR"
    shared.StudyInstanceUID = known.StudyInstanceUID
    shared.SeriesInstanceUID = context.uid(role, "series")
    shared.SeriesNumber = series_number(role, known)
    shared.SeriesDescription = "Vesalius reconstruction"
    shared.PatientPosition = known.get("PatientPosition") or ""
    shared.FrameOfReferenceUID = series.frame_of_reference_uid
    shared.PositionReferenceIndicator = ""
    if not any(known.get(keyword) for keyword in ("BodyPartExamined", "AnatomicRegionSequence")):
        shared.Laterality = ""
    shared.Manufacturer = shared.ManufacturerModelName = MAKER
    shared.SoftwareVersions = context.software_version
    shared.DeviceSerialNumber = context.bundle_digest[:16]
    shared.ContributingEquipmentSequence = DicomSequence(
        [*_scanner(known), contributing_equipment(context)]
    )
    shared.DerivationDescription = description(series)
    shared.DerivationCodeSequence = DicomSequence([coded(c) for c in _derivation(series.result)])
    shared.CodingSchemeIdentificationSequence = DicomSequence([private_scheme()])
    shared.BurnedInAnnotation = "NO"
    shared.LossyImageCompression = "00"
    _add_pixel_description(shared, series)
    return shared


def acquisition_attributes(series: ImageSeries) -> Dataset:
    """Return how k-space was undersampled: parallel acquisition and partial Fourier [C7615]_."""
    item, kspace = Dataset(), series.raw.kspace
    accelerated = series.result.acceleration > 1.0 and kspace.n_coils > 1
    item.ParallelAcquisition = "YES" if accelerated else "NO"
    if accelerated:
        item.ParallelAcquisitionTechnique = "OTHER"
        item.ParallelReductionFactorInPlane = float(series.result.acceleration)
    partial = partial_fourier(np.asarray(kspace.mask.any(axis=(0, 1))))
    item.PartialFourier = "YES" if partial else "NO"
    if partial:
        # A readout that is cut short is a partial echo: a frequency direction.
        along_rows = partial == "rows"
        is_phase = kspace.readout is not (Readout.ROWS if along_rows else Readout.COLUMNS)
        item.PartialFourierDirection = "PHASE" if is_phase else "FREQUENCY"
    return item


def phase_direction(readout: Readout) -> str | None:
    """Return In-plane Phase Encoding Direction (0018,1312); None where both axes are encoded."""
    return {Readout.COLUMNS: "COL", Readout.ROWS: "ROW", Readout.NONE: None}[readout]


def partial_fourier(mask: NDArray[np.bool_]) -> str | None:
    """Return along which axis samples reach less far to one side: ``rows``, ``columns`` or None.

    Parameters
    ----------
    mask
        What was measured. Shape ``(ky, kx)``.
    """
    for axis, name in ((1, "rows"), (0, "columns")):
        places = np.flatnonzero(mask.any(axis=axis)) - mask.shape[1 - axis] // 2
        if places.size:
            reach = sorted((-int(places.min()), int(places.max()) + 1))
            # The origin of an odd number of samples leans by one.
            if reach[0] < LEAN * reach[1] - 1:
                return name
    return None


def add_pixels(image: Dataset, stored: NDArray[np.uint16]) -> None:
    """Add stored values to an image, and the file meta information of what it then is.

    Parameters
    ----------
    image
        The image, with its SOP Class and SOP Instance UID.
    stored
        Shape ``(..., rows, columns)``.
    """
    image.PixelData = np.ascontiguousarray(stored, dtype="<u2").tobytes()
    image["PixelData"].VR = "OW"
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID


def decimal(value: float) -> str:
    """Return a decimal string: at most 16 characters, as precise as that allows."""
    return format_number_as_ds(float(value))


def _add_pixel_description(shared: Dataset, series: ImageSeries) -> None:
    """Add how pixels are stored."""
    shared.SamplesPerPixel = 1
    shared.PhotometricInterpretation = "MONOCHROME2"
    shared.Rows, shared.Columns = series.stored.shape[2:]
    shared.BitsAllocated, shared.BitsStored, shared.HighBit = 16, BITS_STORED, BITS_STORED - 1
    shared.PixelRepresentation = 0


def _scanner(known: Dataset) -> list[Dataset]:
    """Return the item of Contributing Equipment for the scanner, where it is known."""
    if not known.get("Manufacturer"):
        return []
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = DicomSequence([coded(codes.DCM.AcquisitionEquipment)])
    for keyword in (
        "Manufacturer",
        "ManufacturerModelName",
        "DeviceSerialNumber",
        "StationName",
        "InstitutionName",
    ):
        if known.get(keyword):
            item[keyword] = deepcopy(known[keyword])
    return [item]


def _derivation(result: ReconstructionResult) -> list[Code]:
    """Return the codes of what made the images."""
    if result.method == "zero-filled":
        return [ZERO_FILLED]
    return [codes.DCM.IterativeReconstruction, NEURAL_NETWORK]
