"""Write a generated operation on video: what the demonstration of the phases takes in.

A round view of tissue whose colour, texture and instruments change from stretch to stretch, a view
of the operating theatre, and a moment without light. It is nobody's operation and looks like none:
the phases that are found on it mean nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, VideoEndoscopicImageStorage

from pipeline.identity import JOB_NAMESPACE, derived_uid

SHAPE = (240, 320)
"""Rows and columns of a picture."""

RATE_HZ = 2
"""Pictures a second."""

NAME = "operation.mp4"
"""Name of the video file."""

OBJECT_NAME = "operation.dcm"
"""Name of the DICOM object, another operation than the file's."""

H264 = "1.2.840.10008.1.2.4.102"
"""Transfer syntax: MPEG-4 AVC/H.264 High Profile / Level 4.1."""

STUDY_DATE, STUDY_TIME = "20260105", "081500"


_Y = np.linspace(-1, 1, SHAPE[0])[:, None] * np.ones(SHAPE)
_X = np.linspace(-1, 1, SHAPE[1])[None, :] * np.ones(SHAPE) * SHAPE[1] / SHAPE[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A stretch of the operation."""

    seconds: int
    """How long it lasts [s]."""

    tissue: tuple[float, float, float]
    """Colour of the tissue, 0 to 1."""

    roughness: float
    """How much its texture stands out."""

    n_instruments: int
    """Instruments that come from the edge of the view."""

    is_inside: bool = True
    """Whether it is the inside of the patient."""


COURSE = (
    Scene(seconds=8, tissue=(0.55, 0.62, 0.60), roughness=0.1, n_instruments=0, is_inside=False),
    Scene(seconds=40, tissue=(0.74, 0.34, 0.27), roughness=0.25, n_instruments=1),
    Scene(seconds=70, tissue=(0.80, 0.50, 0.30), roughness=0.35, n_instruments=2),
    Scene(seconds=45, tissue=(0.78, 0.52, 0.38), roughness=0.2, n_instruments=2),
    Scene(seconds=4, tissue=(0.01, 0.01, 0.01), roughness=0.0, n_instruments=0),
    Scene(seconds=70, tissue=(0.66, 0.30, 0.22), roughness=0.4, n_instruments=2),
    Scene(seconds=25, tissue=(0.70, 0.48, 0.22), roughness=0.3, n_instruments=1),
    Scene(seconds=40, tissue=(0.62, 0.16, 0.13), roughness=0.3, n_instruments=1),
    Scene(seconds=28, tissue=(0.72, 0.40, 0.32), roughness=0.15, n_instruments=1),
)
"""The operation: so many stretches, none of them a phase of a real one."""


def write_video(folder: Path, seed: int) -> list[Path]:
    """Write an operation as MP4 and another as a DICOM object; return the files.

    Parameters
    ----------
    folder
        Where they go; it is made.
    seed
        Another seed, other operations.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_bytes(_encoded(np.random.default_rng((seed, 1)), COURSE))
    return [path, write_object(folder / OBJECT_NAME, seed)]


def _encoded(rng: np.random.Generator, course: Sequence[Scene]) -> bytes:
    """Return an operation as MP4."""
    target = BytesIO()
    with av.open(target, mode="w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ)
        stream.height, stream.width = SHAPE
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "veryfast"}
        # One thread: the same pictures give the same bytes.
        stream.codec_context.thread_count = 1
        for index, picture in enumerate(_pictures(rng, course)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def _pictures(rng: np.random.Generator, course: Sequence[Scene]) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures of an operation. Shape ``(rows, columns, 3)``."""
    texture = _texture(rng)
    for scene in course:
        drift = rng.uniform(-1, 1, 2)
        start = rng.integers(0, 200, 2)
        for index in range(scene.seconds * RATE_HZ):
            place = (start + index * drift).astype(int)
            yield _picture(scene, np.roll(texture, place, axis=(0, 1)), index)


def _picture(scene: Scene, texture: NDArray[np.float64], index: int) -> NDArray[np.uint8]:
    """Return one picture of a scene."""
    y, x = _Y, _X
    light = np.exp(-(y**2 + x**2) / 1.1) if scene.is_inside else np.ones(SHAPE)
    shade = light * (1 + scene.roughness * texture)
    picture = shade[:, :, None] * np.array(scene.tissue)
    for number in range(scene.n_instruments):
        angle = 0.7 + 2.2 * number + 0.15 * np.sin(index / 9 + number)
        along = y * np.sin(angle) + x * np.cos(angle)
        across = -y * np.cos(angle) + x * np.sin(angle)
        shaft = (np.abs(across) < 0.07) & (along > 0.25 + 0.1 * np.sin(index / 7))
        picture[shaft] = 0.75 - 4.0 * np.abs(across[shaft])[:, None]
    if scene.is_inside:
        picture[y**2 + x**2 > 0.98] = 0.0
    return np.asarray(255 * np.clip(picture, 0, 1), dtype=np.uint8)


def _texture(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a field that repeats at its edges, with detail of several sizes."""
    rows, columns = SHAPE
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None] * rows, np.fft.rfftfreq(columns) * columns)
    spectrum = np.fft.rfft2(rng.standard_normal(SHAPE)) / (1 + frequency / 4) ** 1.2
    field = np.fft.irfft2(spectrum, s=SHAPE)
    return np.asarray(field / field.std())


def write_object(path: Path, seed: int, course: Sequence[Scene] = COURSE) -> Path:
    """Write an operation as a Video Endoscopic object, PS3.3, A.32.5, and return the file.

    Parameters
    ----------
    path
        The file.
    seed
        Another seed, another operation.
    course
        Its stretches, in their order.
    """
    content = _encoded(np.random.default_rng((seed, 2)), course)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(H264)
    dataset.SOPClassUID = VideoEndoscopicImageStorage
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(
            dataset, keyword, derived_uid(JOB_NAMESPACE, f"demonstration video {seed} {keyword}")
        )
    dataset.PatientName, dataset.PatientID = f"Demonstration^Video {seed}", f"DEMO-V{seed}"
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", 1, 1
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.Modality, dataset.Manufacturer = "ES", "Vesalius"
    dataset.StudyDate = dataset.ContentDate = dataset.AcquisitionDate = STUDY_DATE
    dataset.StudyTime = dataset.ContentTime = dataset.AcquisitionTime = STUDY_TIME
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.Rows, dataset.Columns = SHAPE
    dataset.NumberOfFrames = RATE_HZ * sum(scene.seconds for scene in course)
    dataset.FrameTime, dataset.CineRate = round(1000 / RATE_HZ, 6), RATE_HZ
    dataset.FrameIncrementPointer = 0x00181063
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "YBR_PARTIAL_420"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation, dataset.PlanarConfiguration = 0, 0
    dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_14496_10"
    dataset.LossyImageCompressionRatio = 20
    dataset.AcquisitionContextSequence = []
    dataset.Laterality = dataset.PatientOrientation = ""
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator = "818983003", "SCT"
    region.CodeMeaning = "Abdomen"
    dataset.AnatomicRegionSequence = [region]
    dataset.PixelData = encapsulate([content], has_bot=False)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path
