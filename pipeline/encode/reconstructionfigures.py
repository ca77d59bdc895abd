"""Figures of a reconstruction: zero-filled, reconstructed, its uncertainty, its error.

They hold no text of a patient, and are drawn without a display, with the same bytes each time.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.result import ReconstructionResult

MOST_ROWS = 4
"""Slices that a figure shows, evenly spread."""

DPI = 110
PANEL_INCHES = 3.2
PAPER, INK = "#101418", "#e8ecf0"
WHITE_QUANTILE, UNCERTAIN_QUANTILE = 0.995, 0.99

ERROR_SHARE = 0.2
"""An error of this share of white is shown as the brightest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture."""

    title: str
    """What it shows."""

    values: NDArray[np.float32]
    """Shape ``(rows, columns)``."""

    white: float
    """Value that is shown as the brightest."""

    colours: str = "gray"
    """Name of the colour map."""


def write_reconstruction_figure(
    result: ReconstructionResult,
    path: Path,
    *,
    spacing_mm: tuple[float, float] | None = None,
    truth: NDArray[np.float32] | None = None,
) -> None:
    """Write zero-filled, reconstruction and uncertainty side by side, a row a slice.

    Parameters
    ----------
    result
        The reconstruction. Of several time steps the middle one is shown.
    path
        The file.
    spacing_mm
        Distance between rows and columns [mm]: pixels keep their proportions.
    truth
        The image of all data, where it is known: the error is then shown too. Shape ``(frames,
        slices, rows, columns)``.
    """
    frame = result.image.shape[0] // 2
    n_slices = result.image.shape[1]
    shown = np.unique(np.linspace(0, n_slices - 1, min(n_slices, MOST_ROWS)).round().astype(int))
    rows = [_panels(result, truth, (frame, int(index))) for index in shown]
    _write(rows, path, spacing_mm)


def _panels(
    result: ReconstructionResult, truth: NDArray[np.float32] | None, at: tuple[int, int]
) -> list[Panel]:
    """Return the pictures of one slice."""
    magnitude = np.abs(result.image[at])
    white = _white(magnitude)
    rate = f"acceleration {result.acceleration:.1f}"
    panels = [
        Panel(title=f"zero-filled, {rate}", values=result.zero_filled[at], white=white),
        Panel(title=f"slice {at[1] + 1}: {result.method}", values=magnitude, white=white),
    ]
    if result.uncertainty is not None:
        values = result.uncertainty[at]
        bright = max(float(np.quantile(values, UNCERTAIN_QUANTILE)), 1e-30)
        share = 100 * bright / white
        title = f"uncertainty, to {share:.1f} % of white"
        panels.append(Panel(title=title, values=values, white=bright, colours="magma"))
    if truth is not None:
        panels.append(_error(magnitude, truth[at], white))
    return panels


def _error(values: NDArray[np.float32], truth: NDArray[np.float32], white: float) -> Panel:
    """Return the picture of an error."""
    return Panel(
        title=f"error, to {100 * ERROR_SHARE:.0f} % of white",
        values=np.abs(values - truth),
        white=ERROR_SHARE * white,
        colours="magma",
    )


def _white(values: NDArray[np.float32]) -> float:
    """Return the value that is shown as white."""
    return max(float(np.quantile(values, WHITE_QUANTILE)), 1e-30)


def _write(rows: list[list[Panel]], path: Path, spacing_mm: tuple[float, float] | None) -> None:
    """Draw panels on a grid."""
    n_columns = max(len(row) for row in rows)
    height, width = rows[0][0].values.shape
    aspect = 1.0 if spacing_mm is None else spacing_mm[0] / spacing_mm[1]
    tall = PANEL_INCHES * min(2.0, max(0.5, aspect * height / width))
    figure = Figure(
        figsize=(PANEL_INCHES * n_columns, (tall + 0.25) * len(rows)),
        dpi=DPI,
        layout="constrained",
        facecolor=PAPER,
    )
    for line, row in enumerate(rows):
        for column, panel in enumerate(row):
            axes = figure.add_subplot(len(rows), n_columns, line * n_columns + column + 1)
            axes.imshow(
                np.clip(panel.values / np.float32(panel.white), 0.0, 1.0),
                cmap=panel.colours,
                vmin=0.0,
                vmax=1.0,
                aspect=aspect,
                interpolation="nearest",
            )
            axes.set_axis_off()
            axes.set_title(panel.title, fontsize=9, color=INK)
    # Neither a time nor the name of the software goes into the file. To save the figure would draw
    # it twice: once for its layout.
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})
