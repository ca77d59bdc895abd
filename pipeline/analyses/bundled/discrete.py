"""From what a network gives to labels, after MONAI's post-processing of the same names."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float32]


def softmax(array: Array) -> Array:
    """Return shares over the channels, which sum to 1. Shape ``(channels, i, j, k)``."""
    powers = np.exp(array - array.max(axis=0, keepdims=True))
    return np.asarray(powers / powers.sum(axis=0, keepdims=True))


def sigmoid(array: Array) -> Array:
    """Return the logistic function, without overflow."""
    small = np.exp(-np.abs(array))
    found = np.where(array >= 0, 1.0 / (1.0 + small), small / (1.0 + small))
    return np.asarray(found, dtype=np.float32)


def argmax(array: Array) -> Array:
    """Return the channel of the largest value. Shape ``(1, i, j, k)``."""
    return np.asarray(array.argmax(axis=0)[None], dtype=np.float32)


def threshold(array: Array, limit: float) -> Array:
    """Return 1 where a value is the limit or more, else 0."""
    return (array >= np.float32(limit)).astype(np.float32)


def largest_components(
    array: Array, labels: Sequence[int] | None, *, independent: bool, connectivity: int, n: int
) -> Array:
    """Keep the largest connected pieces, and set the others to 0.

    Parameters
    ----------
    array
        Labels. Shape ``(1, i, j, k)``.
    labels
        Labels that it is done for; None for all above 0.
    independent
        Whether each label has pieces of its own, or all of them together.
    connectivity
        Steps to a neighbour, of which each changes another axis: 1 to 3.
    n
        How many pieces are kept.
    """
    found = array.copy()
    if labels is None:
        labels = [int(v) for v in np.unique(array) if v > 0]
    masks = [found[0] == v for v in labels] if independent else [np.isin(found[0], labels)]
    for mask in masks:
        pieces, n_pieces = ndimage.label(mask, ndimage.generate_binary_structure(3, connectivity))
        sizes = np.bincount(pieces.ravel(), minlength=n_pieces + 1)[1:]
        kept = np.argsort(-sizes, kind="stable")[:n] + 1
        found[0][mask & ~np.isin(pieces, kept)] = 0
    return found


def fill_holes(array: Array, labels: Sequence[int] | None, *, connectivity: int) -> Array:
    """Give what a label encloses its value, other labels too.

    Parameters
    ----------
    array
        Labels. Shape ``(1, i, j, k)``.
    labels
        Labels that it is done for, in ascending order; None for all above 0.
    connectivity
        Steps out of a hole, of which each changes another axis: 1 to 3.
    """
    found = array[0].copy()
    structure = ndimage.generate_binary_structure(3, connectivity)
    if labels is None:
        labels = [int(v) for v in np.unique(found) if v > 0]
    for label in sorted(labels):
        found[ndimage.binary_fill_holes(found == label, structure)] = label
    return np.asarray(found[None])
