"""What pages to sign are drawn of: text in columns, notes, versions, lines for a signature.

A page is one of A4, drawn without a display and without global state, with the same bytes each
time.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.gridspec import GridSpec, SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from pipeline.encode.reportlines import FONT, Line, ReportAddition, note_lines, printable

A4_INCHES = (8.27, 11.69)

INK, FAINT = "#15191d", "#6b747d"
SIZE, SMALL, TINY = 7.5, 6.5, 5.5
"""Sizes of letters [points]."""

NOTE_LETTERS = 148
"""Letters of a line of notes."""

LEADING = 1.25
"""From a line of notes to the next, in sizes of their letters."""

NOTES_HEIGHT = 0.88
"""Share of their part that notes may take; of more, letters are smaller."""

ADDITION_LETTERS = 140
"""Letters of a line over the whole width that lies in boxes."""

MOST_ADDITION_LINES = 8
"""Lines of a box in letters of usual size; of more, letters are smaller."""

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


def a4_page(height_ratios: Sequence[float]) -> tuple[Figure, GridSpec]:
    """Return an empty page, and its parts from top to bottom.

    Parameters
    ----------
    height_ratios
        Height of each part, in shares of their sum.
    """
    figure = Figure(figsize=A4_INCHES, dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    parts = GridSpec(
        len(height_ratios),
        1,
        figure=figure,
        left=0.06,
        right=0.95,
        top=0.975,
        bottom=0.02,
        height_ratios=height_ratios,
        hspace=0.13,
    )
    return figure, parts


def as_pdf(figure: Figure) -> bytes:
    """Return a page as a PDF, the same bytes each time."""
    content = BytesIO()
    # Neither a time nor the names of libraries go into the file.
    nothing = {"CreationDate": None, "Creator": None, "Producer": None}
    figure.savefig(content, format="pdf", metadata=nothing)
    return content.getvalue()


def draw_head(axes: Axes, title: str, lines: Sequence[Line]) -> None:
    """Draw the title, and who was imaged, and how."""
    draw_text(axes, (0.0, 0.98), title, Letters(size=14.0, bold=True))
    draw_text(
        axes,
        (1.0, 0.96),
        NOTICE.split(".", maxsplit=1)[0].upper(),
        Letters(size=9.0, right=True, bold=True),
    )
    draw_columns(axes, lines, Columns(top=0.72, step=0.165, count=3, gap=0.13))
    axes.add_line(Line2D((0, 1), (0.0, 0.0), color=FAINT, linewidth=0.6))


def draw_additions(figure: Figure, part: SubplotSpec, additions: Sequence[ReportAddition]) -> None:
    """Draw boxes side by side: letters grow smaller rather than that a line is left out."""
    grid = part.subgridspec(1, len(additions), wspace=0.06)
    letters = round(ADDITION_LETTERS / len(additions))
    for place, addition in enumerate(additions):
        axes = blank(figure, grid[0, place])
        size = _fitting(addition.title, SMALL, _points(axes)[0], bold=True)
        draw_text(axes, (0.0, 1.0), addition.title, Letters(size=size, bold=True))
        lines = [
            (name if first else "", said)
            for name, value in addition.lines
            for first, said in _wrapped(printable(value), round(letters * (1.0 - addition.gap)))
        ]
        share = min(1.0, MOST_ADDITION_LINES / max(1, len(lines)))
        step = 0.88 / MOST_ADDITION_LINES * share
        laid = Columns(top=0.98 - step, step=step, gap=addition.gap, size=SMALL * share)
        draw_columns(axes, lines, laid)


def _wrapped(value: str, letters: int) -> Iterator[tuple[bool, str]]:
    """Yield the lines of a value, and whether each is its first."""
    for number, line in enumerate(textwrap.wrap(value, letters) or [""]):
        yield number == 0, line


def draw_notes(axes: Axes, notes: tuple[str, ...]) -> None:
    """Draw every note: letters grow smaller rather than that one is left out."""
    draw_text(axes, (0.0, 1.0), "Notes and warnings", Letters(size=SIZE, bold=True))
    lines = [
        line
        for note in note_lines(notes)
        for line in textwrap.wrap(note, NOTE_LETTERS, initial_indent="- ", subsequent_indent="  ")
    ]
    usual = LEADING * SMALL / _points(axes)[1]
    step = min(usual, NOTES_HEIGHT / len(lines))
    letters = Letters(size=SMALL * step / usual)
    for number, line in enumerate(lines):
        draw_text(axes, (0.0, NOTES_HEIGHT - step * number), line, letters)


def draw_versions(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw what made the result."""
    step = min(0.26, 1.04 / max(1, len(lines)))
    draw_columns(axes, lines, Columns(top=0.95, step=step, size=TINY, gap=0.15))


def draw_signature(axes: Axes) -> None:
    """Draw the lines for a reader, and the notice."""
    for left, right, name in ((0.0, 0.38, "Name"), (0.42, 0.78, "Signature"), (0.82, 1.0, "Date")):
        axes.add_line(Line2D((left, right), (0.55, 0.55), color=INK, linewidth=0.7))
        draw_text(axes, (left, 0.5), name, Letters(size=TINY))
    draw_text(axes, (0.0, 0.12), NOTICE, Letters(size=SMALL, bold=True))


def draw_columns(axes: Axes, lines: Sequence[Line], laid: Columns) -> None:
    """Draw names and values in columns, top to bottom; a value that is too long is smaller."""
    rows = max(1, -(-len(lines) // laid.count))
    room = (1.0 / laid.count - laid.gap) * _points(axes)[0]
    for place, (name, value) in enumerate(lines):
        column, row = divmod(place, rows)
        left, height = column / laid.count, laid.top - laid.step * row
        draw_text(axes, (left, height), name, Letters(size=laid.size, colour=FAINT))
        fitting = Letters(size=_fitting(value, laid.size, room))
        draw_text(axes, (left + laid.gap, height), value, fitting)


def draw_text(axes: Axes, at: tuple[float, float], text: str, letters: Letters) -> None:
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


def _points(axes: Axes) -> tuple[float, float]:
    """Return the width and height of axes [points]."""
    share = axes.get_position()
    return share.width * A4_INCHES[0] * 72, share.height * A4_INCHES[1] * 72


def _fitting(text: str, size: float, room: float, *, bold: bool = False) -> float:
    """Return the size at which a text and a blank after it are no wider than there is room.

    All are in points; what fits stays as it is.
    """
    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(f"{text} ", font, ismath=False)
    return size * min(1.0, room / float(width))


def set_title(axes: Axes, title: str) -> None:
    """Give a picture its title."""
    axes.set_title(title, fontsize=SMALL, color=INK, family=FONT, pad=3, parse_math=False)


def blank(figure: Figure, part: SubplotSpec) -> Axes:
    """Return axes from 0 to 1 of which nothing is seen."""
    axes = figure.add_subplot(part)
    clear_axes(axes)
    return axes


def clear_axes(axes: Axes) -> None:
    """Have axes go from 0 to 1, with nothing of them seen."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
