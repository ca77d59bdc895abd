"""How well the uncertainty map tells where an image is wrong: Spearman's rank correlation.

    python -m models.reconstruction.calibration --kspace FILE...

Each fully sampled file is undersampled by every pattern at 4x and 8x. Over the pixels with signal,
the absolute error is correlated with the map; over blocks of 8 x 8 pixels, the root mean square of
both, which is what a reader sees. ``ratio`` is the root mean square error over that of the map: one
if the map's size were the error's, more if the map is too sure.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from models.reconstruction.export import BUNDLE
from pipeline.analyses.reconstruction.analysis import SIGNAL
from pipeline.analyses.reconstruction.networks import UnrolledNetworks, open_networks
from pipeline.analyses.reconstruction.rawslice import raw_slice
from pipeline.analyses.reconstruction.settings import ReconstructionSettings
from pipeline.analyses.reconstruction.slices import reconstruct_slice
from pipeline.analyses.reconstruction.uncertainty import deviation, perturbed
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.infer.bundle import load_bundle
from pipeline.mr.coils import root_sum_of_squares
from pipeline.mr.fourier import ifft2c
from pipeline.mr.patterns import PATTERNS, draw_pattern

BLOCK = 8
"""Side of the blocks [pixels]."""

SEED = 1
"""Seed of the masks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Correlation:
    """How error and uncertainty go together on one image."""

    pixels: float
    """Spearman's rho over pixels with signal."""

    blocks: float
    """Spearman's rho over blocks that lie in signal."""

    ratio: float
    """Root mean square error over root mean square uncertainty."""


def correlate(
    error: NDArray[np.float32], uncertainty: NDArray[np.float32], truth: NDArray[np.float32]
) -> Correlation:
    """Correlate an absolute error with the uncertainty map, where the truth has signal."""
    signal = truth > SIGNAL * np.percentile(truth, 99)
    full = _blocks(signal.astype(np.float64)) == 1
    both = [np.sqrt(_blocks(v.astype(np.float64) ** 2))[full] for v in (error, uncertainty)]
    inside = [v[signal].astype(np.float64) for v in (error, uncertainty)]
    sizes = [float(np.sqrt(np.mean(v**2))) for v in inside]
    return Correlation(
        pixels=float(spearmanr(*inside).statistic),
        blocks=float(spearmanr(*both).statistic),
        ratio=sizes[0] / sizes[1],
    )


def judge(
    kspace: NDArray[np.complex64], way: tuple[str, float], networks: UnrolledNetworks, draws: int
) -> Correlation:
    """Undersample, reconstruct with uncertainty, and correlate."""
    mask = draw_pattern(way[0], (kspace.shape[1], kspace.shape[2]), way[1], SEED).mask
    raw = raw_slice((kspace * mask).astype(np.complex64), mask)
    truth = root_sum_of_squares(ifft2c(kspace))
    image = np.abs(reconstruct_slice(raw, networks, Stopwatch()).image)
    images = [
        np.abs(
            reconstruct_slice(
                perturbed(raw, np.random.default_rng(draw)), networks, Stopwatch()
            ).image
        )
        for draw in range(draws)
    ]
    return correlate(np.abs(image - truth), deviation(images), truth)


def _blocks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means over blocks; what does not fill a block is left out."""
    rows, columns = (n // BLOCK for n in values.shape)
    kept = values[: rows * BLOCK, : columns * BLOCK]
    return kept.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each file, pattern and acceleration, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kspace", type=Path, nargs="+", required=True)
    parser.add_argument("--accelerations", type=float, nargs="+", default=[4.0, 8.0])
    parser.add_argument("--draws", type=int, default=ReconstructionSettings().uncertainty_draws)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    options = parser.parse_args(arguments)
    networks = open_networks(load_bundle(options.bundle), "operator")
    found = []
    for path in options.kspace:
        for pattern in PATTERNS:
            for acceleration in options.accelerations:
                way = (pattern, acceleration)
                one = judge(np.load(path), way, networks, options.draws)
                found.append((one.pixels, one.blocks, one.ratio))
                print(
                    f"{path.stem} {pattern} {acceleration:g}x: rho {one.pixels:.2f} by pixel, "
                    f"{one.blocks:.2f} by block, error over uncertainty {one.ratio:.2f}",
                    flush=True,
                )
    mean = np.mean(found, axis=0)
    print(f"mean: rho {mean[0]:.2f} by pixel, {mean[1]:.2f} by block, ratio {mean[2]:.2f}")


if __name__ == "__main__":
    main()
