"""How well motion between heart beats is corrected: ``python -m benchmarks.motion``.

On phantoms, whose motion is known; and, with ``--data``, on the labelled series of
``models.perfusion.series``: Dice between each labelled beat's own myocardium, moved by the
estimate, and the majority of all.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, map_coordinates, shift

from models.perfusion.holdout import SPLITS
from models.perfusion.series import label_path, series_paths
from pipeline.analyses.perfusion.deform import deformations, jacobian
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.motion import estimate_shifts
from pipeline.analyses.perfusion.residual import remaining_shifts, residual_motion_mm
from pipeline.imaging.nifti import read_labels, read_time_series
from pipeline.phantom import PhantomSettings, perfusion_phantom

PHANTOMS = {
    "typical": {},
    "full ranges": {"randomise": True},
    "full ranges, breaths of 15 mm": {"randomise": True, "jump_mm": 15.0},
    "full ranges, breaths of 25 mm": {"randomise": True, "jump_mm": 25.0},
    "typical, breaths of 25 mm": {"jump_mm": 25.0},
}
N_PHANTOMS = 16
SPACING_MM, SIZE = 2.0, 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A slice whose motion or whose labels are known."""

    name: str
    frames: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    centre: tuple[float, float]
    """Where the heart is, as serving would be told [pixels]."""

    def square(self, shifts: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the beats around the heart, corrected."""
        return self.grid.resample(self.frames, shifts)

    @property
    def grid(self) -> SliceGrid:
        """Where the square lies."""
        return SliceGrid(
            centre=self.centre, pixel_spacing_mm=self.spacing_mm, size=SIZE, spacing_mm=SPACING_MM
        )


def phantoms(settings: dict[str, bool | float]) -> Iterator[tuple[Slice, NDArray[np.float64]]]:
    """Yield slices of a kind and their true shifts from the median position [mm]."""
    for seed in range(1, N_PHANTOMS + 1):
        asked = PhantomSettings(n_slices=1, n_beats=50, rows=112, columns=112, **settings)
        made = perfusion_phantom(seed, asked)
        true = made.shifts_mm[:, 0]
        usual = np.median(true, axis=0)
        centre = np.array(center_of_mass(made.labels[0] > 0)) + usual / 2.0
        found = Slice(
            name=str(seed),
            frames=made.image.array[:, 0],
            spacing_mm=(2.0, 2.0),
            centre=(float(centre[0]), float(centre[1])),
        )
        yield found, true - usual


def on_phantoms() -> None:
    """Print the distance between true and estimated positions."""
    print(
        "phantom | slices | moved, mean [mm] | error, mean | error, worst slice | left | CPU [ms]"
    )
    for kind, settings in PHANTOMS.items():
        rows = []
        for one, true in phantoms(settings):
            began = process_time()
            found = estimate_shifts(one.frames, one.centre, one.spacing_mm)
            spent = process_time() - began
            error = np.linalg.norm(found - np.median(found, axis=0) - true, axis=1).mean()
            left = residual_motion_mm(remaining_shifts(one.square(found), SPACING_MM))
            rows.append((np.linalg.norm(true, axis=1).mean(), error, left, 1000 * spent))
        moved, error, left, spent = np.mean(rows, axis=0)
        worst = max(row[1] for row in rows)
        print(
            f"{kind} | {len(rows)} | {moved:.2f} | {error:.2f} | {worst:.2f} | {left:.2f} | "
            f"{spent:.0f}"
        )


def labelled(data: Path, split: str) -> Iterator[tuple[Slice, NDArray[np.uint8]]]:
    """Yield the series of a split with the labels of each beat."""
    for path in series_paths(data, split):
        series, labels = read_time_series(path), read_labels(label_path(path))[:, 0]
        beats = (labels > 0).any(axis=(1, 2))
        row, column = center_of_mass((labels[beats] > 0).mean(axis=0))
        yield (
            Slice(
                name=path.name.removesuffix(".nii.gz"),
                frames=series.array[:, 0],
                spacing_mm=series.spacing_mm[1:],
                centre=(row, column),
            ),
            labels,
        )


def agreement(masks: NDArray[np.bool_]) -> float:
    """Return the mean Dice between each mask and the majority of all."""
    most = masks.mean(axis=0) > 0.5
    both = (masks & most).sum(axis=(1, 2))
    return float((2 * both / np.maximum(1, masks.sum(axis=(1, 2)) + most.sum())).mean())


def moved_masks(
    one: Slice, labels: NDArray[np.uint8], shifts: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the myocardium of each labelled beat, moved by the estimate."""
    beats = np.flatnonzero((labels > 0).any(axis=(1, 2)))
    by = (shifts[beats] - np.median(shifts[beats], axis=0)) / np.array(one.spacing_mm)
    return np.array(
        [
            shift((labels[beat] == 1).astype(np.float32), -each, order=1) >= 0.5
            for beat, each in zip(beats, by, strict=True)
        ]
    )


def deformed_masks(
    one: Slice, labels: NDArray[np.uint8], fields: NDArray[np.float32], shifts: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the myocardium of each labelled beat on the square, its deformation taken out."""
    on_square = one.grid.resample((labels == 1).astype(np.float32), shifts)
    points = np.indices(on_square.shape[1:], dtype=np.float32)
    return np.array(
        [
            map_coordinates(on_square[beat], points + fields[beat], order=1) >= 0.5
            for beat in np.flatnonzero((labels > 0).any(axis=(1, 2)))
        ]
    )


def on_series(data: Path, split: str, *, deformable: bool) -> None:
    """Print the Dice between beats of each series, and what is left."""
    rows = []
    more = " | Dice on the square, rigid | deformable | least Jacobian" if deformable else ""
    print(f"series | Dice uncorrected | rigid | left, uncorrected [mm] | left, rigid{more}")
    for one, labels in labelled(data, split):
        still = np.zeros((len(one.frames), 2))
        shifts = estimate_shifts(one.frames, one.centre, one.spacing_mm)
        row = [agreement(moved_masks(one, labels, s)) for s in (still, shifts)]
        row += [
            residual_motion_mm(remaining_shifts(one.square(s), SPACING_MM)) for s in (still, shifts)
        ]
        if deformable:
            nothing = np.zeros((len(labels), 2, SIZE, SIZE), dtype=np.float32)
            fields = deformations(one.square(shifts), SPACING_MM)
            row += [agreement(deformed_masks(one, labels, f, shifts)) for f in (nothing, fields)]
            row.append(min(float(jacobian(f).min()) for f in fields))
        rows.append(row)
        print(one.name, *(f"{value:.3f}" for value in row), sep=" | ", flush=True)
    kept = np.array(rows)
    print("mean", *(f"{v:.4f}" for v in kept.mean(axis=0)), sep=" | ")
    print("least", *(f"{v:.4f}" for v in kept.min(axis=0)), sep=" | ")
    print("most", *(f"{v:.4f}" for v in kept.max(axis=0)), sep=" | ")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the internal series")
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--deformable", action="store_true", help="deformation, too (slow)")
    asked = parser.parse_args(arguments)
    if asked.data is None:
        on_phantoms()
    else:
        on_series(asked.data, asked.split, deformable=asked.deformable)


if __name__ == "__main__":
    main()
