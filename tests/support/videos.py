"""Generated videos: each picture's brightness says which picture it is."""

from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import VideoEndoscopicImageStorage

RATE_HZ = 25
SIDE = (64, 96)
TICKS = 90_000
"""Ticks of a second."""

FINE_CLOCK = ("libx264", "libx265")
"""Codecs whose pictures may have any time."""

SYNTAXES = {
    "mpeg2video": "1.2.840.10008.1.2.4.100",
    "libx264": "1.2.840.10008.1.2.4.102",
    "libx265": "1.2.840.10008.1.2.4.107",
}
"""Transfer syntax of each codec."""


def level_of(index: int) -> int:
    """Return the brightness of a picture: neighbours differ by more than a codec's error."""
    return 30 + (index * 37) % 190


def write_video(
    path: Path | BytesIO,
    n_pictures: int = 75,
    *,
    codec: str = "libx264",
    form: str | None = None,
    times_s: Sequence[float] | None = None,
) -> Path | BytesIO:
    """Write a video, its pictures at a fixed rate or at given times, and return where."""
    times = times_s or [n / RATE_HZ for n in range(n_pictures)]
    target = str(path) if isinstance(path, Path) else path
    with av.open(target, mode="w", format=form) as container:
        stream = container.add_stream(codec, rate=RATE_HZ)
        stream.height, stream.width = SIDE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.max_b_frames = 2
        stream.codec_context.gop_size = 12
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        if codec in FINE_CLOCK:
            stream.codec_context.time_base = Fraction(1, TICKS)
        for index, t in enumerate(times):
            picture = np.full((*SIDE, 3), level_of(index), dtype=np.uint8)
            # Something that moves, so that pictures depend on each other.
            picture[8:16, (3 * index) % 80 : (3 * index) % 80 + 8] = 255 - level_of(index)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = Fraction(1, TICKS if codec in FINE_CLOCK else RATE_HZ)
            frame.pts = round(t / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shown_level(rgb: np.ndarray) -> float:
    """Return the brightness of a picture, away from what moves."""
    return float(rgb[32:].mean())


def write_sound(path: Path) -> Path:
    """Write a container with sound and no picture."""
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("aac", rate=8000)
        for start in range(0, 8000, 1024):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 8000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_dicom_video(
    path: Path,
    n_pictures: int = 75,
    *,
    codec: str = "libx264",
    fragments: int = 1,
    has_offsets: bool = False,
    **attributes: object,
) -> Path:
    """Write a Video Endoscopic object, its stream in one fragment or several."""
    stream = BytesIO()
    write_video(stream, n_pictures, codec=codec, form="mp4")
    content = stream.getvalue()
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = SYNTAXES[codec]
    dataset.SOPClassUID = VideoEndoscopicImageStorage
    dataset.SOPInstanceUID = "1.2.826.0.1.9.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.826.0.1.9.1", "1.2.826.0.1.9.2"
    dataset.PatientID, dataset.PatientName = "0042", "Doe^Jane"
    dataset.Modality, dataset.InstanceNumber = "ES", 1
    dataset.StudyDate = dataset.ContentDate = "20260102"
    dataset.ContentTime = "101500"
    dataset.Rows, dataset.Columns = SIDE
    dataset.NumberOfFrames = n_pictures
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "YBR_PARTIAL_420"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation, dataset.PlanarConfiguration = 0, 0
    dataset.FrameTime = 1000 / RATE_HZ
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    size = -(-len(content) // fragments // 2) * 2
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    dataset.PixelData = encapsulate(parts, has_bot=has_offsets)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path
