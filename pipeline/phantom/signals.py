"""The signal of each tissue over time: proton density, relaxation and contrast put together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.acquisition import Sequence, signal
from pipeline.phantom.draws import Draws
from pipeline.phantom.kinetics import Curves
from pipeline.phantom.tissue import Tissue


@dataclass(frozen=True, kw_only=True, slots=True)
class TissueSignals:
    """Signal of each tissue, for one study."""

    times_s: NDArray[np.float64]
    """Time since the first beat [s]. Shape ``(steps,)``."""

    values: NDArray[np.float64]
    """Signal. Shape ``(tissues, steps)``."""

    concentrations: NDArray[np.float64]
    """Contrast agent [mmol/l]. Shape ``(tissues, steps)``."""

    @property
    def brightest_blood(self) -> float:
        """Largest signal of the left ventricle's blood."""
        return float(self.values[Tissue.LEFT].max())

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the signal at some times, shape ``(times, tissues)``."""
        columns = [np.interp(times_s, self.times_s, value) for value in self.values]
        return np.stack(columns, axis=1).astype(np.float32)


def tissue_signals(draws: Draws, sequence: Sequence, curves: Curves) -> TissueSignals:
    """Draw densities and relaxation times, and return the signal of each tissue.

    The blood pool's two halves differ by a short delay: contrast mixes as it enters.
    """
    blood = (1.0, draws.between(1.4, 1.9))
    muscle = (draws.between(0.65, 0.9), draws.between(1.0, 1.3))
    late = np.interp(curves.times_s - draws.between(-1.2, 1.2), curves.times_s, curves.left)
    organ = draws.between(0.5, 0.95)
    rows = {
        Tissue.FAT: (draws.between(0.1, 0.9), draws.between(0.25, 0.35), 0.0 * late),
        Tissue.MUSCLE: (draws.between(0.5, 0.9), draws.between(0.7, 1.1), curves.muscle),
        Tissue.LUNG: (draws.between(0.04, 0.2), 1.2, 0.25 * curves.lung),
        Tissue.VESSEL: (*blood, curves.lung),
        Tissue.LIVER: (organ, draws.between(0.35, 0.7), curves.liver),
        Tissue.SPLEEN: (organ, draws.between(0.8, 1.2), curves.spleen),
        Tissue.RIGHT: (*blood, curves.right),
        Tissue.LEFT: (*blood, curves.left),
        Tissue.LEFT_LATE: (*blood, late),
        Tissue.AORTA: (*blood, curves.aorta),
        Tissue.MYOCARDIUM: (*muscle, curves.myocardium),
        Tissue.DEFECT: (*muscle, curves.defect),
        Tissue.RIM: (*blood, curves.left),
    }
    values = [
        density * signal(sequence, concentration, t1_s)
        for density, t1_s, concentration in (rows[tissue] for tissue in Tissue)
    ]
    return TissueSignals(
        times_s=curves.times_s,
        values=np.stack(values),
        concentrations=np.stack([rows[tissue][2] for tissue in Tissue]),
    )
