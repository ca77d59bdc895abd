"""Figures of what the operator does beyond its training: twice the grid, twice the field of view.

    python -m models.reconstruction.figures FOLDER --kspace head_fine_115.npy head_115.npy

For each file: the image at its own grid by both networks and by zero-filling, with its error.
Super-resolution: a file whose matrix is larger than any of training.
Extended field of view: with ``--extend`` the same anatomy in twice the field of view at the same
pixel size, its k-space interpolated by padding the coil images with air.

References
----------
Jatyani AS et al., "A unified model for compressed sensing MRI across undersampling patterns", CVPR
2025, arXiv 2410.16290: zero-shot super-resolution and extended field of view.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.reconstruction.export import BUNDLE
from pipeline.analyses.reconstruction.networks import UnrolledNetworks, open_networks
from pipeline.analyses.reconstruction.rawslice import raw_slice
from pipeline.analyses.reconstruction.slices import reconstruct_slice
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.infer.bundle import load_bundle
from pipeline.mr.coils import root_sum_of_squares
from pipeline.mr.fourier import crop, fft2c, ifft2c
from pipeline.mr.patterns import draw_pattern
from pipeline.mr.quality import psnr, ssim

ERROR_GAIN = 5.0
"""How much brighter than the image its error is shown."""

SEED = 3
"""Seed of the masks."""


def extended(kspace: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the k-space of the same anatomy in twice the field of view, at the same pixel size.

    Parameters
    ----------
    kspace
        Fully sampled. Shape ``(coils, ky, kx)``.

    Returns
    -------
        Shape ``(coils, 2 ky, 2 kx)``; the noise outside is that of the corners.
    """
    images = ifft2c(kspace)
    coils, rows, columns = images.shape
    corner = images[:, : rows // 10, : columns // 10]
    rng = np.random.default_rng(SEED)
    wide = rng.standard_normal((coils, 2 * rows, 2 * columns, 2)) @ np.array([1, 1j])
    wide = (wide * float(np.std(corner)) / np.sqrt(2)).astype(np.complex64)
    crop(wide, (rows, columns))[...] = images
    return fft2c(wide)


def compare(
    kspace: NDArray[np.complex64],
    way: tuple[str, float],
    models: Sequence[UnrolledNetworks],
) -> dict[str, tuple[NDArray[np.float32], float, float]]:
    """Undersample and reconstruct by every model.

    Parameters
    ----------
    kspace
        Fully sampled. Shape ``(coils, ky, kx)``.
    way
        Pattern and acceleration.
    models
        The networks.

    Returns
    -------
        Image, PSNR [dB] and SSIM of the truth, of zero-filling and of each model.
    """
    shape = (kspace.shape[1], kspace.shape[2])
    mask = draw_pattern(way[0], shape, way[1], SEED).mask
    raw = raw_slice((kspace * mask).astype(np.complex64), mask)
    truth = root_sum_of_squares(ifft2c(kspace))
    found = {"fully sampled": (truth, float("inf"), 1.0)}
    for name, networks in (("zero-filled", None), *((m.method, m) for m in models)):
        image = np.abs(reconstruct_slice(raw, networks, Stopwatch()).image)
        found[name] = (image, psnr(truth, image), ssim(truth, image))
    return found


def draw(
    found: dict[str, tuple[NDArray[np.float32], float, float]], title: str, path: Path
) -> None:
    """Write images above their errors."""
    truth = found["fully sampled"][0]
    white = float(np.percentile(truth, 99.7))
    figure = Figure(figsize=(3 * len(found), 6.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for column, (name, (image, psnr_db, similarity)) in enumerate(found.items()):
        for row, shown in enumerate((image, ERROR_GAIN * np.abs(image - truth))):
            axes = figure.add_subplot(2, len(found), row * len(found) + column + 1)
            axes.imshow(shown, cmap="gray", vmin=0, vmax=white)
            axes.set_axis_off()
            if row == 0:
                told = "" if np.isinf(psnr_db) else f"\n{psnr_db:.1f} dB, SSIM {similarity:.3f}"
                axes.set_title(name + told)
    figure.savefig(path, metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the figures that the command line names, and print their numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kspace", type=Path, nargs="+", required=True)
    parser.add_argument("--pattern", default="random")
    parser.add_argument("--acceleration", type=float, default=4.0)
    parser.add_argument("--extend", action="store_true")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    bundle = load_bundle(options.bundle)
    models = [open_networks(bundle, method) for method in ("varnet", "operator")]
    for path in options.kspace:
        kspace = np.load(path)
        kspace = extended(kspace) if options.extend else kspace
        found = compare(kspace, (options.pattern, options.acceleration), models)
        kind = "extended" if options.extend else "grid"
        rows, columns = kspace.shape[1:]
        title = f"{path.stem}, {rows} x {columns}, {options.pattern} {options.acceleration:g}x"
        draw(found, title, options.folder / f"{path.stem}_{kind}.png")
        for name, (_, psnr_db, similarity) in found.items():
            print(f"{title}, {kind}: {name} {psnr_db:.2f} dB, SSIM {similarity:.4f}")


if __name__ == "__main__":
    main()
