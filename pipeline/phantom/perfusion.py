"""The phantom put together: a series and the truth about it."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pipeline.imaging.volume import TimeSeries
from pipeline.phantom.acquisition import acquired, coil_shading, draw_sequence, stored
from pipeline.phantom.chest import Chest, draw_chest, paint_chest
from pipeline.phantom.draws import TYPICAL_SPREAD, Draws
from pipeline.phantom.heart import Heart, draw_heart, insertions_mm, paint_heart
from pipeline.phantom.kinetics import contrast_curves
from pipeline.phantom.motion import displaced, heart_motion, with_jumps
from pipeline.phantom.placement import Placement, binned, short_axis_affine
from pipeline.phantom.signals import tissue_signals
from pipeline.phantom.tissue import Tissue

FRAME_OF_REFERENCE_UID = "2.25.175836741302285374128943577716905413321"
"""Frame of Reference UID (0020,0052) of every phantom: they share one made-up patient."""

JUMPS = 1
"""Names the random numbers of jumps: those of all else stay as they are without."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomSettings:
    """What is asked of a phantom; all else is drawn from its seed."""

    n_slices: int = 3
    """Short-axis slices, from the apex to the base; a single one is taken at any height."""

    n_beats: int = 60
    """Images of each slice."""

    rows: int = 128
    """Rows of an image."""

    columns: int = 128
    """Columns of an image."""

    pixel_spacing_mm: tuple[float, float] | None = (2.0, 2.0)
    """Distance between rows and between columns [mm]; None draws square pixels of 1.0 to 2.6 mm."""

    slice_spacing_mm: float = 10.0
    """Distance between slices [mm]."""

    jump_mm: float = 0.0
    """Largest displacement by breaths between stretches of beats in which it was held [mm], on top
    of the motion that is drawn; 0 for none."""

    randomise: bool = False
    """Draw from the full ranges, rarities included, for training; else close to a typical study."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phantom:
    """A generated series and the truth about it."""

    image: TimeSeries
    """The images."""

    labels: NDArray[np.uint8]
    """0 background, 1 LV myocardium, 2 LV blood pool with the papillary muscles in it, for the
    heart at its mean position. Shape ``(slices, rows, columns)``."""

    shifts_mm: NDArray[np.float64]
    """True displacement (row, column) of the heart from its mean position [mm]: what lies at ``p``
    in ``labels`` is seen at ``p + shift``. Shape ``(beats, slices, 2)``."""

    insertions: NDArray[np.float64]
    """Where the right ventricle's cavity ends on the left one's wall, ``(row, column)`` [pixels]:
    the anterior and the inferior point of each slice. Shape ``(slices, 2, 2)``."""


DEFAULT_SETTINGS = PhantomSettings()
"""A study as a scanner makes it."""


def perfusion_phantom(seed: int, settings: PhantomSettings = DEFAULT_SETTINGS) -> Phantom:
    """Generate a first-pass perfusion series. The same seed and settings give the same bytes.

    Parameters
    ----------
    seed
        Names the study.
    settings
        What is asked of it.
    """
    spread = 1.0 if settings.randomise else TYPICAL_SPREAD
    draws = Draws(rng=np.random.default_rng(seed), spread=spread)
    placement = draw_placement(draws, settings)
    times = beat_times(draws, settings)
    motion = heart_motion(draws, times)
    if settings.jump_mm > 0:
        motion = with_jumps(motion, np.random.default_rng((seed, JUMPS)), settings.jump_mm)
    curves = contrast_curves(draws, float(times.max()), _arrival_s(draws, times))
    signals = tissue_signals(draws, draw_sequence(draws), curves)
    heart = draw_heart(draws)
    chest = draw_chest(draws, heart.endocardium_mm + heart.wall_mm)
    shading = coil_shading(draws, placement.shape)
    noise = signals.brightest_blood / draws.log_between(12.0, 120.0)
    images = np.empty((settings.n_beats, settings.n_slices, *placement.shape), dtype=np.float32)
    labels = np.empty((settings.n_slices, *placement.shape), dtype=np.uint8)
    insertions = np.empty((settings.n_slices, 2, 2))
    for index in range(settings.n_slices):
        here = wandered(draws, placement)
        level = level_of(draws, index, settings.n_slices)
        maps, labels[index] = painted(draws, here, heart, chest, level)
        insertions[index] = [here.pixel_of(x, y) for x, y in insertions_mm(heart, level)]
        still = np.einsum("bt,trc->brc", signals.at(times[:, index]), maps)
        moved = displaced(still, here, motion, index)
        images[:, index] = acquired(draws, moved * shading, noise)
    image = TimeSeries(
        array=stored(draws, images),
        affine=short_axis_affine(placement, settings.n_slices, settings.slice_spacing_mm),
        times_s=times,
        times_are_estimated=False,
        frame_of_reference_uid=FRAME_OF_REFERENCE_UID,
    )
    return Phantom(image=image, labels=labels, shifts_mm=motion.shifts_mm, insertions=insertions)


def _arrival_s(draws: Draws, times_s: NDArray[np.float64]) -> float:
    """Draw when the bolus reaches the right ventricle [s]: before the first beat now and then."""
    interval_s = float(times_s.max()) / max(len(times_s) - 1, 1)
    return draws.between(-10.0, 20.0) * interval_s


def draw_placement(draws: Draws, settings: PhantomSettings) -> Placement:
    """Draw where the heart lies in the image, and how it is turned."""
    shape = (settings.rows, settings.columns)
    row, column = (0.5 * (n - 1) + draws.between(-0.12, 0.12) * n for n in shape)
    any_way = draws.rng.uniform(-np.pi, np.pi)
    return Placement(
        shape=shape,
        spacing_mm=settings.pixel_spacing_mm or (draws.between(1.0, 2.6),) * 2,
        centre=(row, column),
        turn=any_way if draws.happens(0.8) else draws.between(-0.5, 0.5),
    )


def wandered(draws: Draws, placement: Placement) -> Placement:
    """Return a slice's own placement: the ventricle's axis is not quite the slices' normal."""
    away = draws.rng.normal(0.0, 1.5, 2)
    row, column = (
        c + float(a) / s
        for c, a, s in zip(placement.centre, away, placement.spacing_mm, strict=True)
    )
    return replace(placement, centre=(row, column))


def level_of(draws: Draws, index: int, n_slices: int) -> float:
    """Return the height of a slice along the ventricle: 0 at the apex, 1 at the base."""
    if n_slices == 1:
        return draws.between(0.05, 1.0)
    return 0.15 + 0.75 * index / (n_slices - 1) + draws.between(-0.08, 0.08)


def beat_times(draws: Draws, settings: PhantomSettings) -> NDArray[np.float64]:
    """Draw when each slice is imaged [s], since its own first image. Shape ``(beats, slices)``."""
    interval_s, irregularity = draws.between(0.55, 1.1), draws.between(0.01, 0.08)
    intervals = interval_s * (1.0 + irregularity * draws.rng.standard_normal(settings.n_beats))
    if draws.happens(0.15):  # beats that the trigger missed
        intervals = intervals * np.where(draws.rng.random(settings.n_beats) < 0.04, 2.0, 1.0)
    beats = np.cumsum(np.maximum(intervals, 0.3))
    return np.asarray(np.repeat((beats - beats[0])[:, None], settings.n_slices, axis=1))


def painted(
    draws: Draws, placement: Placement, heart: Heart, chest: Chest, level: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return one slice's tissue maps, with their texture, and its labels."""
    plane = placement.plane()
    maps = np.zeros((len(Tissue), *plane.x.shape), dtype=np.float32)
    paint_chest(maps, plane, chest, level)
    parts = paint_heart(draws, maps, plane, heart, level)
    grain = draws.rng.standard_normal(plane.x.shape, dtype=np.float32)
    smooth = scipy.ndimage.gaussian_filter(grain, 2.5, mode="wrap", truncate=2.0)
    smooth *= np.float32(draws.between(0.2, 1.2))
    maps[: Tissue.RIGHT] *= np.float32(1.0) + smooth
    maps[Tissue.MYOCARDIUM : Tissue.RIM] *= np.float32(1.0) + np.float32(0.5) * smooth
    held = [binned((parts == part).astype(np.float32)) for part in (0, 1, 2)]
    return maps, np.argmax(np.stack(held), axis=0).astype(np.uint8)
