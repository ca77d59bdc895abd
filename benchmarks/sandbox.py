"""What a process of its own costs: ``python -m benchmarks.sandbox [--rounds N]``.

Generated inputs are read in this process and by a reader, in turns; the table has the medians.
"""

import os
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import av
import h5py
import nibabel
import numpy as np
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from benchmarks.memory import peak_mib
from pipeline.demo import write_study
from pipeline.imaging.nifti import read_time_series
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest import nifti
from pipeline.ingest.collect import FoundFile
from pipeline.ingest.decoder import decode
from pipeline.ingest.decoding import Decoder
from pipeline.ingest.limits import in_force
from pipeline.ingest.raw import confined
from pipeline.ingest.raw.files import FASTMRI
from pipeline.ingest.raw.part import RawPart, RawShape
from pipeline.ingest.video.footage import ConfinedPictures
from pipeline.ingest.video.pictures import Pictures, VideoSource
from pipeline.ingest.video.source import Footage, Kind
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.sandbox.confine import holds
from pipeline.sandbox.reader import NURSERIES, Allowance, Reader, Task

MIB = 1 << 20
BEATS, ROWS, COLUMNS = 40, 192, 160
SLICES, COILS, SIDE = 4, 15, 320
PICTURES, RATE_HZ, HEIGHT, WIDTH = 500, 25, 480, 640


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What reading one input takes."""

    what: str
    """The input."""

    inside_ms: float
    """In this process [ms]."""

    apart_ms: float
    """By a reader [ms]."""


def main() -> None:
    """Measure and print."""
    parser = ArgumentParser(prog="benchmarks.sandbox", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    found = holds()
    print(f"Landlock {found.landlock}, seccomp {found.seccomp}; medians of {rounds} rounds")
    print(f"first reader of a process (loads the libraries)  {1000 * _first():8.0f} ms")
    print(
        f"each further reader, asked for nothing           {1000 * _timed(_idle, rounds):8.1f} ms"
    )
    nursery = NURSERIES.process_id
    assert nursery is not None  # noqa: S101 - it has made readers
    print(f"memory of the nursery, every library loaded      {_preloaded(nursery):8.0f} MiB")
    print(f"processor time of each further reader            {_processor_ms(nursery):8.1f} ms")
    print("input                                       in process    by a reader     ratio")
    with TemporaryDirectory() as place:
        for what, inside, apart in _cases(Path(place)):
            cost = _compared(what, inside, apart, rounds)
            ratio = cost.apart_ms / cost.inside_ms
            print(f"{what:44}{cost.inside_ms:7.1f} ms   {cost.apart_ms:9.1f} ms   {ratio:7.2f}")


def _first() -> float:
    """Return the time of the first reader [s]."""
    began = perf_counter()
    _idle()
    return perf_counter() - began


def _preloaded(nursery: int) -> float:
    """Return what a nursery holds that has loaded all libraries [MiB]."""
    allowance = Allowance(memory_bytes=64 * MIB, time_s=60.0, answer_bytes=MIB)
    for module in ("pipeline.ingest.decoder", "pipeline.ingest.video.reading"):
        with Reader("nothing", allowance, module) as reader:
            reader.call(Task(address="pipeline.ingest.uids:is_uid"), "1.2.3")
    return peak_mib(nursery)


def _processor_ms(nursery: int, n_readers: int = 20) -> float:
    """Return the processor time of a reader and of its making, whatever else goes on [ms]."""

    def used() -> float:
        fields = Path(f"/proc/{nursery}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    before = used()
    for _ in range(n_readers):
        _idle()
    return 1000 * (used() - before) / n_readers


def _idle() -> None:
    """Have a reader made and answer."""
    allowance = Allowance(memory_bytes=64 * MIB, time_s=60.0, answer_bytes=MIB)
    with Reader("nothing", allowance, "pipeline.ingest.raw.confined") as reader:
        reader.call(Task(address="pipeline.ingest.uids:is_uid"), "1.2.3")


def _compared(
    what: str, inside: Callable[[], object], apart: Callable[[], object], rounds: int
) -> Cost:
    """Return what both ways take, in turns."""
    inside()
    apart()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for way, kept in zip((inside, apart), times, strict=True):
            began = perf_counter()
            way()
            kept.append(1000 * (perf_counter() - began))
    return Cost(what=what, inside_ms=median(times[0]), apart_ms=median(times[1]))


def _timed(way: Callable[[], object], rounds: int) -> float:
    """Return the median time of a way [s]."""
    times = []
    for _ in range(rounds):
        began = perf_counter()
        way()
        times.append(perf_counter() - began)
    return median(times)


def _cases(
    folder: Path,
) -> list[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Return inputs, each with both ways of reading it."""
    limits = in_force()
    image = perfusion_phantom(
        1, PhantomSettings(n_slices=1, n_beats=BEATS, rows=ROWS, columns=COLUMNS)
    ).image
    dicoms = _dicoms(image, folder / "study")
    n_bytes = 2 * ROWS * COLUMNS

    def apart_dicom() -> None:
        with closing(Decoder()) as decoder:
            for content in dicoms:
                decoder.decode(content, n_bytes)

    packed, raw = _nifti(image, folder / "a.nii.gz"), _raw(folder / "a.h5")
    part = RawPart(
        name="",
        shape=RawShape(n_frames=1, n_slices=SLICES, n_coils=COILS, rows=SIDE, columns=SIDE),
        study_instance_uid=None,
    )
    candidate = nifti.nifti_candidate(packed, limits)
    video = _video(folder / "a.mp4")
    footage = Footage(name="a.mp4", kind=Kind.FILE, place=str(video))
    source = VideoSource(name="a.mp4", start_seconds=0.0, open=lambda: video.open("rb"))
    return [
        (
            f"DICOM, JPEG-LS, {BEATS} instances {ROWS}x{COLUMNS}",
            lambda: [decode(content) for content in dicoms],
            apart_dicom,
        ),
        (
            f"NIfTI, gzip, {BEATS} beats {ROWS}x{COLUMNS}",
            lambda: read_time_series(packed.path),
            candidate.load,
        ),
        (
            f"HDF5, {SLICES} slices {COILS} coils {SIDE}x{SIDE}",
            lambda: FASTMRI.read(raw.path, raw.name, "", limits),
            lambda: confined.content(raw, FASTMRI.name, part, limits),
        ),
        (
            f"video, H.264, {PICTURES} of {WIDTH}x{HEIGHT}, 1 a second",
            lambda: list(Pictures([source], 1.0)),
            lambda: list(ConfinedPictures([footage], 1.0)),
        ),
    ]


def _dicoms(image: TimeSeries, folder: Path) -> list[bytes]:
    """Return the instances of a series, compressed."""
    write_study(image, folder, name="benchmark")
    contents = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        instance = dcmread(path)
        if "PixelData" not in instance:
            continue
        instance.compress(JPEGLSLossless, generate_instance_uid=False)
        file = BytesIO()
        instance.save_as(file, enforce_file_format=True)
        contents.append(file.getvalue())
    return contents


def _nifti(image: TimeSeries, path: Path) -> FoundFile:
    """Write a series as compressed NIfTI."""
    values = np.rint(image.array).astype(np.int16).transpose(3, 2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([2.0, 2.0, 8.0, 1.0])), path)
    return FoundFile(path=path, name=path.name, was_named=True)


def _raw(path: Path) -> FoundFile:
    """Write raw data as fastMRI does."""
    rng = np.random.default_rng(0)
    shape = (SLICES, COILS, SIDE, SIDE)
    noise = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    middle = np.exp(-((np.arange(SIDE) - SIDE // 2) ** 2) / 200.0)
    with h5py.File(path, "w") as file:
        file["kspace"] = (noise * np.outer(middle, middle)).astype(np.complex64)
    return FoundFile(path=path, name=path.name, was_named=True)


def _video(path: Path) -> Path:
    """Write a video."""
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for index in range(PICTURES):
            picture = np.roll(still, index, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
