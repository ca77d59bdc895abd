"""A picture at the size that a network sees: the same wherever it is made."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def small_picture(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a picture squeezed into a square, each pixel the mean of those it stands for.

    One that is of that size already stays as it is.

    Parameters
    ----------
    rgb
        Any picture. Shape ``(rows, columns, 3)``.
    side
        Rows and columns of the result.
    """
    picture = Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(picture)
