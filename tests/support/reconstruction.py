"""A small reconstruction bundle with random weights, and k-space of a disc to reconstruct."""

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.reconstruction.data import MODEL
from models.reconstruction.export import FOLDER, write_networks
from models.reconstruction.network import Size, Unrolled
from pipeline.analyses.reconstruction.prepare import Prepared, prepare
from pipeline.analyses.reconstruction.rawslice import raw_slice
from pipeline.infer.bundle import write_file_list
from pipeline.mr.fourier import fft2c
from pipeline.mr.patterns import draw_pattern

# Small networks gain nothing from a second thread.
torch.set_num_threads(1)

TINY = {
    "operator": Size(
        n_cascades=2, channels=(4, 6, 8), kspace_channels=(4, 6), sensitivity_channels=(4, 6)
    ),
    "varnet": Size(
        n_cascades=2, channels=(4, 6, 8), kspace_channels=(), sensitivity_channels=(4, 6)
    ),
}
"""Networks that take a millisecond."""


def tiny_network(kind: str, *, head: float = 0.05) -> Unrolled:
    """Return a network with random weights that are exact in half precision.

    Parameters
    ----------
    kind
        ``operator`` or ``varnet``.
    head
        Deviation of the last weights: the larger, the more the network changes.
    """
    torch.manual_seed(3)
    network = Unrolled(kind, TINY[kind])
    with torch.no_grad():
        network.log_eta.copy_(torch.tensor([-1.0, -2.0]))
        for name, weight in network.named_parameters():
            if name.endswith("head.weight"):
                weight.mul_(head / 0.01)
            weight.copy_(weight.half().float())
    return network


def write_tiny_reconstruction(folder: Path, *, head: float = 0.05) -> Path:
    """Write a bundle of both kinds into a folder, which is made, and return the folder."""
    for name in ("configs", "docs", "models"):
        (folder / name).mkdir(parents=True)
    metadata = json.loads((FOLDER / "metadata.json").read_text())
    metadata["vesalius"] = {
        "image_radius": MODEL.image_radius,
        "coarse_radius": MODEL.coarse_radius,
        "kspace_radius": MODEL.kspace_radius,
        "coarse_side": MODEL.coarse_side,
    }
    for kind in TINY:
        network = tiny_network(kind, head=head)
        metadata["vesalius"][kind] = write_networks(network, kind, folder / "models")
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata, indent=2))
    (folder / "docs" / "README.md").write_text("# Tiny reconstruction\n\nFor tests only.\n")
    (folder / "LICENSE").write_text("Apache-2.0\n")
    write_file_list(folder)
    return folder


def disc_kspace(
    shape: tuple[int, int], *, n_coils: int = 4, seed: int = 0
) -> NDArray[np.complex64]:
    """Return fully sampled k-space of a disc with two holes, seen by smooth coils."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(-1, 1, shape[0])[:, None]
    columns = np.linspace(-1, 1, shape[1])[None, :]
    image = 1.0 * (np.hypot(rows, columns) < 0.7)
    image -= 0.6 * (np.hypot(rows - 0.2, columns + 0.2) < 0.2)
    image += 0.5 * (np.hypot(rows + 0.3, columns) < 0.1)
    coils = np.stack(
        [
            np.exp(-((rows - np.cos(a)) ** 2) - (columns - np.sin(a)) ** 2 + 1j * (a + rows * a))
            for a in 2 * np.pi * np.arange(n_coils) / n_coils
        ]
    )
    noise = rng.normal(0, 0.005, (*coils.shape, 2)) @ np.array([1, 1j])
    return fft2c((image * coils + noise).astype(np.complex64))


def disc_prepared(
    shape: tuple[int, int],
    *,
    pattern: str = "equispaced",
    acceleration: float = 3.0,
    spacing_mm: tuple[float, float] | None = None,
) -> Prepared:
    """Return an undersampled disc, prepared."""
    mask = draw_pattern(pattern, shape, acceleration, 1).mask
    kspace = (disc_kspace(shape) * mask).astype(np.complex64)
    return prepare(raw_slice(kspace, mask, spacing_mm), MODEL)
