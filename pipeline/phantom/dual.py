"""The dual sequence of the phantom: images of low resolution that sample the arterial input.

One slice, the basal one, is imaged before the others of each beat, with pixels of twice the side
and a short delay after saturation, so that its blood is not clipped.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.volume import CONCENTRATION_UNIT, TimeSeries
from pipeline.phantom.acquisition import Sequence, acquired, stored
from pipeline.phantom.draws import Draws
from pipeline.phantom.kinetics import Curves, Perfusion
from pipeline.phantom.motion import Motion, displaced
from pipeline.phantom.placement import FINENESS, Placement, binned
from pipeline.phantom.signals import TissueSignals

AHEAD_S = 0.15
"""How long before the slice of the series its image of low resolution is taken [s]."""

NOISE_SHARE = 0.5
"""Noise of a pixel relative to that of the series: four times the volume by half as many lines,
in two directions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DualSettings:
    """What is asked of a dual sequence."""

    delay_s: float = 0.02
    """From the saturation to the centre of k-space [s]."""

    echo_s: float = 0.0008
    """Echo time [s]."""

    dose: float = 1.0
    """Dose of the bolus, relative to the one that is drawn."""

    vessels: float | None = None
    """Share of blood in the wall; None for the one that is drawn."""

    residue: float | None = None
    """Share of the magnetisation that a saturation leaves; None for the one that is drawn."""

    def sequences(self, drawn: Sequence) -> tuple[Sequence, Sequence]:
        """Return the sequence of the series, and its own, which have the same saturation."""
        own = drawn if self.residue is None else replace(drawn, residue=self.residue)
        return own, replace(own, recovery_s=self.delay_s, echo_s=self.echo_s)

    def tissue(self, drawn: Perfusion) -> Perfusion:
        """Return a myocardium with the share of blood that is asked for."""
        if self.vessels is None:
            return drawn
        return replace(drawn, bed=replace(drawn.bed, vessels=self.vessels))


@dataclass(frozen=True, kw_only=True, slots=True)
class ArterialTruth:
    """Images of low resolution, and what is true of them."""

    image: TimeSeries
    """The images, on the clock of the series."""

    still: TimeSeries
    """As they would be without noise, motion, coils and a point spread."""

    delay_s: float
    """From the saturation to the centre of k-space [s]."""

    echo_s: float
    """Echo time [s]."""

    blood: NDArray[np.float64]
    """Concentration in the left ventricle's blood at their times [mmol/l]. Shape ``(beats,)``."""

    concentration: TimeSeries
    """Concentration at each point of the slice at the times of the series [mmol/l], on its grid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BasalSlice:
    """What is imaged, and how it moves."""

    place: Placement
    """Where the heart lies on it."""

    maps: NDArray[np.float32]
    """Its tissues. Shape ``(tissues, rows, columns)``."""

    motion: Motion
    """Motion of the study."""

    shading: NDArray[np.float32]
    """Sensitivity of the coils. Shape ``(rows, columns)``."""


def dosed(curves: Curves, dose: float) -> Curves:
    """Return the passage of a bolus of another dose: concentrations are in proportion to it.

    Parameters
    ----------
    curves
        Concentrations in each tissue.
    dose
        Relative to theirs.
    """
    names = ("right", "lung", "left", "aorta", "myocardium", "defect", "liver", "spleen", "muscle")
    return replace(curves, **{name: dose * getattr(curves, name) for name in names})


def arterial_truth(
    draws: Draws,
    series: TimeSeries,
    basal: BasalSlice,
    signals: tuple[TissueSignals, Curves, DualSettings],
    noise: float,
) -> ArterialTruth:
    """Return the images of low resolution beside a series.

    Parameters
    ----------
    draws
        Random numbers of their own.
    series
        The series, whose last slice is the basal one.
    basal
        That slice.
    signals
        Signals of their sequence, concentrations, and what is asked of them.
    noise
        Standard deviation of a channel of the series.
    """
    tissues, curves, asked = signals
    index = series.n_slices - 1
    times = series.times_s[:, index:] - AHEAD_S
    fine = np.einsum("bt,trc->brc", tissues.at(times[:, 0]), basal.maps)
    moved = displaced(fine, basal.place, basal.motion, index) * basal.shading
    images = acquired(draws, np.stack([binned(each) for each in moved]), NOISE_SHARE * noise)
    seen = np.stack([binned(binned(each)) for each in fine])
    own_times = series.times_s[:, index:]
    held = [np.interp(own_times[:, 0], curves.times_s, each) for each in tissues.concentrations]
    there = np.einsum("tb,trc->brc", np.array(held, dtype=np.float32), basal.maps)
    image = TimeSeries(
        array=stored(draws, images)[:, None],
        affine=_coarser(series.affine, index),
        times_s=times,
        times_are_estimated=False,
        frame_of_reference_uid=series.frame_of_reference_uid,
    )
    return ArterialTruth(
        image=image,
        still=replace(image, array=seen[:, None]),
        delay_s=asked.delay_s,
        echo_s=asked.echo_s,
        blood=np.interp(times[:, 0], curves.times_s, curves.left),
        concentration=TimeSeries(
            array=np.stack([binned(each) for each in there])[:, None],
            affine=_alone(series.affine, index),
            times_s=own_times,
            times_are_estimated=False,
            frame_of_reference_uid=series.frame_of_reference_uid,
            unit=CONCENTRATION_UNIT,
        ),
    )


def _alone(affine: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    """Return the affine of one slice of a series."""
    found = affine.copy()
    found[:, 3] = affine @ (index, 0.0, 0.0, 1.0)
    return found


def _coarser(affine: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    """Return the affine of a slice alone, with pixels of ``FINENESS`` times the side."""
    found = affine.copy()
    found[:3, 1:3] *= FINENESS
    middle = 0.5 * (FINENESS - 1)
    found[:, 3] = affine @ (index, middle, middle, 1.0)
    return found
