"""The phase ribbon: an operation in one picture, for people.

From the top: the truth where it is given, the phases that were recognised with what shows no phase
hatched, the confidence with uncertain stretches shaded, and what was expected as of some moments,
by the network and by counting. Drawn without a display, with the same bytes each time, and in
colours that colour-blind readers tell apart.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from pipeline.analyses.phases.anticipation import AnticipatedSegment, Anticipation
from pipeline.analyses.phases.ontology import END
from pipeline.analyses.phases.result import MARKS, NO_PHASE, Mark, PhasesResult
from pipeline.encode.phasestext import unusable_stretches

MOMENTS = (0.25, 0.5, 0.75)
"""Shares of the operation as of which the expected course is drawn."""

WIDTH_INCHES, ROW_INCHES, CURVE_INCHES = 12.0, 0.42, 1.3
LEGEND_INCHES = 1.2
"""Room for the names of the time axis and of the phases."""

DPI = 110
INK, PAPER, UNCERTAIN = "#20262c", "#ffffff", "#f2b8a0"

MARK_STYLES = {
    Mark.OUT_OF_BODY: ("#f6e7f2", "xx"),
    Mark.BLACK: ("#202020", ""),
    Mark.SMOKE: ("#e6e6e6", ".."),
    Mark.BLUR: ("#e6e6e6", "//"),
    Mark.MISSING: ("#ffffff", "||"),
}
"""Colour and hatching of what shows no phase."""

MINUTES, MOST_TICKS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0), 14
"""Distances between ticks to choose from [min], and how many ticks there may be."""

SVG_SALT = "vesalius"
"""Identifiers in an SVG derive from this and not from chance."""


def write_ribbon(
    result: PhasesResult,
    review_uncertainty: float,
    stem: Path,
    *,
    truth: NDArray[np.int16] | None = None,
    moments_s: Sequence[float] | None = None,
    label: str = "recognised",
) -> tuple[Path, Path]:
    """Write the ribbon as PNG and as SVG, and return their paths.

    Parameters
    ----------
    result
        What was found.
    review_uncertainty
        Uncertainty above which a stretch is shaded.
    stem
        Path without its ending.
    truth
        Columns of the true phases, ``NO_PHASE`` where there is none. Shape ``(seconds,)``.
    moments_s
        As of when the expected course is drawn [s]; some shares of the operation by default.
    label
        What the row of phases is called.
    """
    end = float(result.t_seconds[-1]) + 1 / result.rate_hz
    moments = [share * end for share in MOMENTS] if moments_s is None else list(moments_s)
    figure, rows = _page(len(moments), has_truth=truth is not None)
    if truth is not None:
        _phases(rows["truth"], result, truth, "truth")
    _phases(rows["phases"], result, result.phase, label)
    _marks(rows["phases"], result)
    _confidence(rows["confidence"], result, review_uncertainty)
    expected = [result.anticipation_at(moment) for moment in moments]
    right = _right_edge(expected, end)
    for number, found in enumerate(expected):
        _expected(rows[f"expected_{number}"], result, found, right)
    _finish(figure, rows, result, (end, right))
    written = (stem.with_suffix(".png"), stem.with_suffix(".svg"))
    with rc_context({"svg.hashsalt": SVG_SALT, "svg.fonttype": "none"}):
        figure.savefig(written[0], dpi=DPI, metadata={"Software": None})
        figure.savefig(written[1], metadata={"Date": None, "Creator": None})
    return written


def _page(n_moments: int, *, has_truth: bool) -> tuple[Figure, dict[str, Axes]]:
    """Return an empty page and its rows by name."""
    names = [*(["truth"] if has_truth else []), "phases", "confidence"]
    names += [f"expected_{number}" for number in range(n_moments)]
    heights = [CURVE_INCHES if name == "confidence" else ROW_INCHES for name in names]
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights) * 1.25 + 1.5), facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(names), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    return figure, dict(zip(names, axes, strict=True))


def _phases(axes: Axes, result: PhasesResult, columns: NDArray[np.int16], label: str) -> None:
    """Draw the phase of each second."""
    step = 1 / result.rate_hz
    changes = np.flatnonzero(np.diff(columns)) + 1
    starts = np.concatenate(([0], changes))
    stops = np.concatenate((changes, [columns.size]))
    for start, stop in zip(starts, stops, strict=True):
        column = int(columns[start])
        if column != NO_PHASE:
            bar = (float(result.t_seconds[start]), float(stop - start) * step)
            axes.broken_barh([bar], (0, 1), color=result.procedure.phases[column].colour)
    _named(axes, label)


def _marks(axes: Axes, result: PhasesResult) -> None:
    """Draw what shows no phase."""
    for mark, start, stop in unusable_stretches(result):
        colour, hatch = MARK_STYLES[mark]
        axes.broken_barh(
            [(start, stop - start)],
            (0, 1),
            facecolor=colour,
            edgecolor=INK,
            hatch=hatch,
            linewidth=0,
        )


def _confidence(axes: Axes, result: PhasesResult, review_uncertainty: float) -> None:
    """Draw the probability of the phase, and shade where it is uncertain."""
    axes.fill_between(
        result.t_seconds,
        0,
        1,
        where=result.uncertainty > review_uncertainty,
        color=UNCERTAIN,
        step="post",
        linewidth=0,
    )
    axes.step(result.t_seconds, result.filtered.max(axis=1), where="post", color=INK, linewidth=0.9)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("confidence", rotation=0, ha="right", va="center")


def _right_edge(expected: Sequence[Anticipation], end: float) -> float:
    """Return where the picture ends [s]: what is expected fits, up to as long as the operation."""
    stops = [
        found.issued_at_seconds + segment.start_in_seconds + (segment.duration_seconds or 0.0)
        for found in expected
        for segment in (*found.learned, *found.prior)
    ]
    return min(max([end, *stops]), 2 * end)


def _expected(axes: Axes, result: PhasesResult, found: Anticipation, right: float) -> None:
    """Draw the course that was expected at a moment: the network's above, that of counts below."""
    for segments, low in ((found.learned, 0.5), (found.prior, 0.0)):
        for segment in segments:
            _expected_bar(axes, result, found.issued_at_seconds, segment, low)
        if segments and found.issued_at_seconds + segments[0].start_in_seconds >= right:
            axes.text(
                found.issued_at_seconds + 0.01 * right,
                low + 0.22,
                f"next: {_told(result, segments[0])}",
                fontsize=7,
                color=INK,
                va="center",
            )
    axes.axvline(found.issued_at_seconds, color=INK, linewidth=1.4)
    minutes = found.issued_at_seconds / 60
    _named(axes, f"expected\nat {minutes:.1f} min")
    axes.axhline(0.5, color=PAPER, linewidth=1)


def _expected_bar(
    axes: Axes, result: PhasesResult, issued: float, segment: AnticipatedSegment, low: float
) -> None:
    """Draw an expected segment; the operation's end is a line."""
    start = issued + segment.start_in_seconds
    if segment.phase == END or segment.duration_seconds is None:
        axes.plot([start, start], [low, low + 0.5], color=INK, linewidth=2.5)
        return
    colour = result.procedure.phase(segment.phase).colour
    alpha = 0.35 + 0.65 * segment.probability
    axes.broken_barh([(start, segment.duration_seconds)], (low, 0.5), color=colour, alpha=alpha)


def _told(result: PhasesResult, segment: AnticipatedSegment) -> str:
    """Say which segment is expected, and when: for what lies beyond the picture."""
    name = "end" if segment.phase == END else result.procedure.phase(segment.phase).meaning
    return f"{name} in {segment.start_in_seconds / 60:.1f} min"


def _named(axes: Axes, label: str) -> None:
    """Give a row its name."""
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_ylabel(label, rotation=0, ha="right", va="center")


def _finish(
    figure: Figure, rows: dict[str, Axes], result: PhasesResult, edges: tuple[float, float]
) -> None:
    """Add the time axis and the legend; the edges are the operation's end and the picture's [s]."""
    end, right = edges
    last = list(rows.values())[-1]
    for axes in rows.values():
        axes.axvline(end, color=INK, linewidth=0.8, linestyle=":")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.yaxis.label.set_fontsize(8)
    step = next((m for m in MINUTES if right <= 60 * m * MOST_TICKS), MINUTES[-1])
    ticks = np.arange(0, right / 60 + 1e-9, step)
    # Room for the line of an end that lies at the edge.
    last.set_xlim(0, 1.005 * right)
    last.set_xticks(60 * ticks, [f"{t:g}" for t in ticks])
    told = "; expected: by the network above, by counting below"
    is_expected = any(name.startswith("expected") for name in rows)
    last.set_xlabel(f"time [min]{told if is_expected else ''}", fontsize=8)
    patches = [Patch(color=p.colour, label=p.meaning) for p in result.procedure.phases]
    found = {MARKS[m] for m in np.unique(result.mark)} - {Mark.USABLE}
    for mark in (m for m in MARKS if m in found):
        colour, hatch = MARK_STYLES[mark]
        label = mark.value.replace("_", " ")
        patches.append(Patch(facecolor=colour, edgecolor=INK, hatch=hatch, label=label))
    figure.legend(handles=patches, loc="lower center", ncols=4, fontsize=8, frameon=False)
    bottom = max(0.23, LEGEND_INCHES / figure.get_figheight())
    figure.subplots_adjust(left=0.11, right=0.985, top=0.97, bottom=bottom, hspace=0.35)
