"""The series that the pool is trained and judged on, prepared as serving prepares them.

The real series are the internal ones of the shared research data: 31 patients of one centre, split
by patient. Generated ones come from ``pipeline.phantom``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, shift

from pipeline.analyses.perfusion.firstpass import blood_curve, first_beat
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.motion import estimate_shifts
from pipeline.imaging.nifti import read_labels, read_time_series
from pipeline.phantom import PhantomSettings, perfusion_phantom

TEST_PATIENTS = frozenset({"05", "12", "18", "23", "28", "33", "37", "40"})
"""Patients that no training and no choice ever sees: 31 series, 4 patients with the full field of
view."""

VALIDATION_PATIENTS = frozenset({"10", "26", "36"})
"""Patients whose Dice is logged during training, and on whom settings are chosen."""

ROI_MM = 230.0
"""Side of the square around the heart that training keeps of a slice [mm]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSlice:
    """One slice over time with its truth."""

    name: str
    """Name of the series."""

    frames: NDArray[np.float32]
    """Intensities around the heart, not corrected for motion. Shape ``(beats, rows, columns)``."""

    shifts_mm: NDArray[np.float64]
    """Where the heart lies on each beat, relative to the truth's position. Shape ``(beats, 2)``."""

    spacing_mm: tuple[float, float]
    """Spacing of rows and of columns [mm]."""

    centre: tuple[float, float]
    """Centre of the left ventricle, ``(row, column)`` [pixels]."""

    first_beat: int
    """Where serving would start the model's window."""

    truth: NDArray[np.float32]
    """Share of myocardium and of blood pool in each pixel. Shape ``(2, rows, columns)``."""


def series_paths(folder: Path, split: str) -> list[Path]:
    """Return the images of one split of the internal series, in order.

    Parameters
    ----------
    folder
        Folder with ``patientNN_*.nii.gz`` and ``patientNN_*_label.nii.gz``.
    split
        ``train``, ``validation`` or ``test``.
    """
    chosen = []
    for path in sorted(folder.glob("patient*.nii.gz")):
        patient = path.name.removeprefix("patient").split("_")[0]
        if path.name.endswith("_label.nii.gz"):
            continue
        if patient in TEST_PATIENTS:
            belongs = "test"
        elif patient in VALIDATION_PATIENTS:
            belongs = "validation"
        else:
            belongs = "train"
        if belongs == split:
            chosen.append(path)
    return chosen


def label_path(image: Path) -> Path:
    """Return the label file that belongs to an image: ``NAME.nii.gz``, ``NAME_label.nii.gz``."""
    return image.with_name(image.name.removesuffix(".nii.gz") + "_label.nii.gz")


def load_real(path: Path) -> TrainingSlice:
    """Read one internal series: one slice, labelled on the beats of its first pass."""
    series = read_time_series(path)
    frames = series.array[:, 0]
    labels = read_labels(label_path(path))[:, 0]
    spacing = series.spacing_mm[1:]
    labelled = np.flatnonzero((labels > 0).any(axis=(1, 2)))
    centre = center_of_mass((labels[labelled] > 0).mean(axis=0))
    shifts = estimate_shifts(frames, centre, spacing)
    shifts -= np.median(shifts[labelled], axis=0)
    truth = np.stack(
        [
            np.mean([_aligned(labels[b] == value, shifts[b], spacing) for b in labelled], axis=0)
            for value in (1, 2)
        ]
    )
    return _around_heart(path.name, frames, shifts, spacing, truth.astype(np.float32))


def load_generated(seed: int) -> TrainingSlice:
    """Generate one slice by the numerical phantom."""
    rng = np.random.default_rng(seed)
    spacing = float(rng.uniform(1.2, 2.5))
    side = int(230 / spacing)
    settings = PhantomSettings(
        n_slices=1,
        n_beats=int(rng.integers(35, 60)),
        rows=side,
        columns=side,
        pixel_spacing_mm=(spacing, spacing),
        randomise=True,
    )
    phantom = perfusion_phantom(seed, settings)
    truth = np.stack([phantom.labels[0] == value for value in (1, 2)]).astype(np.float32)
    # Serving knows the motion only up to the error of its estimate.
    shifts = phantom.shifts_mm[:, 0] + rng.normal(0, 0.7, phantom.shifts_mm[:, 0].shape)
    return _around_heart(
        f"phantom {seed}", phantom.image.array[:, 0], shifts, phantom.image.spacing_mm[1:], truth
    )


def _aligned(
    mask: NDArray[np.bool_], shift_mm: NDArray[np.float64], spacing_mm: tuple[float, float]
) -> NDArray[np.float32]:
    """Return a beat's mask moved to the reference position."""
    moved: NDArray[np.float32] = shift(
        mask.astype(np.float32), -shift_mm / np.array(spacing_mm), order=1
    )
    return moved


def _around_heart(
    name: str,
    frames: NDArray[np.float32],
    shifts: NDArray[np.float64],
    spacing: tuple[float, float],
    truth: NDArray[np.float32],
) -> TrainingSlice:
    """Cut the square around the heart and find the window of the first pass."""
    centre = np.array(center_of_mass(truth.sum(axis=0)))
    half = ROI_MM / 2 / np.array(spacing)
    low = np.maximum(0, np.floor(centre - half)).astype(int)
    high = np.ceil(centre + half).astype(int) + 1
    cut = (slice(low[0], high[0]), slice(low[1], high[1]))
    inside = (float(centre[0] - low[0]), float(centre[1] - low[1]))
    kept = np.ascontiguousarray(frames[:, cut[0], cut[1]])
    grid = SliceGrid(centre=inside, pixel_spacing_mm=spacing, size=48, spacing_mm=2.0)
    return TrainingSlice(
        name=name,
        frames=kept,
        shifts_mm=shifts,
        spacing_mm=spacing,
        centre=inside,
        first_beat=first_beat(blood_curve(grid.resample(kept, shifts), 2.0), 30),
        truth=np.ascontiguousarray(truth[:, cut[0], cut[1]]),
    )
