"""Curves and slices whose flow is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.aha import SegmentedSlice
from pipeline.analyses.perfusion.flow.inputfunction import InputFunction, input_function
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.imaging.volume import CONCENTRATION_UNIT, TimeSeries
from pipeline.phantom.flowcurves import (
    RESIDUES,
    Bolus,
    arterial_course,
    fine_times,
    tissue_course,
)
from pipeline.phantom.placement import Placement, short_axis_affine

BOLUS = Bolus(arrival_s=8.0, shape=3.0, scale_s=1.2, injected_s=3.0, peak=5.0, again=0.2)
STEP_S = 0.75
SIZE = 48


@dataclass(frozen=True, kw_only=True)
class Known:
    """Blood and tissue of a known flow."""

    times_s: NDArray[np.float64]
    blood: NDArray[np.float64]
    tissue: NDArray[np.float64]

    def with_noise(self, seed: int, share: float) -> "Known":
        """Return them with noise, relative to the tissue's peak; blood has a third of it."""
        rng = np.random.default_rng(seed)
        deviation = share * float(self.tissue.max())
        return Known(
            times_s=self.times_s,
            blood=self.blood + rng.normal(0.0, deviation / 3, len(self.blood)),
            tissue=self.tissue + rng.normal(0.0, deviation, len(self.tissue)),
        )

    @property
    def source(self) -> InputFunction:
        """The blood as an input function."""
        found = input_function(self.times_s, self.blood, in_mmol_l=True)
        assert isinstance(found, InputFunction), found
        return found


def known(
    flow: float, model: str = "fermi", step_s: float = STEP_S, duration_s: float = 45.0
) -> Known:
    """Return blood and tissue of a flow [ml/min/g], without noise."""
    fine = fine_times(duration_s + 1.0)
    arterial = arterial_course(BOLUS, fine)
    tissue = tissue_course(arterial, RESIDUES[model], flow, 0.7)
    times = np.arange(0.0, duration_s, step_s)
    return Known(
        times_s=times,
        blood=np.interp(times, fine, arterial),
        tissue=np.interp(times, fine, tissue),
    )


def ring(flows: tuple[float, float], index: int = 0, unit_scale: float = 1.0) -> SegmentedSlice:
    """Return a slice of concentrations whose left and right half have two flows."""
    rows, columns = np.indices((SIZE, SIZE))
    away = np.hypot(rows - SIZE / 2, columns - SIZE / 2)
    classes = np.zeros((SIZE, SIZE), dtype=np.uint8)
    classes[away < 18] = MYOCARDIUM
    classes[away < 11] = BLOOD_POOL
    left, right = (known(flow) for flow in flows)
    square = np.zeros((len(left.times_s), SIZE, SIZE))
    wall = classes == MYOCARDIUM
    square[:, wall & (columns < SIZE / 2)] = left.tissue[:, None]
    square[:, wall & (columns >= SIZE / 2)] = right.tissue[:, None]
    square[:, classes == BLOOD_POOL] = left.blood[:, None]
    grid = SliceGrid(
        centre=((SIZE - 1) / 2, (SIZE - 1) / 2),
        pixel_spacing_mm=(1.6, 1.6),
        size=SIZE,
        spacing_mm=1.6,
    )
    return SegmentedSlice(
        slice_index=index,
        square=(unit_scale * square).astype(np.float32),
        classes=classes,
        grid=grid,
    )


def series_of(slices: list[SegmentedSlice], unit: str | None = CONCENTRATION_UNIT) -> TimeSeries:
    """Return a series of the slices; each fills its image."""
    array = np.stack([one.square for one in slices], axis=1)
    times = np.repeat(known(1.0).times_s[:, None], len(slices), axis=1)
    placement = Placement(
        shape=(SIZE, SIZE), spacing_mm=(1.6, 1.6), centre=(SIZE / 2, SIZE / 2), turn=0.0
    )
    return TimeSeries(
        array=array,
        affine=short_axis_affine(placement, len(slices), 10.0),
        times_s=times,
        times_are_estimated=False,
        unit=unit,
    )
