"""The segments of the American Heart Association as a bull's-eye.

The base is outside and the anterior wall on top, the septum on the left, as on a short-axis slice.
Drawn without a display and without global state, with the same bytes each time.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from pipeline.analyses.perfusion.flow.result import FERMI, UNIT
from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.analyses.perfusion.segmentnames import Layer

MEASURE = "relative_upslope"
"""What is shown: the only number that can be compared between series."""

COLOURS = "viridis"
"""Told apart by colour-blind readers, and ordered in grey, too."""

RINGS = ((1, 6, 4.0), (7, 6, 3.0), (13, 4, 2.0), (17, 1, 1.0))
"""First segment, number of segments and outer radius of each ring; each is one wide."""

DPI, INCHES = 110, 4.4
PAPER, INK, EMPTY = "#101418", "#e8ecf0", "#2a3138"
DARK, LIGHT = PAPER, INK

TITLES = {"rest": "at rest", "stress": "under stress"}


def segment_values(result: PerfusionResult, measure: str = MEASURE) -> dict[int, float]:
    """Return a number of each segment over all of its wall: the mean over its slices.

    Parameters
    ----------
    result
        What was found.
    measure
        Name of the number.
    """
    found: dict[int, list[float]] = {}
    for each in result.aha.measurements:
        if each.name == measure and each.layer == Layer.WALL:
            found.setdefault(each.segment, []).append(each.value)
    return {segment: float(np.mean(values)) for segment, values in found.items()}


def write_bullseye(result: PerfusionResult, path: Path) -> None:
    """Write the relative upslope of each segment as a bull's-eye.

    Parameters
    ----------
    result
        What was found; its segments are known.
    path
        The file.
    """
    state = f", {TITLES[result.state]}" if result.state else ""
    write_segments(segment_values(result), f"upslope relative to LV blood{state}", path)


def write_flow_bullseye(result: PerfusionResult, path: Path) -> bool:
    """Write the flow of each segment by a Fermi function, and return whether there is any.

    Parameters
    ----------
    result
        What was found.
    path
        The file.
    """
    flow = result.flow
    found: dict[int, list[float]] = {}
    for each in () if flow is None else flow.estimates:
        if each.segment is not None and each.layer == Layer.WALL and each.method == FERMI:
            found.setdefault(each.segment, []).append(each.flow_ml_min_g)
    if flow is None or not found:
        return False
    state = f", {TITLES[result.state]}" if result.state else ""
    what = f"{flow.basis}: no flow" if flow.is_research else f"myocardial blood flow [{UNIT}]"
    write_segments(
        {n: float(np.mean(values)) for n, values in found.items()}, f"{what}{state}", path
    )
    return True


def write_segments(values: Mapping[int, float], title: str, path: Path) -> None:
    """Write a number of each segment as a bull's-eye.

    Parameters
    ----------
    values
        The numbers, by segment; a segment without one stays empty.
    title
        What they are.
    path
        The file.
    """
    figure = Figure(figsize=(INCHES, INCHES + 0.3), dpi=DPI, layout="constrained")
    figure.set_facecolor(PAPER)
    axes = figure.add_subplot()
    axes.set_facecolor(PAPER)
    draw_bullseye(axes, values)
    axes.set_title(title, fontsize=9, color=INK)
    figure.text(0.5, 0.005, "For research only", ha="center", fontsize=7, color=INK)
    # Neither a time nor the name of the software goes into the file. To save the figure would draw
    # it twice: once for its layout.
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})


def draw_bullseye(
    axes: Axes,
    values: Mapping[int, float],
    *,
    paper: str = PAPER,
    ink: str = INK,
    empty: str = EMPTY,
    size: float = 7.0,
) -> None:
    """Draw the segments with their numbers; those without one stay empty.

    Parameters
    ----------
    axes
        Where.
    values
        A number of each segment that has one.
    paper, ink, empty
        Colours of what is around, of letters on dark paper and of segments without a number.
    size
        Size of letters [points].
    """
    largest = max(values.values(), default=1.0) or 1.0
    for first, count, outer in RINGS:
        for place in range(count):
            start, width = _angles(place, count)
            segment = first + place
            value = values.get(segment)
            shade = None if value is None else min(1.0, max(0.0, value / largest))
            colour = empty if shade is None else colormaps[COLOURS](shade)
            wedge = Wedge((0, 0), outer, start, start + width, width=1.0, fc=colour, ec=paper, lw=2)
            axes.add_patch(wedge)
            middle = np.deg2rad(start + width / 2)
            radius = outer - 0.5 if count > 1 else 0.0
            text = f"{segment}" if value is None else f"{segment}\n{value:.2f}"
            # Letters are light on the dark half of the colours, and dark on the other.
            letters = ink if shade is None else LIGHT if shade <= 0.6 else DARK
            axes.text(
                radius * float(np.cos(middle)),
                radius * float(np.sin(middle)),
                text,
                ha="center",
                va="center",
                fontsize=size,
                color=letters,
            )
    axes.set_xlim(-4.1, 4.1)
    axes.set_ylim(-4.1, 4.1)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _angles(place: int, count: int) -> tuple[float, float]:
    """Return where a segment of a ring begins, against the clock from the right, and its width."""
    width = 360.0 / count
    return 90.0 - width / 2 + place * width, width
