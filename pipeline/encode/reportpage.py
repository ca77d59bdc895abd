"""The one-page report of a perfusion result, as a person would sign it.

One page of A4: what was imaged, each slice with its contours and curves, the segments, motion,
every note, the versions, and lines for a reader's name and signature. Drawn without a display and
without global state, with the same bytes each time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.encode.bullseye import draw_bullseye, segment_values
from pipeline.encode.context import EncodingContext
from pipeline.encode.figures import Panels
from pipeline.encode.pageparts import (
    FAINT,
    INK,
    SIZE,
    SMALL,
    TINY,
    Columns,
    Letters,
    a4_page,
    as_pdf,
    blank,
    clear_axes,
    draw_additions,
    draw_columns,
    draw_head,
    draw_notes,
    draw_signature,
    draw_text,
    draw_versions,
    set_title,
)
from pipeline.encode.reportlines import (
    FONT,
    SEGMENT_COLUMNS,
    ReportAddition,
    person_lines,
    segment_rows,
    segment_units,
    series_lines,
    slice_lines,
    version_lines,
)
from pipeline.imaging.volume import TimeSeries
from pipeline.study import InputSeries

MOST_SLICES = 4
"""Slices that are pictured; of more, these are spread evenly. The table has all."""

MYOCARDIUM_COLOUR, BLOOD_COLOUR, SEGMENT_COLOUR = "#0b7a3b", "#c22f27", "#b9c4bd"
TABLE_TITLES = {
    "relative_upslope": "relative upslope",
    "upslope": "upslope",
    "peak_enhancement": "peak enhancement",
}

TITLE = "First-pass myocardial perfusion"
"""What the page is about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportPages:
    """The page in both its forms, as PDF, the same bytes each time."""

    plain: bytes
    """Without who was imaged."""

    named: bytes
    """With it: only inside an object of that patient."""


def report_pages(
    result: PerfusionResult,
    series: InputSeries,
    context: EncodingContext,
    *,
    notes: Sequence[str] = (),
    additions: Sequence[ReportAddition] = (),
) -> ReportPages:
    """Return the page without and with who was imaged; the parameters are those of the figure.

    It is laid out once: its head alone differs.
    """
    figure = report_figure(result, series, context, named=False, notes=notes, additions=additions)
    plain = as_pdf(figure)
    if series.header is None:
        return ReportPages(plain=plain, named=plain)
    head = figure.axes[0]
    head.clear()
    clear_axes(head)
    _head(head, result, series, named=True)
    return ReportPages(plain=plain, named=as_pdf(figure))


def report_figure(
    result: PerfusionResult,
    series: InputSeries,
    context: EncodingContext,
    *,
    named: bool,
    notes: Sequence[str] = (),
    additions: Sequence[ReportAddition] = (),
) -> Figure:
    """Return the page as a figure.

    Parameters
    ----------
    result
        What was found.
    series
        The series that it was found on.
    context
        What it is made under.
    named
        Whether the page says who was imaged.
    notes
        What a reader should know beside the result's own notes.
    additions
        What other parts of the analysis add.
    """
    heights = (1.0, 4.6, 2.9, 1.15, 1.3, 0.5, 0.6) if additions else (1.0, 4.9, 3.7, 1.4, 0.5, 0.6)
    figure, parts = a4_page(heights)
    _head(blank(figure, parts[0]), result, series, named=named)
    _slices(figure, parts[1], series.image, result)
    _segments(figure, parts[2], result)
    if additions:
        draw_additions(figure, parts[3], additions)
    told = tuple(dict.fromkeys((*series.notes, *result.notes, *notes)))
    draw_notes(blank(figure, parts[-3]), told)
    draw_versions(blank(figure, parts[-2]), version_lines(context))
    draw_signature(blank(figure, parts[-1]))
    return figure


def _head(axes: Axes, result: PerfusionResult, series: InputSeries, *, named: bool) -> None:
    """Draw what was imaged and, where it is to be told, who."""
    known = person_lines(series.header) if named and series.header is not None else ()
    draw_head(axes, TITLE, (*known, *series_lines(series, result)))


def _slices(figure: Figure, part: SubplotSpec, image: TimeSeries, result: PerfusionResult) -> None:
    """Draw each slice: its contours, its curves, and its numbers."""
    n_slices = len(result.slices)
    shown = np.unique(np.linspace(0, n_slices - 1, min(n_slices, MOST_SLICES)).round().astype(int))
    # A single slice is drawn no larger than one of three.
    width = max(3, len(shown))
    grid = part.subgridspec(3, width, height_ratios=(2.1, 1.2, 1.05), hspace=0.22, wspace=0.2)
    panels = Panels(image, result)
    for column, index in enumerate(int(i) for i in shown):
        picture = figure.add_subplot(grid[0, column])
        panels.segmentation(picture, index)
        beat = result.slices[index].peak_beat + 1
        set_title(picture, f"Slice {index + 1} of {n_slices}, beat {beat}")
        _curves(figure.add_subplot(grid[1, column]), image, result, index)
        numbers = blank(figure, grid[2, column])
        draw_columns(
            numbers,
            slice_lines(result, result.slices[index]),
            Columns(top=0.95, step=0.135, gap=0.52),
        )


def _curves(axes: Axes, image: TimeSeries, result: PerfusionResult, index: int) -> None:
    """Draw the curves of a slice: blood pool, myocardium, and its segments behind them."""
    times = image.times_s[:, index]
    behind = [c for (place, _), c in sorted(result.aha.curves.items()) if place == index]
    for curve in behind:
        axes.plot(times, curve, color=SEGMENT_COLOUR, linewidth=0.6)
    for values, colour in (
        (result.curves.blood_pool[:, index], BLOOD_COLOUR),
        (result.curves.myocardium[:, index], MYOCARDIUM_COLOUR),
    ):
        axes.plot(times, values, color=colour, linewidth=1.1)
    unit = "beats" if image.times_are_estimated else "s"
    axes.set_xlabel(f"time [{unit}]", fontsize=TINY, labelpad=1)
    axes.tick_params(labelsize=TINY, length=2, pad=1)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    names = [("blood pool", BLOOD_COLOUR), ("myocardium", MYOCARDIUM_COLOUR)]
    if behind:
        names.append(("segments", FAINT))
    for place, (name, colour) in enumerate(names):
        axes.text(
            0.99,
            0.98 - 0.13 * place,
            name,
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=TINY,
            color=colour,
            family=FONT,
        )


def _segments(figure: Figure, part: SubplotSpec, result: PerfusionResult) -> None:
    """Draw the bull's-eye and the table of segments."""
    grid = part.subgridspec(1, 2, width_ratios=(1.0, 1.5), wspace=0.08)
    eye = figure.add_subplot(grid[0, 0])
    if result.aha.measurements:
        draw_bullseye(
            eye, segment_values(result), paper="white", ink=INK, empty="#eceff1", size=SMALL
        )
        set_title(eye, "Upslope relative to LV blood")
    else:
        eye.set_axis_off()
        draw_text(eye, (0.0, 0.95), "No segments: see the notes.", Letters(size=SIZE))
    _table(blank(figure, grid[0, 1]), result)


def _table(axes: Axes, result: PerfusionResult) -> None:
    """Draw the numbers of each segment."""
    rows = segment_rows(result)
    if not rows:
        return
    ends = (0.055, 0.60, 0.76, 1.0)
    step = min(0.055, 0.94 / (len(rows) + 1))
    draw_text(axes, (ends[0] + 0.02, 1.0), "segment (slice)", Letters(size=SMALL, bold=True))
    units = segment_units(result)
    for end, name, unit in zip(ends[1:], SEGMENT_COLUMNS, units, strict=True):
        draw_text(axes, (end, 1.03), TABLE_TITLES[name], Letters(size=TINY, bold=True, right=True))
        draw_text(axes, (end, 0.995), unit, Letters(size=TINY, right=True, colour=FAINT))
    for number, row in enumerate(rows, start=1):
        height = 1.0 - step * number
        size = SMALL if step > 0.035 else TINY
        draw_text(axes, (ends[0], height), f"{row.segment}", Letters(size=size, right=True))
        draw_text(
            axes, (ends[0] + 0.02, height), f"{row.name} ({row.slice_number})", Letters(size=size)
        )
        for end, value in zip(ends[1:], row.values, strict=True):
            draw_text(axes, (end, height), value, Letters(size=size, right=True))
