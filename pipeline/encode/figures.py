"""Figures of a perfusion result: contours, uncertainty, curves. They hold no text of a patient.

Drawn without a display and without global state, with the same bytes each time.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.analyses.perfusion.result import (
    BLOOD_POOL,
    MYOCARDIUM,
    PerfusionResult,
    SliceResult,
)
from pipeline.imaging.volume import TimeSeries

HALF_VIEW_MM = 70.0
"""Half the side of the square around the heart that is shown [mm]."""

MOST_COLUMNS = 4
"""Slices side by side in a figure."""

DPI = 110
PANEL_INCHES = 3.2
MYOCARDIUM_COLOUR, BLOOD_COLOUR = "#3fd07c", "#ff5f56"
PAPER, INK = "#101418", "#e8ecf0"
LARGEST_UNCERTAINTY = 0.15
"""Standard deviation that is shown brightest."""

MOTION_COLOURS = ("#6cb4ff", "#ffb347")
LEAST_MOTION_MM = 5.0
"""Smallest displacement at the top of a figure of motion [mm]: small ones look small."""

Draw = Callable[[Axes, int], None]
"""Draws one slice on a pair of axes."""


class Panels:
    """The pictures of one result, each on axes that are given.

    Parameters
    ----------
    image
        The series.
    result
        What was found on it.
    """

    def __init__(self, image: TimeSeries, result: PerfusionResult) -> None:
        self._image = image
        self._result = result

    def segmentation(self, axes: Axes, index: int) -> None:
        """Draw the contours over the frame at which the blood pool is brightest.

        The contours lie where the heart was on that beat, not at its median place.
        """
        found = self._result.slices[index]
        frame = self._image.array[found.peak_beat, index]
        self._show(axes, frame, found, cmap="gray", limits=_window(frame[self._view(found)]))
        shift = np.array(found.peak_shift_mm) / np.array(self._image.spacing_mm[1:])
        self._contours(axes, index, shift)
        member = found.chosen_member or "nothing plausible"
        axes.set_title(f"slice {index + 1}, beat {found.peak_beat + 1}: {member}", fontsize=9)

    def uncertainty(self, axes: Axes, index: int) -> None:
        """Draw the uncertainty map with the outline of the segmentation."""
        found = self._result.slices[index]
        values = self._result.uncertainty.array[index]
        self._show(axes, values, found, cmap="magma", limits=(0.0, LARGEST_UNCERTAINTY))
        self._contours(axes, index, np.zeros(2))
        u_pp = "-" if not np.isfinite(found.u_pp) else f"{found.u_pp:.4f}"
        axes.set_title(f"slice {index + 1}: uncertainty, U_pp {u_pp}", fontsize=9)

    def curves(self, axes: Axes, index: int) -> None:
        """Draw the time-intensity curves of blood pool and myocardium."""
        curves = self._result.curves
        times = curves.times_s[:, index]
        axes.plot(times, curves.blood_pool[:, index], color=BLOOD_COLOUR, label="LV blood pool")
        axes.plot(times, curves.myocardium[:, index], color=MYOCARDIUM_COLOUR, label="myocardium")
        unit = "heart beats" if self._image.times_are_estimated else "s"
        axes.set_xlabel(f"time [{unit}]", fontsize=8)
        axes.set_ylabel("signal intensity", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_title(f"slice {index + 1}", fontsize=9)
        axes.legend(fontsize=7, loc="best", facecolor=PAPER, labelcolor=INK, edgecolor=INK)

    def motion(self, axes: Axes, index: int) -> None:
        """Draw how far the heart lies from its place on each beat, and what of it is left."""
        found, course = self._result.slices[index], self._result.motion
        if course is not None:
            beats = np.arange(1, self._image.n_beats + 1)
            lengths = {
                "found": np.linalg.norm(course.shifts_mm[:, index], axis=1),
                "left": np.linalg.norm(course.remaining_mm[:, index], axis=1),
            }
            for (name, length), colour in zip(lengths.items(), MOTION_COLOURS, strict=True):
                axes.plot(beats, length, color=colour, label=name)
            axes.set_ylim(0.0, max(LEAST_MOTION_MM, 1.05 * float(lengths["found"].max())))
            axes.legend(fontsize=7, loc="best", facecolor=PAPER, labelcolor=INK, edgecolor=INK)
        axes.set_xlabel("heart beat", fontsize=8)
        axes.set_ylabel("displacement [mm]", fontsize=8)
        axes.tick_params(labelsize=7)
        left = found.residual_motion_mm
        told = f", {left:.1f} mm left" if np.isfinite(left) else ""
        axes.set_title(f"slice {index + 1}: motion {found.motion_mm:.1f} mm{told}", fontsize=9)

    def _view(self, found: SliceResult) -> tuple[slice, slice]:
        """Return the rows and columns around the heart."""
        inverse = np.linalg.inv(self._image.affine)
        _, row, column, _ = inverse @ (*found.heart_centre_lps_mm, 1.0)
        reach = HALF_VIEW_MM / np.array(self._image.spacing_mm[1:])
        low = np.maximum(0, np.floor(np.array([row, column]) - reach)).astype(int)
        high = np.ceil(np.array([row, column]) + reach).astype(int) + 1
        return slice(low[0], high[0]), slice(low[1], high[1])

    def _show(
        self,
        axes: Axes,
        values: NDArray[np.generic],
        found: SliceResult,
        *,
        cmap: str,
        limits: tuple[float, float],
    ) -> None:
        """Show the part of a slice around the heart, pixels in their true proportions."""
        rows, columns = self._view(found)
        _, row_spacing, column_spacing = self._image.spacing_mm
        axes.imshow(
            values,
            cmap=cmap,
            vmin=limits[0],
            vmax=limits[1],
            aspect=row_spacing / column_spacing,
            interpolation="bilinear",
        )
        axes.set_ylim(min(rows.stop, values.shape[0]) - 0.5, rows.start - 0.5)
        axes.set_xlim(columns.start - 0.5, min(columns.stop, values.shape[1]) - 0.5)
        axes.set_xticks([])
        axes.set_yticks([])

    def _contours(self, axes: Axes, index: int, shift: NDArray[np.float64]) -> None:
        """Draw the outlines of both structures, moved by ``(rows, columns)`` [pixels]."""
        classes = self._result.segmentation.array[index]
        rows = np.arange(classes.shape[0]) + shift[0]
        columns = np.arange(classes.shape[1]) + shift[1]
        for value, colour in ((MYOCARDIUM, MYOCARDIUM_COLOUR), (BLOOD_POOL, BLOOD_COLOUR)):
            if (classes == value).any():
                mask = (classes == value).astype(np.float32)
                axes.contour(columns, rows, mask, levels=[0.5], colors=colour, linewidths=1.1)


def write_figures(image: TimeSeries, result: PerfusionResult, folder: Path) -> tuple[str, ...]:
    """Write the figures into a folder, one panel a slice, and return their names."""
    panels = Panels(image, result)
    drawn = {
        "segmentation.png": panels.segmentation,
        "uncertainty.png": panels.uncertainty,
        "curves.png": panels.curves,
    }
    if result.motion is not None:
        drawn["motion.png"] = panels.motion
    n_slices = len(result.slices)
    for name, draw in drawn.items():
        columns = min(n_slices, MOST_COLUMNS)
        rows = -(-n_slices // columns)
        figure = _figure(rows, columns)
        for index in range(n_slices):
            draw(_axes(figure, rows, columns, index), index)
        # Neither a time nor the name of the software goes into the file. To save the figure would
        # draw it twice: once for its layout.
        FigureCanvasAgg(figure).print_png(folder / name, metadata={"Software": None})
    return tuple(drawn)


def overview(image: TimeSeries, result: PerfusionResult) -> NDArray[np.uint8]:
    """Return one picture of everything, a row a slice. Shape ``(rows, columns, 3)``, RGB."""
    panels = Panels(image, result)
    drawn: Sequence[Draw] = (panels.segmentation, panels.uncertainty, panels.curves)
    n_slices = len(result.slices)
    figure = _figure(n_slices, len(drawn))
    for index in range(n_slices):
        for column, draw in enumerate(drawn):
            draw(_axes(figure, n_slices, len(drawn), index * len(drawn) + column), index)
    figure.text(0.5, 0.003, "For research only", ha="center", fontsize=8, color=INK)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])


def _figure(rows: int, columns: int) -> Figure:
    """Return an empty figure for a grid of panels."""
    figure = Figure(
        figsize=(PANEL_INCHES * columns, PANEL_INCHES * rows + 0.2), dpi=DPI, layout="constrained"
    )
    figure.set_facecolor(PAPER)
    return figure


def _axes(figure: Figure, rows: int, columns: int, place: int) -> Axes:
    """Return the axes of a panel, dark as viewers are."""
    axes = figure.add_subplot(rows, columns, place + 1)
    axes.set_facecolor(PAPER)
    axes.title.set_color(INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.tick_params(colors=INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    return axes


def _window(values: NDArray[np.generic]) -> tuple[float, float]:
    """Return the grey values that are shown as black and as white."""
    low, high = np.quantile(values.astype(np.float64), (0.01, 0.995))
    return float(low), float(max(high, low + 1e-6))
