"""Images of several methods beside each other, in one window."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

INCHES = 3.2
"""Side of an image [inch]."""


def write_side_by_side(images: Mapping[str, NDArray[np.float32]], path: Path) -> None:
    """Write magnitudes side by side as a PNG; each is shown up to its own 99.5th percentile.

    Parameters
    ----------
    images
        Title and magnitude of each, shape ``(rows, columns)``.
    path
        Where the figure goes; its folder is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(INCHES * len(images), INCHES + 0.3), dpi=150, layout="constrained")
    for number, (title, image) in enumerate(images.items(), start=1):
        axes = figure.add_subplot(1, len(images), number)
        axes.imshow(image, cmap="gray", vmin=0.0, vmax=float(np.percentile(image, 99.5)) or 1.0)
        axes.set_title(title)
        axes.set_axis_off()
    # To save the figure would draw it twice: once for its layout.
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})
