"""Area ``ingest``: a folder of instances to the volume in memory, as ``vesalius run`` reads it.

Ours scans, hashes, checks, sorts and loads, and decodes in a confined process. A plain loop of
pydicom does none of the checks; dicom2nifti and dcm2niix write a NIfTI file.
"""

import subprocess
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from benchmarks.peers import PINNED, NotInstalled, ask, debian, python_of
from benchmarks.row import Missing, Row, Terms, in_turn, seconds_of
from pipeline.demo import write_study
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import take_inventory
from pipeline.phantom import PhantomSettings, perfusion_phantom

SIDE = 192
N_SLICES, N_BEATS = 10, 100
SYNTAXES = {"explicit": ExplicitVRLittleEndian, "JPEG-LS": JPEGLSLossless, "RLE": RLELossless}
"""Transfer syntaxes that are read, by what the table calls them."""


def measure(terms: Terms) -> Iterator[Row | Missing]:
    """Yield ours beside each way of reading the same files."""
    image = example(terms)
    for name, syntax in SYNTAXES.items():
        folder = terms.place / name
        written(image, folder, syntax)
        what = f"{image.n_beats * image.n_slices} instances of {SIDE} x {SIDE}, {name}"
        ours, theirs = in_turn(
            terms.rounds,
            lambda: seconds_of(lambda: our_values(folder)),
            lambda: seconds_of(lambda: plain_values(folder)),
        )
        if not np.array_equal(our_values(folder), plain_values(folder)):
            raise ValueError(f"{what}: ours and the plain loop read other values")
        version = pydicom.__version__
        yield Row(
            area="ingest",
            what=what,
            against=f"a plain loop of pydicom {version}: dcmread, pixel_array, sort, stack",
            ours=ours,
            theirs=theirs,
            aim=1.0,
            note="the loop hashes and checks nothing, and decodes in its own process",
        )
    yield from _converters(terms, terms.place / "explicit", image)


def _converters(terms: Terms, folder: Path, image: TimeSeries) -> Iterator[Row | Missing]:
    """Yield ours beside the converters that can be installed."""
    what = f"{image.n_beats * image.n_slices} instances of {SIDE} x {SIDE}, explicit"
    for against, aim, convert in (
        (PINNED["dicom2nifti"][0].replace("==", " "), 1.0, by_dicom2nifti),
        ("dcm2niix, without compression", 2.0, by_dcm2niix),
    ):
        try:
            ours, theirs = in_turn(
                terms.rounds,
                lambda: seconds_of(lambda: our_values(folder)),
                lambda: convert(folder, terms.place),
            )
        except NotInstalled as reason:
            yield Missing(against=against, reason=str(reason))
            continue
        yield Row(
            area="ingest",
            what=what,
            against=against,
            ours=ours,
            theirs=theirs,
            aim=aim,
            note="theirs also writes a file; ours hashes every file, twice",
        )


def example(terms: Terms) -> TimeSeries:
    """Return a series: two generated beats in turn, each moved a little, whole numbers."""
    n_slices, n_beats = (2, 4) if terms.is_small else (N_SLICES, N_BEATS)
    settings = PhantomSettings(n_slices=n_slices, n_beats=2, rows=SIDE, columns=SIDE)
    drawn = perfusion_phantom(1, settings).image
    beats = [np.roll(drawn.array[beat % 2], beat, axis=2) for beat in range(n_beats)]
    step = float(np.median(np.diff(drawn.times_s, axis=0)))
    times = drawn.times_s[:1] + step * np.arange(n_beats)[:, np.newaxis]
    return TimeSeries(
        array=np.rint(np.stack(beats)).astype(np.float32),
        affine=drawn.affine,
        times_s=times,
        times_are_estimated=False,
        frame_of_reference_uid=drawn.frame_of_reference_uid,
    )


def written(image: TimeSeries, folder: Path, syntax: UID) -> Sequence[Path]:
    """Write a series as classic MR in a transfer syntax."""
    paths = write_study(image, folder, name="benchmark of ingest")
    if syntax != ExplicitVRLittleEndian:
        for path in paths:
            instance = pydicom.dcmread(path)
            instance.compress(syntax, generate_instance_uid=False)
            file = BytesIO()
            instance.save_as(file, enforce_file_format=True)
            path.write_bytes(file.getvalue())
    return paths


def our_values(folder: Path) -> NDArray[np.float32]:
    """Return the values of the one series of a folder, read as ``vesalius run`` does."""
    (candidate,) = take_inventory([folder]).candidates
    series = candidate.load()
    return series.image.array


def plain_values(folder: Path) -> NDArray[np.float32]:
    """Return the same by a plain loop. Shape ``(beats, slices, rows, columns)``."""
    instances = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    normal = np.cross(*np.reshape(instances[0].ImageOrientationPatient, (2, 3)).astype(float))
    heights = [round(float(np.dot(normal, i.ImagePositionPatient)), 3) for i in instances]
    order = sorted(range(len(instances)), key=lambda i: (instances[i].AcquisitionTime, heights[i]))
    order.sort(key=lambda i: heights[i])
    n_slices = len(set(heights))
    stacked = np.stack([instances[i].pixel_array for i in order]).astype(np.float32)
    return stacked.reshape(n_slices, -1, *stacked.shape[1:]).swapaxes(0, 1)


def by_dicom2nifti(folder: Path, place: Path) -> float:
    """Return how long dicom2nifti takes [s]."""
    told = ask(python_of("dicom2nifti"), "dicom2niftiseries.py", folder, place / "d2n.nii")
    return float(told["seconds"])


def by_dcm2niix(folder: Path, place: Path) -> float:
    """Return how long dcm2niix takes [s], its start included."""
    output = place / "dcm2niix"
    output.mkdir(exist_ok=True)
    call = [debian("dcm2niix", "dcm2niix"), "-z", "n", "-b", "n", "-w", "1"]
    call += ["-o", str(output), "-f", "out", str(folder)]

    def convert() -> None:
        ended = subprocess.run(call, capture_output=True, text=True, check=False)
        if not any(output.glob("*.nii")):
            raise NotInstalled(f"dcm2niix writes nothing, status {ended.returncode}")

    return seconds_of(convert)
