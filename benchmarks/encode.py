"""Area ``encode``: a segmentation and a map as DICOM objects, beside highdicom called plainly.

Both write the same values to a file, in processes of their own:
``python -m benchmarks.encode SIDE WHAT FILE``.
"""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from time import perf_counter
from uuid import UUID

import highdicom
import numpy as np
import pydicom
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from benchmarks.row import Row, Terms, in_turn
from pipeline.demo import mr_instance, stored_values, study_identity
from pipeline.encode.codes import STRUCTURES
from pipeline.encode.context import EncodingContext
from pipeline.encode.parametricmap import UNCERTAINTY_MAP, map_object
from pipeline.encode.segmentation import SegmentationContent, segmentation_object
from pipeline.encode.sources import source_header, stand_in
from pipeline.imaging.volume import TimeSeries, Volume
from pipeline.study import InputSeries, SourceFrame

N_SLICES, SIDE, SMALL_SIDE, TINY_SIDE, N_SEGMENTS = 30, 512, 256, 16, 4

CONTEXT = EncodingContext(
    job_id=UUID("5d2b1d6e-0c55-5e55-9d0b-0a2f7b1c9e10"),
    software_version="0",
    bundle_name="benchmark",
    bundle_version="0",
    bundle_digest="00" * 32,
    segmentation_types=("BINARY",),
)

CONTENT = SegmentationContent(
    label="BENCHMARK",
    description="Four segments",
    structures=(STRUCTURES * N_SEGMENTS)[:N_SEGMENTS],
)


def measure(terms: Terms) -> Iterator[Row]:
    """Yield time and memory of each kind of object."""
    side = SMALL_SIDE if terms.is_small else SIDE
    for kind, what in (
        ("seg", f"SEG, {N_SLICES} x {side} x {side} x {N_SEGMENTS} segments"),
        ("map", f"Parametric Map, {N_SLICES} x {side} x {side}"),
    ):
        peaks: dict[str, list[float]] = {"our": [], "plain": []}
        files = {whose: terms.place / f"{kind}-{whose}.dcm" for whose in peaks}

        def took(whose: str) -> float:
            seconds, mib = apart(side, f"{kind}-{whose}", files[whose])
            peaks[whose].append(mib)
            return seconds

        ours, theirs = in_turn(terms.rounds, lambda: took("our"), lambda: took("plain"))
        if pixels_of(files["our"]) != pixels_of(files["plain"]):
            raise ValueError(f"{what}: ours and highdicom write other pixels")
        against = f"highdicom {highdicom.__version__}, its constructor and save_as"
        yield Row(area="encode", what=what, against=against, ours=ours, theirs=theirs, aim=1.0)
        yield Row(
            area="encode",
            what=f"{what}: peak memory above what was there before",
            against=against,
            ours=tuple(peaks["our"][1:]),
            theirs=tuple(peaks["plain"][1:]),
            unit="MiB",
            aim=0.25,
        )


def apart(side: int, what: str, file: Path) -> tuple[float, float]:
    """Write an object in a process of its own; return its time [s] and its peak [MiB]."""
    call = [sys.executable, "-m", "benchmarks.encode", str(side), what, str(file)]
    found = subprocess.run(call, capture_output=True, text=True, check=True)
    seconds, mib = json.loads(found.stdout.splitlines()[-1])
    return seconds, mib


def pixels_of(file: Path) -> bytes:
    """Return what an object shows."""
    instance = pydicom.dcmread(file)
    shown: bytes = instance.get("PixelData") or instance.FloatPixelData
    return shown


def example(side: int) -> tuple[InputSeries, NDArray[np.uint8], NDArray[np.float32]]:
    """Return a series, its labels (slices, rows, columns) and a map of the same shape."""
    times = np.zeros((1, N_SLICES))
    array = np.zeros((1, N_SLICES, side, side), dtype=np.float32)
    # Slices ascend to the head, rows to the back, columns to the left: LPS+ [mm].
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = 3.0, 1.0, 1.0, 1.0
    image = TimeSeries(array=array, affine=affine, times_s=times, times_are_estimated=False)
    stored, study = stored_values(array), study_identity(image, "benchmark of encode")
    header = mr_instance(image, stored, study, (0, 0))
    del header.PixelData
    frames = tuple(
        SourceFrame(
            path=Path(f"{index}.dcm"),
            sop_class_uid=MRImageStorage,
            sop_instance_uid=f"1.2.3.{index + 1}",
            series_instance_uid=header.SeriesInstanceUID,
            frame_number=1,
        )
        for index in range(N_SLICES)
    )
    series = InputSeries(
        label="benchmark",
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uids=(header.SeriesInstanceUID,),
        image=image,
        frames=(frames,),
        header=header,
        input_digest="",
    )
    rng = np.random.default_rng(2)
    labels = rng.integers(0, N_SEGMENTS + 1, (N_SLICES, side // 8, side // 8), dtype=np.uint8)
    shown = np.repeat(np.repeat(labels, 8, axis=1), 8, axis=2)
    return series, shown, rng.random((N_SLICES, side, side), dtype=np.float32)


def written(side: int, what: str, file: Path) -> tuple[float, float]:
    """Write an object here; return its time [s] and the peak of what it allocates [MiB].

    A tiny one goes before: the tables of the standard that highdicom loads with its first object
    are the same on both sides, and no part of an object.
    """
    save(TINY_SIDE, what, file)
    return save(side, what, file)


def save(side: int, what: str, file: Path) -> tuple[float, float]:
    """Write an object; return its time [s] and the peak of what it allocates [MiB]."""
    series, labels, values = example(side)
    if series.header is None:
        raise ValueError("the example has a header")
    image = stand_in(series, source_header(series), CONTEXT)
    sources = images_of(series, image)
    ways: dict[str, Callable[[], Dataset]] = {
        "seg-our": lambda: segmentation_object(
            Volume(array=labels, affine=series.image.affine),
            "BINARY",
            (series, image),
            CONTEXT,
            CONTENT,
        ),
        "map-our": lambda: map_object(
            Volume(array=values, affine=series.image.affine),
            UNCERTAINTY_MAP,
            (series, image),
            CONTEXT,
        ),
        "seg-plain": lambda: plain_segmentation(labels, sources),
        "map-plain": lambda: plain_map(values, sources),
    }
    began = perf_counter()
    ways[what]().save_as(file)
    seconds = perf_counter() - began
    # Again, for memory alone: to follow what is allocated slows all down. A peak of the whole
    # process would tell of the imports, which took more for a while.
    tracemalloc.start()
    ways[what]().save_as(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 2**20


def images_of(series: InputSeries, first: Dataset) -> list[Dataset]:
    """Return the images of a series without their pixels, which highdicom's constructors take."""
    images = []
    for index, frame in enumerate(series.frames[0]):
        image = deepcopy(first)
        image.SOPInstanceUID = frame.sop_instance_uid
        origin, step = series.image.affine[:3, 3], series.image.affine[:3, 0]
        image.ImagePositionPatient = list(origin + index * step)
        images.append(image)
    return images


def plain_segmentation(labels: NDArray[np.uint8], sources: list[Dataset]) -> Dataset:
    """Return a segmentation as a user of highdicom makes it."""
    return Segmentation(
        source_images=sources,
        pixel_array=labels,
        segmentation_type="BINARY",
        segment_descriptions=[
            SegmentDescription(
                segment_number=number,
                segment_label=f"segment {number}",
                segmented_property_category=codes.SCT.Organ,
                segmented_property_type=codes.SCT.Heart,
                algorithm_type="MANUAL",
            )
            for number in range(1, N_SEGMENTS + 1)
        ],
        omit_empty_frames=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **NAMED,
    )


def plain_map(values: NDArray[np.float32], sources: list[Dataset]) -> Dataset:
    """Return a map as a user of highdicom makes it."""
    mapping = RealWorldValueMapping(
        lut_label="MAP",
        lut_explanation="a map",
        unit=CodedConcept("1", "UCUM", "no units"),
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
    )
    return ParametricMap(
        source_images=sources,
        pixel_array=values,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[highdicom.VOILUTTransformation(0.5, 1.0)],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **NAMED,
    )


NAMED = {
    "series_instance_uid": "1.2.3.4.5",
    "series_number": 1,
    "sop_instance_uid": "1.2.3.4.6",
    "instance_number": 1,
    "manufacturer": "benchmark",
    "manufacturer_model_name": "benchmark",
    "software_versions": "0",
    "device_serial_number": "0",
}
"""What names the objects of the plain way."""


if __name__ == "__main__":
    print(json.dumps(written(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))))
