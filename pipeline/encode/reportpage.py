"""The one-page report of a perfusion result, as a person would sign it.

One page of A4: what was imaged, each slice with its contours and curves, the segments, motion,
every note, the versions, and lines for a reader's name and signature. Drawn without a display and
without global state, with the same bytes each time.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, SubplotSpec
from matplotlib.lines import Line2D

from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.encode.bullseye import draw_bullseye, segment_values
from pipeline.encode.context import EncodingContext
from pipeline.encode.figures import Panels
from pipeline.encode.reportlines import (
    FONT,
    SEGMENT_COLUMNS,
    Line,
    ReportAddition,
    note_lines,
    person_lines,
    segment_rows,
    segment_units,
    series_lines,
    slice_lines,
    version_lines,
)
from pipeline.imaging.volume import TimeSeries
from pipeline.study import InputSeries

A4_INCHES = (8.27, 11.69)
MOST_SLICES = 4
"""Slices that are pictured; of more, these are spread evenly. The table has all."""

INK, FAINT = "#15191d", "#6b747d"
MYOCARDIUM_COLOUR, BLOOD_COLOUR, SEGMENT_COLOUR = "#0b7a3b", "#c22f27", "#b9c4bd"
SIZE, SMALL, TINY = 7.5, 6.5, 5.5
"""Sizes of letters [points]."""

NOTE_LETTERS = 148
"""Letters of a line of notes."""

MOST_NOTE_LINES = 12
"""Lines of notes in letters of usual size; of more, letters are smaller."""

TABLE_TITLES = {
    "relative_upslope": "relative upslope",
    "upslope": "upslope",
    "peak_enhancement": "peak enhancement",
}
NOTICE = "For research only. Not a medical device: no result may guide the care of a patient."


@dataclass(frozen=True, kw_only=True, slots=True)
class Letters:
    """How a line of text is drawn."""

    size: float
    """Size [points]."""

    bold: bool = False
    """Whether it is bold."""

    right: bool = False
    """Whether it ends at its point, and does not begin there."""

    colour: str = INK
    """Its colour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """How names and values are laid out, in shares of their axes."""

    top: float
    """Height of the first line."""

    step: float
    """From a line to the next."""

    gap: float
    """From a name to its value."""

    count: int = 1
    """Columns."""

    size: float = SMALL
    """Size of letters [points]."""


def report_page(
    result: PerfusionResult,
    series: InputSeries,
    context: EncodingContext,
    *,
    named: bool,
    notes: Sequence[str] = (),
    additions: Sequence[ReportAddition] = (),
) -> bytes:
    """Return the page as a PDF, the same bytes each time.

    Parameters
    ----------
    result
        What was found.
    series
        The series that it was found on.
    context
        What it is made under.
    named
        Whether the page says who was imaged: only inside an object of that patient.
    notes
        What a reader should know beside the result's own notes.
    additions
        What other parts of the analysis add.
    """
    content = BytesIO()
    figure = report_figure(result, series, context, named=named, notes=notes, additions=additions)
    # Neither a time nor the names of libraries go into the file.
    nothing = {"CreationDate": None, "Creator": None, "Producer": None}
    figure.savefig(content, format="pdf", metadata=nothing)
    return content.getvalue()


def report_figure(
    result: PerfusionResult,
    series: InputSeries,
    context: EncodingContext,
    *,
    named: bool,
    notes: Sequence[str] = (),
    additions: Sequence[ReportAddition] = (),
) -> Figure:
    """Return the page as a figure; the parameters are those of :func:`report_page`."""
    figure = Figure(figsize=A4_INCHES, dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    parts = GridSpec(
        6,
        1,
        figure=figure,
        left=0.06,
        right=0.95,
        top=0.975,
        bottom=0.02,
        height_ratios=(1.0, 4.9, 3.7, 1.4, 0.5, 0.6),
        hspace=0.13,
    )
    known = person_lines(series.header) if named and series.header is not None else ()
    _head(_blank(figure, parts[0]), known, series_lines(series, result))
    _slices(figure, parts[1], series.image, result)
    _segments(figure, parts[2], result, additions)
    told = tuple(dict.fromkeys((*series.notes, *result.notes, *notes)))
    _notes(_blank(figure, parts[3]), told)
    _versions(_blank(figure, parts[4]), version_lines(context))
    _signature(_blank(figure, parts[5]))
    return figure


def _head(axes: Axes, person: Sequence[Line], imaged: Sequence[Line]) -> None:
    """Draw the title, who was imaged, and how."""
    _text(axes, (0.0, 0.98), "First-pass myocardial perfusion", Letters(size=14.0, bold=True))
    _text(
        axes,
        (1.0, 0.96),
        NOTICE.split(".", maxsplit=1)[0].upper(),
        Letters(size=9.0, right=True, bold=True),
    )
    _columns(axes, (*person, *imaged), Columns(top=0.72, step=0.165, count=3, gap=0.12))
    axes.add_line(Line2D((0, 1), (0.0, 0.0), color=FAINT, linewidth=0.6))


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
        _titled(picture, f"Slice {index + 1} of {n_slices}, beat {beat}")
        _curves(figure.add_subplot(grid[1, column]), image, result, index)
        numbers = _blank(figure, grid[2, column])
        _columns(
            numbers,
            slice_lines(result, result.slices[index]),
            Columns(top=0.85, step=0.14, gap=0.52),
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


def _segments(
    figure: Figure, part: SubplotSpec, result: PerfusionResult, additions: Sequence[ReportAddition]
) -> None:
    """Draw the bull's-eye, what others add, and the table of segments."""
    grid = part.subgridspec(2, 2, width_ratios=(1.0, 1.5), height_ratios=(2.6, 1.3), wspace=0.08)
    # Without an addition the bull's-eye has all of the column.
    eye = figure.add_subplot(grid[0, 0] if additions else grid[:, 0])
    if result.aha.measurements:
        draw_bullseye(
            eye,
            segment_values(result),
            paper="white",
            ink=INK,
            empty="#eceff1",
            size=5.0 if additions else SIZE,
        )
        _titled(eye, "Upslope relative to LV blood")
    else:
        eye.set_axis_off()
        _text(eye, (0.0, 0.95), "No segments: see the notes.", Letters(size=SIZE))
    if additions:
        _additions(_blank(figure, grid[1, 0]), additions)
    _table(_blank(figure, grid[:, 1]), result)


def _additions(axes: Axes, additions: Sequence[ReportAddition]) -> None:
    """Draw what other parts of the analysis add."""
    n_lines = sum(1 + len(addition.lines) for addition in additions)
    step = min(0.12, 1.0 / max(1, n_lines))
    at = 1.0
    for addition in additions:
        _text(axes, (0.0, at), addition.title, Letters(size=SMALL, bold=True))
        _columns(axes, addition.lines, Columns(top=at - step, step=step, gap=0.52))
        at -= step * (1 + len(addition.lines))


def _table(axes: Axes, result: PerfusionResult) -> None:
    """Draw the numbers of each segment."""
    rows = segment_rows(result)
    if not rows:
        return
    ends = (0.055, 0.62, 0.80, 1.0)
    step = min(0.055, 0.94 / (len(rows) + 1))
    _text(axes, (ends[0] + 0.02, 1.0), "segment (slice)", Letters(size=SMALL, bold=True))
    units = segment_units(result)
    for end, name, unit in zip(ends[1:], SEGMENT_COLUMNS, units, strict=True):
        _text(axes, (end, 1.03), TABLE_TITLES[name], Letters(size=TINY, bold=True, right=True))
        _text(axes, (end, 0.995), unit, Letters(size=TINY, right=True, colour=FAINT))
    for number, row in enumerate(rows, start=1):
        height = 1.0 - step * number
        size = SMALL if step > 0.035 else TINY
        _text(axes, (ends[0], height), f"{row.segment}", Letters(size=size, right=True))
        _text(
            axes, (ends[0] + 0.02, height), f"{row.name} ({row.slice_number})", Letters(size=size)
        )
        for end, value in zip(ends[1:], row.values, strict=True):
            _text(axes, (end, height), value, Letters(size=size, right=True))


def _notes(axes: Axes, notes: tuple[str, ...]) -> None:
    """Draw every note: letters grow smaller rather than that one is left out."""
    _text(axes, (0.0, 1.0), "Notes and warnings", Letters(size=SIZE, bold=True))
    lines = [
        line
        for note in note_lines(notes)
        for line in textwrap.wrap(note, NOTE_LETTERS, initial_indent="- ", subsequent_indent="  ")
    ]
    share = min(1.0, MOST_NOTE_LINES / len(lines))
    step = 0.88 / MOST_NOTE_LINES * share
    for number, line in enumerate(lines, start=1):
        _text(axes, (0.0, 0.98 - step * number), line, Letters(size=SMALL * share))


def _versions(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw what made the result."""
    _columns(axes, lines, Columns(top=0.95, step=0.26, size=TINY, gap=0.15))


def _signature(axes: Axes) -> None:
    """Draw the lines for a reader, and the notice."""
    for left, right, name in ((0.0, 0.38, "Name"), (0.42, 0.78, "Signature"), (0.82, 1.0, "Date")):
        axes.add_line(Line2D((left, right), (0.55, 0.55), color=INK, linewidth=0.7))
        _text(axes, (left, 0.5), name, Letters(size=TINY))
    _text(axes, (0.0, 0.12), NOTICE, Letters(size=SMALL, bold=True))


def _columns(axes: Axes, lines: Sequence[Line], columns: Columns) -> None:
    """Draw names and values in columns, top to bottom."""
    rows = max(1, -(-len(lines) // columns.count))
    for place, (name, value) in enumerate(lines):
        column, row = divmod(place, rows)
        left, height = column / columns.count, columns.top - columns.step * row
        _text(axes, (left, height), name, Letters(size=columns.size, colour=FAINT))
        _text(axes, (left + columns.gap, height), value, Letters(size=columns.size))


def _text(axes: Axes, at: tuple[float, float], text: str, letters: Letters) -> None:
    """Draw one line of text, its top at a point; nothing in it is read as mathematics."""
    axes.text(
        *at,
        text,
        fontsize=letters.size,
        family=FONT,
        weight="bold" if letters.bold else "normal",
        ha="right" if letters.right else "left",
        va="top",
        color=letters.colour,
        parse_math=False,
        transform=axes.transAxes,
    )


def _titled(axes: Axes, title: str) -> None:
    """Give a picture its title."""
    axes.set_title(title, fontsize=SMALL, color=INK, family=FONT, pad=3, parse_math=False)


def _blank(figure: Figure, part: SubplotSpec) -> Axes:
    """Return axes from 0 to 1 of which nothing is seen."""
    axes = figure.add_subplot(part)
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return axes
