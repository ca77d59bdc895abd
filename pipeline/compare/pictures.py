"""One picture of a series done by two versions: outlines, images or ribbons beside each other."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.compare.likeness import MAGNITUDE, PHASES, SEGMENTATION, phases_of
from pipeline.compare.pairs import Pair
from pipeline.errors import PipelineError, UnreadableFile
from pipeline.imaging.nifti import read_labels, read_time_series
from pipeline.study import InputSeries

SIDE = 220
"""Side of a panel [pixel]."""

MARGIN = 12
"""Pixels of the image around what was found."""

COLOURS = ((230, 80, 60), (60, 140, 240), (240, 200, 60), (90, 200, 120), (190, 110, 220))
"""Colours of segments and phases, in turn."""

RIBBON = 24
"""Height of a ribbon [pixel]."""

Grey = NDArray[np.float32]
Colour = NDArray[np.uint8]


def picture(pair: Pair) -> bytes:
    """Return a PNG that shows both results, first left or above; empty if there is none to show."""
    first, second = pair.first.folder, pair.second.folder
    for name, make in ((SEGMENTATION, _outlines), (MAGNITUDE, _images), (PHASES, _ribbons)):
        paths = tuple(
            folder / name if folder is not None and (folder / name).is_file() else None
            for folder in (first, second)
        )
        if any(paths):
            try:
                return _png(make(pair, paths[0], paths[1]))
            except PipelineError:
                return b""
    return b""


def _outlines(pair: Pair, first: Path | None, second: Path | None) -> Colour:
    """Return the slice that differs most, with the outlines of each version."""
    found = [None if path is None else read_labels(path) for path in (first, second)]
    shape = next(f.shape for f in found if f is not None)
    a, b = (np.zeros(shape, np.int16) if f is None else f for f in found)
    if a.shape != b.shape:
        raise UnreadableFile(f"shapes {a.shape} and {b.shape}")
    index = int(np.argmax((a != b).sum(axis=(1, 2))))
    background = _background(pair, shape)[index]
    window = _window((a[index] > 0) | (b[index] > 0))
    return np.concatenate(
        [_panel(background[window], labels[index][window]) for labels in (a, b)], axis=1
    )


def _background(pair: Pair, shape: tuple[int, ...]) -> Grey:
    """Return the mean image of a series, or black where it is not to be had."""
    try:
        series = pair.read()
    except PipelineError:
        return np.zeros(shape, np.float32)
    if not isinstance(series, InputSeries) or series.image.array.shape[1:] != shape:
        return np.zeros(shape, np.float32)
    mean: Grey = series.image.array.mean(axis=0)
    return mean


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return a square around what was found; the whole image if nothing was."""
    if not mask.any():
        return slice(None), slice(None)
    places = np.argwhere(mask)
    low, high = places.min(axis=0) - MARGIN, places.max(axis=0) + MARGIN
    half, centre = int((high - low).max()) // 2 + 1, (low + high) // 2
    rows, columns = (slice(max(int(c) - half, 0), int(c) + half) for c in centre)
    return rows, columns


def _panel(grey: Grey, labels: NDArray[np.integer]) -> Colour:
    """Return an image with the edges of its segments, enlarged."""
    scaled = _enlarged(np.repeat(_grey(grey)[..., None], 3, axis=2), Image.Resampling.BILINEAR)
    drawn = np.asarray(
        Image.fromarray(labels.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    )
    edges = np.zeros(drawn.shape, bool)
    edges[1:] |= drawn[1:] != drawn[:-1]
    edges[:, 1:] |= drawn[:, 1:] != drawn[:, :-1]
    for value in np.unique(drawn[drawn > 0]):
        scaled[edges & (_grown(drawn == value))] = COLOURS[(int(value) - 1) % len(COLOURS)]
    return scaled


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask and its neighbours below and to the right, where edges are drawn."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:, 1:] |= mask[:, :-1]
    return grown


def _images(_pair: Pair, first: Path | None, second: Path | None) -> Colour:
    """Return reconstructions and their difference, in one window."""
    found = [None if path is None else read_time_series(path).array for path in (first, second)]
    shape = next(f.shape for f in found if f is not None)
    a, b = (np.zeros(shape, np.float32) if f is None else f for f in found)
    if a.shape != b.shape:
        raise UnreadableFile(f"shapes {a.shape} and {b.shape}")
    frame, index = np.unravel_index(
        int(np.argmax(np.abs(a - b).mean(axis=(2, 3)))), (a.shape[0], a.shape[1])
    )
    one, other = a[frame, index], b[frame, index]
    panels = [_grey(one), _grey(other), _grey(np.abs(one - other) * 5, white=_white(one))]
    return np.concatenate(
        [_enlarged(np.repeat(p[..., None], 3, axis=2), Image.Resampling.BILINEAR) for p in panels],
        axis=1,
    )


def _ribbons(_pair: Pair, first: Path | None, second: Path | None) -> Colour:
    """Return the phases over time, one ribbon a version."""
    found = [[] if path is None else phases_of(path) for path in (first, second)]
    names = sorted({str(phase) for phases in found for phase in phases if phase is not None})
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    rows = []
    for phases in found:
        line = np.array(
            [colours.get(str(phase), (60, 60, 60)) for phase in phases] or [(0, 0, 0)], np.uint8
        )
        ribbon = Image.fromarray(line[None]).resize((3 * SIDE, RIBBON), Image.Resampling.NEAREST)
        rows += [np.asarray(ribbon), np.full((4, 3 * SIDE, 3), 255, np.uint8)]
    return np.concatenate(rows[:-1])


def _enlarged(image: Colour, by: Image.Resampling) -> Colour:
    """Return an image on the size of a panel."""
    return np.array(Image.fromarray(image).resize((SIDE, SIDE), by))


def _white(values: Grey) -> float:
    """Return the value that is shown white."""
    return float(np.percentile(values, 99.5)) or 1.0


def _grey(values: Grey, white: float | None = None) -> Colour:
    """Return values as grey levels."""
    shown = np.clip(values / (white or _white(values)), 0.0, 1.0)
    return np.asarray(shown * 255, np.uint8)


def _png(image: Colour) -> bytes:
    """Return an image as PNG."""
    written = io.BytesIO()
    Image.fromarray(image).save(written, "PNG", optimize=True)
    return written.getvalue()
