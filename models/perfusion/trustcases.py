"""Slices whose segmentation works or fails, to calibrate and to test trust with.

Few real series fail, so most failures are made: a series is spoilt in one way, by a strength that
is drawn, and what the pool finds then is held against the label of the series as it was. A slice
that is spoilt need not fail; its Dice decides. Generated series come from ``pipeline.phantom`` over
its full ranges; most of them are spoilt, too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, gaussian_filter, shift, zoom

from pipeline.errors import StudyRejected
from pipeline.evaluate.labelled import labelled_series, majority
from pipeline.imaging.nifti import read_labels
from pipeline.ingest.inventory import take_inventory
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.study import InputSeries

Frames = NDArray[np.float32]

SPOILT_SHARE = 0.75
"""Share of the generated slices that are spoilt."""

N_SLICES = 3
"""Slices of the generated series that have neighbours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A series over time, or a part of one, with its truth."""

    name: str
    """Name of the series."""

    group: str
    """What is never split: the patient, or the generated series."""

    spoilt: str
    """How it was spoilt; ``sound`` where it was not."""

    spoilt_slice: int | None
    """Which slice it was; None where all were, or none."""

    frames: Frames
    """Shape ``(beats, slices, rows, columns)``."""

    spacing_mm: tuple[float, float]
    """Spacing of rows and of columns [mm]."""

    truth: NDArray[np.uint8]
    """1 myocardium, 2 blood pool. Shape ``(slices, rows, columns)``."""

    away_mm: tuple[float, float] = (0.0, 0.0)
    """How far from where the heart was located it is looked for instead [mm]."""


def real_cases(path: Path, label: Path, group: str, seed: int, n_ways: int) -> Iterator[Case]:
    """Yield a labelled series as it is, and spoilt in some ways that are drawn."""
    series = labelled_series(path)
    truth = majority(read_labels(label))
    yield from _spoilt_ways(
        _case(path.name.removesuffix(".nii.gz"), group, series, truth), seed, n_ways
    )


def dicom_cases(folder: Path, seed: int, n_ways: int) -> Iterator[Case]:
    """Yield a DICOM series with ``masks.npz`` beside it as it is, and spoilt in ways drawn."""
    inventory = take_inventory([folder])
    series = inventory.candidates[0].load()
    if not isinstance(series, InputSeries):
        raise StudyRejected(f"{folder.name} holds no images")
    with np.load(folder / "masks.npz") as masks:
        truth = np.where(masks["myo"], 1, np.where(masks["lv"], 2, 0)).astype(np.uint8)[None]
    yield from _spoilt_ways(_case(folder.name, folder.name, series, truth), seed, n_ways)


def generated_case(seed: int) -> Case:
    """Return a generated slice; most are spoilt, in a way that is drawn."""
    rng = np.random.default_rng((seed, 1))
    case = _generated(seed, 1, rng)
    if rng.uniform() >= SPOILT_SHARE:
        return case
    return spoilt(case, str(rng.choice(list(WAYS))), rng)


def generated_neighbours(seed: int) -> Case:
    """Return a generated series of several slices of which one, drawn, is spoilt."""
    rng = np.random.default_rng((seed, 2))
    case = _generated(seed, N_SLICES, rng)
    way, index = str(rng.choice(list(WAYS))), int(rng.integers(N_SLICES))
    one = replace(case, frames=case.frames[:, [index]], truth=case.truth[[index]])
    worse = spoilt(one, way, rng)
    if worse.frames.shape[2:] != case.frames.shape[2:] or worse.spacing_mm != case.spacing_mm:
        worse = spoilt(one, "noise", rng)
    frames = case.frames.copy()
    frames[: len(worse.frames), index] = worse.frames[:, 0]
    return replace(
        case,
        frames=frames,
        spoilt=worse.spoilt,
        spoilt_slice=index,
        away_mm=worse.away_mm,
    )


def spoilt(case: Case, way: str, rng: np.random.Generator) -> Case:
    """Return a case spoilt in one way, by a strength that is drawn."""
    return replace(WAYS[way](case, rng), spoilt=way)


def _case(name: str, group: str, series: InputSeries, truth: NDArray[np.uint8]) -> Case:
    """Return a series as a sound case."""
    _, row, column = series.image.spacing_mm
    return Case(
        name=name,
        group=group,
        spoilt="sound",
        spoilt_slice=None,
        frames=series.image.array.astype(np.float32),
        spacing_mm=(row, column),
        truth=truth,
    )


def _spoilt_ways(case: Case, seed: int, n_ways: int) -> Iterator[Case]:
    """Yield a case, and the same spoilt in some ways that are drawn."""
    yield case
    drawn = np.random.default_rng((seed, len(WAYS))).permutation(list(WAYS))[:n_ways]
    for number, way in enumerate(str(each) for each in drawn):
        yield spoilt(case, way, np.random.default_rng((seed, number)))


def _generated(seed: int, n_slices: int, rng: np.random.Generator) -> Case:
    """Return a generated series as a sound case."""
    spacing = float(rng.uniform(1.2, 2.5))
    side = int(rng.uniform(200, 300) / spacing)
    settings = PhantomSettings(
        n_slices=n_slices,
        n_beats=int(rng.integers(35, 60)),
        rows=side,
        columns=side,
        pixel_spacing_mm=(spacing, spacing),
        randomise=True,
    )
    phantom = perfusion_phantom(seed, settings)
    return Case(
        name=f"generated {seed}",
        group=f"generated {seed}",
        spoilt="sound",
        spoilt_slice=None,
        frames=phantom.image.array.astype(np.float32),
        spacing_mm=(spacing, spacing),
        truth=phantom.labels,
    )


def _level(case: Case) -> float:
    """Return what intensities are measured by."""
    return float(np.quantile(case.frames, 0.99))


def _elsewhere(case: Case, rng: np.random.Generator) -> Case:
    """Look for the heart 20 to 80 mm from where it was located."""
    turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(20, 80)
    return replace(case, away_mm=(away * np.sin(turn), away * np.cos(turn)))


def _cut(case: Case, rng: np.random.Generator) -> Case:
    """Cut the field of view so that its edge runs near the heart's middle or through it."""
    middle = center_of_mass((case.truth > 0).any(axis=0))
    axis = int(rng.integers(2))
    edge = int(middle[axis] + rng.uniform(-25, 35) / case.spacing_mm[axis])
    n_lines = case.truth.shape[1 + axis]
    keep = (
        slice(0, max(edge, n_lines // 3))
        if rng.uniform() < 0.5
        else slice(min(n_lines - edge, 2 * n_lines // 3), n_lines)
    )
    at = (slice(None), keep) if axis == 0 else (slice(None), slice(None), keep)
    truth = case.truth[at]
    if not (truth == 1).any():
        return case
    return replace(case, frames=case.frames[(slice(None), *at)], truth=truth)


def _noise(case: Case, rng: np.random.Generator) -> Case:
    """Add noise of 10 to 150 % of the brightest intensities."""
    sigma = _level(case) * np.exp(rng.uniform(np.log(0.1), np.log(1.5)))
    noise = rng.standard_normal(case.frames.shape, dtype=np.float32)
    return replace(case, frames=np.abs(case.frames + np.float32(sigma) * noise))


def _blur(case: Case, rng: np.random.Generator) -> Case:
    """Blur by a Gaussian of 3 to 12 mm."""
    sigma = rng.uniform(3, 12) / np.array(case.spacing_mm)
    return replace(case, frames=gaussian_filter(case.frames, (0, 0, *sigma)))


def _inverted(case: Case, _: np.random.Generator) -> Case:
    """Turn bright into dark."""
    return replace(case, frames=np.maximum(np.float32(_level(case)) - case.frames, 0))


def _shuffled(case: Case, rng: np.random.Generator) -> Case:
    """Shuffle the beats."""
    return replace(case, frames=case.frames[rng.permutation(len(case.frames))])


def _moving(case: Case, rng: np.random.Generator) -> Case:
    """Move each beat for itself, by a standard deviation of 5 to 30 mm along each axis."""
    sigma = rng.uniform(5, 30)
    moves = rng.normal(0, sigma, (len(case.frames), 2)) / np.array(case.spacing_mm)
    moves -= np.median(moves, axis=0)
    moved = [
        shift(frame, (0, *move), order=1, mode="nearest")
        for frame, move in zip(case.frames, moves, strict=True)
    ]
    return replace(case, frames=np.stack(moved))


def _no_contrast(case: Case, rng: np.random.Generator) -> Case:
    """Keep 0 to 10 % of what changes over time, and noise of 2 %."""
    still = case.frames.mean(axis=0, keepdims=True)
    kept = np.float32(rng.uniform(0, 0.1))
    noise = rng.standard_normal(case.frames.shape, dtype=np.float32) * np.float32(
        0.02 * _level(case)
    )
    return replace(case, frames=np.abs(still + kept * (case.frames - still) + noise))


def _late(case: Case, rng: np.random.Generator) -> Case:
    """Start after a third to two thirds of the series."""
    first = min(int(len(case.frames) * rng.uniform(0.33, 0.67)), len(case.frames) - 12)
    return replace(case, frames=case.frames[max(first, 0) :])


def _wrong_size(case: Case, rng: np.random.Generator) -> Case:
    """State a pixel spacing that is 0.5 to 0.8 or 1.25 to 2 times the true one."""
    factor = rng.uniform(1.25, 2.0) ** float(rng.choice([-1, 1]))
    row, column = case.spacing_mm
    return replace(case, spacing_mm=(row * factor, column * factor))


def _stretched(case: Case, rng: np.random.Generator) -> Case:
    """Stretch the rows 1.5 to 2.5 times: slices that lie askew across the heart look like that."""
    factor = rng.uniform(1.5, 2.5)
    return replace(
        case,
        frames=zoom(case.frames, (1, 1, factor, 1), order=1),
        truth=zoom(case.truth, (1, factor, 1), order=0),
    )


def _shaded(case: Case, rng: np.random.Generator) -> Case:
    """Lay a coil's shading over the images that falls 3 to 30 times across them."""
    rows, columns = case.truth.shape[1:]
    turn = rng.uniform(0, 2 * np.pi)
    ramp = np.sin(turn) * np.linspace(-1, 1, rows)[:, None] + np.cos(turn) * np.linspace(
        -1, 1, columns
    )
    return replace(
        case,
        frames=(case.frames * np.exp(ramp * np.log(rng.uniform(3, 30)) / 2)).astype(np.float32),
    )


WAYS: dict[str, Callable[[Case, np.random.Generator], Case]] = {
    "elsewhere": _elsewhere,
    "cut": _cut,
    "noise": _noise,
    "blur": _blur,
    "inverted": _inverted,
    "shuffled": _shuffled,
    "moving": _moving,
    "no contrast": _no_contrast,
    "late": _late,
    "wrong size": _wrong_size,
    "stretched": _stretched,
    "shaded": _shaded,
}
"""The ways in which a series is spoilt."""
