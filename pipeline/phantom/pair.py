"""The same heart at rest and under stress, with the flow of each point known.

Anatomy, place, coils, sequence and relaxation times are the same; beats, motion, bolus and noise
are drawn anew for each state. In a defect flow at rest is little less and does not rise much under
stress, as behind a narrowed artery.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.volume import TimeSeries
from pipeline.phantom.acquisition import acquired, coil_shading, draw_sequence, stored
from pipeline.phantom.chest import draw_chest
from pipeline.phantom.draws import TYPICAL_SPREAD, Draws
from pipeline.phantom.dual import (
    ArterialTruth,
    BasalSlice,
    DualSettings,
    arterial_truth,
    dosed,
)
from pipeline.phantom.heart import draw_heart, insertions_mm
from pipeline.phantom.kinetics import Curves, Perfusion, contrast_curves, draw_bed
from pipeline.phantom.motion import displaced, heart_motion
from pipeline.phantom.perfusion import (
    FRAME_OF_REFERENCE_UID,
    Phantom,
    PhantomSettings,
    beat_times,
    draw_placement,
    level_of,
    painted,
    wandered,
)
from pipeline.phantom.placement import Placement, binned, short_axis_affine
from pipeline.phantom.signals import TissueSignals, tissue_signals
from pipeline.phantom.tissue import Tissue

ANATOMY, SIGNALS, REST, STRESS, DUAL = 0, 1, 2, 3, 4
"""Streams of random numbers of a seed."""

REST_FLOW, STRESS_RISE = (0.6, 1.2), (2.0, 4.0)
"""Flow of healthy myocardium at rest [ml/min/g], and how often that it is under stress."""

DEFECT_SHARE, DEFECT_RISE = (0.8, 1.0), (1.0, 1.7)
"""Flow of a defect at rest, relative to healthy myocardium, and how often that it is under
stress."""

DEFECT_WIDTH = (0.6, 1.3)
"""Half the angle of a defect [rad]."""

MYOCARDIUM = 1
"""Value of the labels."""

BLOOD_TO_NOISE = 30.0
"""Largest signal of blood over the noise of a channel, of a study as a scanner makes it."""

ARRIVAL_BEATS = (5.0, 10.0)
"""When the bolus reaches the right ventricle [beats]: both series show the time before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StateTruth:
    """One state of the heart: the series, and what is true of it."""

    phantom: Phantom
    """The series, its labels, its motion and its insertions."""

    still: TimeSeries
    """The series as it would be without noise, motion, coils and a point spread."""

    flow: NDArray[np.float64]
    """Flow of the myocardium at each point [ml/min/g]; NaN where there is none. Shape ``(slices,
    rows, columns)``."""

    delay_s: float
    """From the saturation to the centre of k-space [s]."""

    echo_s: float
    """Echo time [s]."""

    arterial: ArterialTruth | None = None
    """Its images of low resolution; None where no dual sequence was asked for."""

    @property
    def mean_flow(self) -> float:
        """Mean flow of the wall of all slices [ml/min/g]."""
        return float(np.nanmean(self.flow[self.phantom.labels == MYOCARDIUM]))


@dataclass(frozen=True, kw_only=True, slots=True)
class PerfusionPair:
    """A study of both states."""

    rest: StateTruth
    """At rest."""

    stress: StateTruth
    """Under stress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Anatomy:
    """What both states share."""

    placement: Placement
    """Where the heart lies."""

    here: tuple[Placement, ...]
    """Where it lies on each slice."""

    maps: tuple[NDArray[np.float32], ...]
    """Tissues of each slice. Shape ``(tissues, rows, columns)`` each."""

    labels: NDArray[np.uint8]
    """Shape ``(slices, rows, columns)``."""

    insertions: NDArray[np.float64]
    """Shape ``(slices, 2, 2)``."""

    shading: NDArray[np.float32]
    """Sensitivity of the coils. Shape ``(rows, columns)``."""

    rest: Perfusion
    """The myocardium at rest."""

    stress: Perfusion
    """The myocardium under stress."""


def perfusion_pair(
    seed: int,
    settings: PhantomSettings,
    blood_to_noise: float,
    dual: DualSettings | None = None,
) -> PerfusionPair:
    """Generate a study of rest and stress. The same arguments give the same bytes.

    Parameters
    ----------
    seed
        Names the study.
    settings
        What is asked of it.
    blood_to_noise
        Largest signal of the left ventricle's blood over the noise of a channel.
    dual
        What is asked of a dual sequence; None for none.
    """
    spread = 1.0 if settings.randomise else TYPICAL_SPREAD
    anatomy = _anatomy(Draws(rng=np.random.default_rng([seed, ANATOMY]), spread=spread), settings)
    asked = {REST: anatomy.rest, STRESS: anatomy.stress}
    states = {
        stream: _state((seed, stream, spread), anatomy, perfusion, settings, (blood_to_noise, dual))
        for stream, perfusion in asked.items()
    }
    return PerfusionPair(rest=states[REST], stress=states[STRESS])


def dual_pair(seed: int, dose: float) -> PerfusionPair:
    """Generate a study of rest and stress by a dual sequence, as a scanner makes it.

    Parameters
    ----------
    seed
        Names the study.
    dose
        Dose of the bolus, relative to the one that is drawn.
    """
    return perfusion_pair(seed, PhantomSettings(), BLOOD_TO_NOISE, DualSettings(dose=dose))


def _anatomy(draws: Draws, settings: PhantomSettings) -> _Anatomy:
    """Draw what both states share; every heart has a defect."""
    placement = draw_placement(draws, settings)
    heart = replace(draw_heart(draws), defect_width=draws.between(*DEFECT_WIDTH))
    chest = draw_chest(draws, heart.endocardium_mm + heart.wall_mm)
    shading = coil_shading(draws, placement.shape)
    here, maps, labels, insertions = [], [], [], []
    for index in range(settings.n_slices):
        place = wandered(draws, placement)
        level = level_of(draws, index, settings.n_slices)
        of_slice, its_labels = painted(draws, place, heart, chest, level)
        here.append(place)
        maps.append(of_slice)
        labels.append(its_labels)
        insertions.append([place.pixel_of(x, y) for x, y in insertions_mm(heart, level)])
    bed, flow = draw_bed(draws), draws.between(*REST_FLOW)
    defect = flow * draws.between(*DEFECT_SHARE)
    rise, defect_rise = draws.between(*STRESS_RISE), draws.between(*DEFECT_RISE)
    return _Anatomy(
        placement=placement,
        here=tuple(here),
        maps=tuple(maps),
        labels=np.stack(labels),
        insertions=np.array(insertions),
        shading=shading,
        rest=Perfusion(bed=bed, flow=flow, defect_flow=defect),
        stress=Perfusion(bed=bed, flow=rise * flow, defect_flow=defect_rise * defect),
    )


def _state(
    source: tuple[int, int, float],
    anatomy: _Anatomy,
    perfusion: Perfusion,
    settings: PhantomSettings,
    taken: tuple[float, DualSettings | None],
) -> StateTruth:
    """Draw one state, taken with so much blood over noise, and by a dual sequence or none."""
    seed, stream, spread = source
    blood_to_noise, dual = taken
    draws = Draws(rng=np.random.default_rng([seed, stream]), spread=spread)
    times = beat_times(draws, settings)
    interval_s = float(times.max()) / max(len(times) - 1, 1)
    motion = heart_motion(draws, times)
    arrival_s = draws.between(*ARRIVAL_BEATS) * interval_s
    tissue = perfusion if dual is None else dual.tissue(perfusion)
    curves = contrast_curves(draws, float(times.max()), arrival_s, tissue)
    curves = curves if dual is None else dosed(curves, dual.dose)
    shared = Draws(rng=np.random.default_rng([seed, SIGNALS]), spread=spread)
    sequence = draw_sequence(shared)
    sequence = sequence if dual is None else dual.sequences(sequence)[0]
    signals = tissue_signals(shared, sequence, curves)
    noise = signals.brightest_blood / blood_to_noise
    still = _still(anatomy, signals, times)
    images = [
        acquired(draws, displaced(each, place, motion, index) * anatomy.shading, noise)
        for index, (each, place) in enumerate(zip(still, anatomy.here, strict=True))
    ]
    image = TimeSeries(
        array=stored(draws, np.stack(images, axis=1)),
        affine=short_axis_affine(anatomy.placement, settings.n_slices, settings.slice_spacing_mm),
        times_s=times,
        times_are_estimated=False,
        frame_of_reference_uid=FRAME_OF_REFERENCE_UID,
    )
    labels, insertions = anatomy.labels, anatomy.insertions
    shifts = motion.shifts_mm
    phantom = Phantom(image=image, labels=labels, shifts_mm=shifts, insertions=insertions)
    seen = np.stack([[binned(beat) for beat in each] for each in still], axis=1)
    return StateTruth(
        phantom=phantom,
        still=replace(image, array=seen),
        flow=np.stack([_flow(maps, perfusion) for maps in anatomy.maps]),
        delay_s=sequence.recovery_s,
        echo_s=sequence.echo_s,
        arterial=None
        if dual is None
        else arterial_truth(
            Draws(rng=np.random.default_rng([seed, stream, DUAL]), spread=spread),
            image,
            BasalSlice(
                place=anatomy.here[-1],
                maps=anatomy.maps[-1],
                motion=motion,
                shading=anatomy.shading,
            ),
            (_low_signals((seed, spread), dual, curves), curves, dual),
            noise,
        ),
    )


def _low_signals(source: tuple[int, float], dual: DualSettings, curves: Curves) -> TissueSignals:
    """Return the signals of the same tissues by the dual sequence."""
    seed, spread = source
    shared = Draws(rng=np.random.default_rng([seed, SIGNALS]), spread=spread)
    return tissue_signals(shared, dual.sequences(draw_sequence(shared))[1], curves)


def _still(
    anatomy: _Anatomy, signals: TissueSignals, times_s: NDArray[np.float64]
) -> list[NDArray[np.float32]]:
    """Return the images of a heart that stands still, slice by slice, finer than they are seen."""
    return [
        np.einsum("bt,trc->brc", signals.at(times_s[:, index]), maps)
        for index, maps in enumerate(anatomy.maps)
    ]


def _flow(maps: NDArray[np.float32], perfusion: Perfusion) -> NDArray[np.float64]:
    """Return the flow of the myocardium at each point of a slice [ml/min/g]; NaN elsewhere."""
    healthy = binned(maps[Tissue.MYOCARDIUM]).astype(np.float64)
    defect = binned(maps[Tissue.DEFECT]).astype(np.float64)
    share = healthy + defect
    blood = perfusion.flow * healthy + perfusion.defect_flow * defect
    flow: NDArray[np.float64] = np.full(share.shape, np.nan)
    np.divide(blood, share, out=flow, where=share > 0)
    return flow
