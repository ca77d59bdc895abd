"""What the reconstruction analysis hands to the encoders and the manifest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.evidence import ReconstructionEvidence
from pipeline.study import Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceQuality:
    """How the reconstruction of one slice stands to its data, over all frames."""

    slice_index: int
    """From 0, along the raw data's slice axis."""

    kspace_residual: float
    """Distance of the image's k-space from the measured samples over their norm; the mean over the
    frames. The only figure of quality that needs no truth."""

    zero_filled_residual: float
    """The same for the zero-filled image, to compare with."""

    measured_acceleration: float
    """Samples of a full grid over measured ones."""

    calibration: tuple[int, int]
    """Rows and columns of the fully sampled centre that coil sensitivities come from."""

    mean_relative_uncertainty: float | None
    """Mean standard deviation where there is signal over the mean magnitude there; None where the
    uncertainty was not asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconstructionResult:
    """Images of all frames and slices, on the grid of ``KSpace.image_shape``."""

    image: NDArray[np.complex64]
    """The images, phase kept, in the units of the raw data. Shape ``(frames, slices, rows,
    columns)``."""

    uncertainty: NDArray[np.float32] | None
    """Pixel-wise standard deviation of the magnitude, in the image's units. Same shape; None where
    it was not asked for."""

    zero_filled: NDArray[np.float32]
    """Root sum of squares of the zero-filled coil images, to compare with. Same shape."""

    method: str
    """``operator``, ``varnet`` or ``zero-filled``."""

    algorithm: str
    """What made the image, in words for a reader: a derivation description."""

    hard_data_consistency: bool
    """Whether the measured samples were put back as a last step."""

    acceleration: float
    """Samples of a full grid over measured ones, over all frames and slices."""

    slices: tuple[SliceQuality, ...]
    """One a slice, in order."""

    measurements: tuple[Measurement, ...]
    """The numbers of the manifest."""

    notes: tuple[str, ...]
    """What a reader should know."""

    stage_seconds: dict[str, float]
    """Wall time of each stage of the analysis [s]: ``prepare``, ``networks``, ``fft``,
    ``consistency``, ..."""

    evidence: ReconstructionEvidence | None = None
    """What a reviewer sees beside the images; None where it was not asked for."""
