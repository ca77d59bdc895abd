"""What moves voxels: turning, resampling, cropping and padding, each with what undoes it.

Written after MONAI's transforms of the same names; tests hold the two together.

References
----------
.. [MONAI] M. J. Cardoso et al., "MONAI: An open-source framework for deep learning in healthcare",
   arXiv:2211.02701, 2022.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.bundled.grid import Grid, Image
from pipeline.errors import AnalysisFailed

Interpolation = Literal["bilinear", "nearest"]
Undo = Callable[[Image, bool], Image]
"""Returns an image as it was before a step; the flag asks for values of the nearest voxel."""

Moved = tuple[Image, Undo]
"""An image after a step, and what undoes the step."""

Widths = Sequence[tuple[int, int]]
"""What is added before and after along each axis [voxel]; negative where it is taken away."""

_UNCHANGED = 1e-3
_POSITIVE = "RAS"
_NEGATIVE = "LPI"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resampling:
    """How values between voxels are made."""

    mode: Interpolation
    """Linear between neighbours along each axis, or the nearest voxel's."""

    zeros_outside: bool
    """Whether there is nothing outside the grid; else its border goes on."""


def orient(image: Image, axcodes: str) -> Moved:
    """Turn and mirror axes so that each runs in a direction of the patient.

    Parameters
    ----------
    image
        The image.
    axcodes
        Direction that each axis runs in: ``RAS`` goes right, to the front, up.
    """
    now = _orientation(image.affine)
    wanted = [_world_axis(code) for code in axcodes]
    order = [next(a for a, (axis, _) in enumerate(now) if axis == w) for w, _ in wanted]
    mirrored = [now[a][1] != sign for a, (_, sign) in zip(order, wanted, strict=True)]
    array = image.array.transpose([0, *(a + 1 for a in order)])
    array = np.ascontiguousarray(array[_mirror(mirrored)])
    change = np.zeros((4, 4))
    change[3, 3] = 1.0
    for axis, (source, is_mirrored) in enumerate(zip(order, mirrored, strict=True)):
        change[source, axis] = -1.0 if is_mirrored else 1.0
        change[source, 3] = image.array.shape[source + 1] - 1 if is_mirrored else 0.0
    before = image.affine

    def undo(turned: Image, _nearest: bool) -> Image:
        back = turned.array[_mirror(mirrored)].transpose([0, *(a + 1 for a in np.argsort(order))])
        return Image(array=np.ascontiguousarray(back), affine=before)

    return Image(array=array, affine=image.affine @ change), undo


def respace(image: Image, pixdim: Sequence[float], how: Resampling) -> Moved:
    """Resample to a spacing; a spacing of 0 or less is kept along its axis.

    The first voxel stays where it is, and directions stay as they are.

    Parameters
    ----------
    image
        The image.
    pixdim
        Distance between voxel centres along each axis [mm].
    how
        How values between voxels are made.
    """
    source = image.grid
    wanted = np.asarray(pixdim, dtype=np.float64)
    spacing = np.where(wanted > 0, wanted, source.spacing_mm)
    affine = _zoomed(source.affine, spacing)
    n_i, n_j, n_k = _covering(source, affine)
    target = Grid(shape=(n_i, n_j, n_k), affine=affine)

    def undo(resampled: Image, nearest: bool) -> Image:
        mode: Interpolation = "nearest" if nearest else how.mode
        back = Resampling(mode=mode, zeros_outside=how.zeros_outside)
        return resample(resampled, source, back)

    return resample(image, target, how), undo


def resample(image: Image, target: Grid, how: Resampling) -> Image:
    """Return an image on another grid whose axes run as its own do."""
    source = image.grid
    across = np.linalg.solve(source.affine, target.affine)
    same = source.shape == target.shape
    if same and np.allclose(across, np.eye(4), atol=_UNCHANGED):
        return Image(array=image.array, affine=target.affine)
    positions = [
        _positions((across[axis, axis], across[axis, 3]), source.shape[axis], target.shape[axis])
        for axis in range(3)
    ]
    array = np.empty((len(image.array), *target.shape), dtype=np.float32)
    # In double precision, as MONAI does it, and one channel at a time for the sake of memory.
    for number, channel in enumerate(image.array):
        values = channel.astype(np.float64)
        for axis, at in enumerate(positions):
            values = _along(values, axis, at, how)
        array[number] = values
    return Image(array=array, affine=target.affine)


def pad(image: Image, widths: Widths, value: float) -> Moved:
    """Add voxels of one value around an image, or take voxels away where a width is negative."""
    before = image.grid
    array = _widened(image.array, widths, value)
    affine = image.affine.copy()
    affine[:3, 3] -= image.affine[:3, :3] @ np.array([first for first, _ in widths], dtype=float)

    def undo(padded: Image, _nearest: bool) -> Image:
        back = _widened(padded.array, [(-first, -last) for first, last in widths], 0.0)
        return Image(array=back, affine=before.affine)

    return Image(array=array, affine=affine), undo


def widths_to(shape: Sequence[int], size: Sequence[int], *, at_end: bool) -> Widths:
    """Return what a grid lacks of a size: half on each side, or all of it at the end.

    Parameters
    ----------
    shape
        The grid's size.
    size
        The wanted size; an axis that is longer, or whose wanted size is 0 or less, is left.
    at_end
        Whether all of it is added at the end.
    """
    widths = []
    for now, wanted in zip(shape, size, strict=True):
        lack = max((wanted if wanted > 0 else now) - now, 0)
        first = 0 if at_end else lack // 2
        widths.append((first, lack - first))
    return widths


def foreground_widths(
    image: Image, *, margin: Sequence[int], divisor: Sequence[int], inside: bool
) -> Widths:
    """Return what is to be taken away around all values above 0; more than that is added.

    Parameters
    ----------
    image
        The image.
    margin
        Voxels that are left around, along each axis.
    divisor
        The size along each axis is a multiple of it.
    inside
        Whether the margin ends at the image's edge.

    Raises
    ------
    AnalysisFailed
        If no value lies above 0.
    """
    found = np.asarray((image.array > 0).any(axis=0))
    widths = []
    for axis, length in enumerate(found.shape):
        filled = np.flatnonzero(np.moveaxis(found, axis, 0).reshape(length, -1).any(axis=1))
        if filled.size == 0:
            raise AnalysisFailed("no value lies above 0: there is no foreground to crop to")
        start, end = int(filled[0]) - margin[axis], int(filled[-1]) + 1 + margin[axis]
        if inside:
            start, end = max(start, 0), min(end, length)
        lack = -(end - start) % divisor[axis] if divisor[axis] > 0 else 0
        start -= lack // 2
        end += lack - lack // 2
        widths.append((-start, end - length))
    return widths


def _zoomed(affine: NDArray[np.float64], spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an affine of the same directions and origin with another spacing [mm]."""
    upper = np.linalg.cholesky(affine[:3, :3].T @ affine[:3, :3]).T
    zoomed = affine.copy()
    directions = affine[:3, :3] @ np.linalg.inv(upper)
    zoomed[:3, :3] = directions @ np.diag(np.sign(np.diag(upper)) * spacing)
    return zoomed


def _covering(source: Grid, affine: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return the voxels of another affine that reach from the first to the last of a grid.

    In MONAI's steps: where the extent is half a voxel over, its rounding decides.
    """
    ends = [(0.0, n - 1.0) for n in source.shape]
    corners = np.asarray(np.meshgrid(*ends, indexing="ij")).reshape((3, -1))
    corners = np.concatenate((corners, np.ones_like(corners[:1])))
    unplaced_in, unplaced_out = source.affine, affine.copy()
    unplaced_out[:3, 3] = 0.0
    reached = np.linalg.solve(unplaced_out, unplaced_in) @ corners
    n_i, n_j, n_k = (int(n) for n in np.round(np.ptp(reached[:3], axis=1) + 1.0))
    return n_i, n_j, n_k


def _widened(array: NDArray[np.float32], widths: Widths, value: float) -> NDArray[np.float32]:
    """Return an array with voxels added and taken away along its last three axes."""
    kept = [slice(None)]
    for (first, last), length in zip(widths, array.shape[1:], strict=True):
        kept.append(slice(max(-first, 0), length - max(-last, 0)))
    added = [(0, 0), *((max(first, 0), max(last, 0)) for first, last in widths)]
    return np.pad(array[tuple(kept)], added, constant_values=value)


def _positions(step_and_start: tuple[float, float], n_in: int, n_out: int) -> NDArray[np.float64]:
    """Return where the voxels of one axis lie on that of another grid [voxel].

    In the steps of torch's ``affine_grid`` and ``grid_sample``, whose rounding decides which of two
    equally near voxels is taken.
    """
    step, start = step_and_start
    base = (2.0 * np.arange(n_out) + 1.0 - n_out) / n_out
    scale = step * n_out / n_in
    shift = (2.0 * start + step * (n_out - 1.0) + 1.0) / n_in - 1.0
    return np.asarray(((base * scale + shift + 1.0) * n_in - 1.0) / 2.0)


def _along(
    array: NDArray[np.float64], axis: int, at: NDArray[np.float64], how: Resampling
) -> NDArray[np.float64]:
    """Return an array at positions along one axis."""
    last = array.shape[axis] - 1
    if not how.zeros_outside:
        at = np.clip(at, 0.0, last)
    if how.mode == "nearest":
        nearest = np.rint(at).astype(int)
        return _taken(array, axis, nearest)
    low = np.floor(at).astype(int)
    shape = [1] * array.ndim
    shape[axis] = -1
    share = (at - low).reshape(shape)
    below, above = _taken(array, axis, low), _taken(array, axis, low + 1)
    return np.asarray(below * (1.0 - share) + above * share)


def _taken(array: NDArray[np.float64], axis: int, index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the voxels of an axis by their index; 0 for one that there is not."""
    length = array.shape[axis]
    taken: NDArray[np.float64] = array.take(np.clip(index, 0, length - 1), axis=axis)
    outside = (index < 0) | (index >= length)
    if outside.any():
        shape = [1] * array.ndim
        shape[axis] = -1
        taken = taken * ~outside.reshape(shape)
    return np.asarray(taken)


def _orientation(affine: NDArray[np.float64]) -> list[tuple[int, bool]]:
    """Return the patient's axis that each axis of a grid is nearest to, and if it ascends on it."""
    scaled = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    left, _, right = np.linalg.svd(scaled)
    rotation = left @ right
    found = [(0, True)] * 3
    # The axis that lies nearest to one of the patient's chooses first.
    for axis in np.argsort(-np.abs(rotation).max(axis=0), kind="stable"):
        world = int(np.abs(rotation[:, axis]).argmax())
        found[axis] = (world, bool(rotation[world, axis] > 0))
        rotation[world, :] = 0.0
    return found


def _world_axis(code: str) -> tuple[int, bool]:
    """Return the patient's axis that a letter names, and whether it ascends on it."""
    if code in _POSITIVE:
        return _POSITIVE.index(code), True
    return _NEGATIVE.index(code), False


def _mirror(mirrored: Sequence[bool]) -> tuple[slice, ...]:
    """Return what mirrors the axes of an array behind its channels."""
    return (slice(None), *(slice(None, None, -1 if m else 1) for m in mirrored))
