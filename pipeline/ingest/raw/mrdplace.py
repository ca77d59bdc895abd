"""The grid, the place and the times that the headers of an MRD file give."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.raw.mrdheader import Encoding, MrdHeader, Space
from pipeline.ingest.raw.placement import (
    ImageGrid,
    SlicePlane,
    is_stated,
    place_slab,
    place_slices,
)
from pipeline.mr.kspace import uncounted_times

TICK_S = 1e-3
"""Unit of the time stamps [s]: milliseconds since midnight."""

SIEMENS_TICK_S = 2.5e-3
"""The same in files converted from Siemens."""


SAME_VIEW = 0.01
"""Share by which two fields of view may differ and still be the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """The image that an encoding space makes at its own resolution."""

    rows: int
    """Rows, without phase oversampling."""

    columns: int
    """Columns, without readout oversampling."""

    partitions: int
    """Slices, without slice oversampling; 1 for two-dimensional encoding."""

    spacing_mm: tuple[float, float, float] | None
    """Thickness of slices and distance between rows and columns [mm]; None where no field of view
    is stated."""

    thickness_mm: float | None
    """Thickness of slices [mm]; None where it is not stated: 1 mm is then taken to place them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """Where the slices of a part lie."""

    affine: NDArray[np.float64] | None
    """See ``KSpace.affine``."""

    order: list[int]
    """For each slice along the affine the slice or partition of the file."""

    notes: tuple[str, ...]
    """What is not known."""


def image_grid(encoding: Encoding) -> Grid:
    """Return the image of an encoding space: its field of view at the resolution of the samples.

    An image that the scanner would interpolate to a larger matrix is not.
    """
    encoded, recon = encoding.encoded, encoding.recon
    if encoded.fov_mm is None or recon.fov_mm is None:
        sizes = [min(a, b) for a, b in zip(encoded.matrix, recon.matrix, strict=True)]
        return Grid(
            columns=sizes[0], rows=sizes[1], partitions=sizes[2], spacing_mm=None, thickness_mm=None
        )
    kept = [
        max(1, min(n, round(n * inner / outer))) if outer > 0 and inner > 0 else n
        for n, outer, inner in zip(encoded.matrix, encoded.fov_mm, recon.fov_mm, strict=True)
    ]
    spacing = [fov / n for fov, n in zip(encoded.fov_mm, encoded.matrix, strict=True)]
    if _is_oversampled_by_its_matrix(encoding):
        kept[0] = recon.matrix[0]
        spacing[0] = recon.fov_mm[0] / recon.matrix[0]
    known = spacing[2] > 0
    return Grid(
        columns=kept[0],
        rows=kept[1],
        partitions=kept[2],
        spacing_mm=(spacing[2] if known else 1.0, spacing[1], spacing[0]),
        thickness_mm=spacing[2] if known else None,
    )


def _is_oversampled_by_its_matrix(encoding: Encoding) -> bool:
    """Tell whether the readout is twice as long as the image, under the same field of view.

    No scanner reads out twice the resolution that it shows: such a header gives the image's field
    of view twice, and the samples are of twice that.
    """
    encoded, recon = encoding.encoded, encoding.recon
    if encoded.fov_mm is None or recon.fov_mm is None:
        return False
    same_view = abs(encoded.fov_mm[0] - recon.fov_mm[0]) <= SAME_VIEW * recon.fov_mm[0]
    return same_view and encoded.matrix[0] == 2 * recon.matrix[0]


def of_single_slices(encoding: Encoding) -> Encoding:
    """Return an encoding space without partitions, as if each slice had its own.

    Some headers of two-dimensional acquisitions count their slices as a third size of the matrix.
    """
    return replace(encoding, encoded=_one_slice(encoding.encoded), recon=_one_slice(encoding.recon))


def _one_slice(space: Space) -> Space:
    """Return one slice of a space."""
    columns, rows, n_slices = space.matrix
    fov = space.fov_mm
    return Space(
        matrix=(columns, rows, 1),
        fov_mm=None if fov is None else (fov[0], fov[1], fov[2] / n_slices),
    )


def place(encoding: Encoding, firsts: Sequence[np.void], name: str) -> Placed:
    """Return where the slices of a part lie.

    Parameters
    ----------
    encoding
        Its encoding space.
    firsts
        Header of the first acquisition of each slice.
    name
        The file's name, for messages.

    Raises
    ------
    InconsistentSeries
        If slices do not make a regular stack.
    """
    grid = image_grid(encoding)
    planes = [
        SlicePlane(
            centre=_vector(h["position"]),
            read=_vector(h["read_dir"]),
            phase=_vector(h["phase_dir"]),
        )
        for h in firsts
    ]
    if grid.spacing_mm is None or not all(is_stated(plane) for plane in planes):
        what = "field of view" if grid.spacing_mm is None else "slice direction"
        return Placed(
            affine=None,
            order=list(range(max(len(planes), grid.partitions))),
            notes=(f"the MRD file states no {what}: the image has no place in the patient",),
        )
    size = ImageGrid(rows=grid.rows, columns=grid.columns, spacing_mm=grid.spacing_mm)
    if grid.partitions > 1:
        direction = _vector(firsts[0]["slice_dir"])
        affine, reversed_ = place_slab(planes[0], direction, (size, grid.partitions), name)
        order = list(range(grid.partitions))[:: -1 if reversed_ else 1]
    else:
        affine, order = place_slices(planes, size, name)
    return Placed(affine=affine, order=order, notes=())


def frame_times(
    heads: NDArray[np.void],
    frames: dict[tuple[int, int], int],
    slices: dict[int, int],
    header: MrdHeader,
) -> tuple[NDArray[np.float64], bool]:
    """Return the time of each frame of each slice [s], and whether it is only counted.

    Parameters
    ----------
    heads
        Headers of the lines.
    frames
        Frame of each repetition and phase.
    slices
        Place of each slice counter.
    header
        The header of the file.
    """
    siemens = "siemens" in header.texts.get("systemVendor", "").lower()
    first = np.full((len(frames), len(slices)), np.inf)
    at = heads["idx"]
    for repetition, phase, counter, stamp in zip(
        at["repetition"], at["phase"], at["slice"], heads["acquisition_time_stamp"], strict=True
    ):
        place = frames[int(repetition), int(phase)], slices[int(counter)]
        first[place] = min(first[place], float(stamp))
    times = (first - first.min()) * (SIEMENS_TICK_S if siemens else TICK_S)
    if len(frames) > 1 and not (np.diff(times, axis=0) > 0).all():
        return uncounted_times(len(frames), len(slices)), True
    return times, False


def _vector(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return three numbers."""
    return np.asarray(values, dtype=np.float64)
