"""The picture that the encoder sees, and what plain measures tell of it.

Measures are taken on the same small picture, so that thresholds hold for every camera. The black
surround of an endoscope's field is left out of all of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.analyses.phases.result import Mark

LIT = 0.06
"""Luminance from which on a pixel belongs to the field and not to its black surround."""

RED_OVER = 1.1
"""A pixel is red if its red is so many times its green and its blue."""

BLACK_BELOW = 0.12
"""Luminance of the brightest twentieth below which there is no light."""

RED_SHARE_OUTSIDE = 0.15
"""Share of red pixels below which a picture is not of the inside of a body."""

SHARPNESS_BLUR = 0.018
"""Root mean square of the Laplacian of luminance below which nothing is sharp."""

VEIL_SMOKE, SATURATION_SMOKE = 0.3, 0.25
"""Luminance of the darkest twentieth above which, and saturation below which, smoke hides it."""

_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """What is measured on a picture. Values run from 0 to 1 but for ``sharpness``."""

    light: float
    """Luminance that a twentieth of all pixels exceeds."""

    veil: float
    """Luminance that a twentieth of the field's pixels stays below."""

    red_share: float
    """Share of the field's pixels that are red."""

    saturation: float
    """Mean saturation of the field (largest less smallest channel, over the largest)."""

    sharpness: float
    """Root mean square of the Laplacian of luminance within the field."""


def small_picture(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a picture squeezed into a square, each pixel the mean of those it stands for.

    Parameters
    ----------
    rgb
        Any picture. Shape ``(rows, columns, 3)``.
    side
        Rows and columns of the result.
    """
    picture = Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def measure(rgb: NDArray[np.uint8]) -> Measures:
    """Measure a small picture. Shape ``(side, side, 3)``."""
    values = rgb.astype(np.float32) / 255
    luminance = np.asarray(values @ _LUMA, dtype=np.float32)
    light = float(np.percentile(luminance, 95))
    field = luminance > LIT
    if not field.any():
        return Measures(light=light, veil=0.0, red_share=0.0, saturation=0.0, sharpness=0.0)
    red, green, blue = (values[..., channel][field] for channel in range(3))
    largest = np.maximum(np.maximum(red, green), blue)
    smallest = np.minimum(np.minimum(red, green), blue)
    return Measures(
        light=light,
        veil=float(np.percentile(luminance[field], 5)),
        red_share=float(np.mean((red > RED_OVER * green) & (red > RED_OVER * blue))),
        saturation=float(np.mean((largest - smallest) / largest)),
        sharpness=_sharpness(luminance, field),
    )


def mark_of(measures: Measures) -> Mark:
    """Return what a picture shows.

    The order matters: without light nothing else can be told, and a blurred drape is still outside.
    Skin and whatever else is warm in colour counts as inside: a face that fills the picture is not
    noticed.
    """
    if measures.light < BLACK_BELOW:
        return Mark.BLACK
    if measures.red_share < RED_SHARE_OUTSIDE:
        return Mark.OUT_OF_BODY
    if measures.veil > VEIL_SMOKE and measures.saturation < SATURATION_SMOKE:
        return Mark.SMOKE
    if measures.sharpness < SHARPNESS_BLUR:
        return Mark.BLUR
    return Mark.USABLE


def _sharpness(luminance: NDArray[np.float32], field: NDArray[np.bool_]) -> float:
    """Return the root mean square of the Laplacian where a pixel and its neighbours are lit."""
    middle = (slice(1, -1), slice(1, -1))
    around = (
        (slice(None, -2), slice(1, -1)),
        (slice(2, None), slice(1, -1)),
        (slice(1, -1), slice(None, -2)),
        (slice(1, -1), slice(2, None)),
    )
    inner = field[middle] & np.logical_and.reduce([field[place] for place in around])
    if not inner.any():
        return 0.0
    laplacian = 4 * luminance[middle] - sum(luminance[place] for place in around)
    return float(np.sqrt(np.mean(laplacian[inner] ** 2)))
