"""Write fully sampled k-space of anatomy and coils that no training sees.

    python -m models.reconstruction.heldout FOLDER
    vesalius evaluate reconstruction --kspace FOLDER/*.npy

Always: two slices of a macaque's brain, from Debian's mricron-data. Where the shared research data
are found by ``VESALIUS_DATA``: two slices of another human head, at the matrices of training and at
twice that, and a heart. Fifteen coils on two rings, a number and an arrangement of its own.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray

from models.reconstruction.anatomy import HELD_OUT_VOLUME, TEMPLATES, draw_slice, load_volume
from models.reconstruction.data import simulate
from models.reconstruction.profiles import draw_two_rings

N_COILS = 15
"""Coils of the held-out array."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """A magnitude image that no training sees."""

    name: str
    """Names its file."""

    image: NDArray[np.float32]
    """Magnitude, at least as fine as ``shape``."""

    shape: tuple[int, int]
    """Matrix to acquire it with."""

    spacing_mm: tuple[float, float]
    """Distance between rows and between columns of that matrix [mm]."""


def held_out(research: Path) -> Iterator[HeldOut]:
    """Yield the images.

    Parameters
    ----------
    research
        Folder of the shared research data; what it lacks is left out.
    """
    volume = load_volume(TEMPLATES / HELD_OUT_VOLUME)
    for number in (1, 2):
        fine = ((384, 320), (0.3, 0.3))
        image = draw_slice(volume, fine, np.random.default_rng(number))
        yield HeldOut(
            name=f"macaque_{number}", image=image, shape=(192, 160), spacing_mm=(0.6, 0.6)
        )
    for number in (115, 125):
        path = research / "dicom" / "mr_t1w_mprage_pddl" / f"N2D_0{number}.dcm"
        if path.exists():
            yield from _head(path, number)
    path = research / "perfusion" / "internal" / "patient07_rest_mid.nii.gz"
    if path.exists():
        frames = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)  # type: ignore[attr-defined]
        image = np.ascontiguousarray(frames[:, :, 0, 30].T)
        yield HeldOut(name="heart", image=image, shape=(160, 160), spacing_mm=(2.29, 2.29))


def write_held_out(folder: Path, research: Path) -> list[Path]:
    """Write each image's k-space as ``NAME.npy``, shape ``(coils, ky, kx)``; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for found in held_out(research):
        # Seeded by the image, so that leaving one out does not change the next.
        rng = np.random.default_rng([ord(letter) for letter in found.name])
        sides = [n * d for n, d in zip(found.shape, found.spacing_mm, strict=True)]
        mean = float(np.sqrt(sides[0] * sides[1]))
        coils = draw_two_rings(N_COILS, (sides[0] / mean, sides[1] / mean), rng)
        image = found.image / np.float32(np.percentile(found.image, 99.5))
        simulated = simulate(image, found.shape, found.spacing_mm, rng, coils)
        paths.append(folder / f"{found.name}.npy")
        np.save(paths[-1], simulated.kspace)
    return paths


def _head(path: Path, number: int) -> Iterator[HeldOut]:
    """Yield one slice of a head at a matrix of training's size and at twice that."""
    dataset = pydicom.dcmread(path)
    image = dataset.pixel_array.astype(np.float32)
    row_spacing, column_spacing = (float(v) for v in dataset.PixelSpacing)
    rows, columns = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    for name, factor in (("head", 2), ("head_fine", 1)):
        yield HeldOut(
            name=f"{name}_{number}",
            image=image[:rows, :columns],
            shape=(rows // factor, columns // factor),
            spacing_mm=(row_spacing * factor, column_spacing * factor),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    research = Path(os.environ.get("VESALIUS_DATA", "../shared/data"))
    for path in write_held_out(options.folder, research):
        print(path)


if __name__ == "__main__":
    main()
