"""Plots of a batch's report as SVG that stands in a page: no script, no font, no other file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import StringIO

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

WIDTH_INCHES, HEIGHT_INCHES, SMALL_INCHES = 8.0, 2.8, 2.2
INK, BAR, GRID = "#1b2430", "#2f6f9f", "#d8dee6"
BINS = 30
MOST_BARS = 12
"""Bars of a plot; the rest is summed up in the last one."""

LABEL_LENGTH = 60


def throughput(ended: Sequence[datetime]) -> str:
    """Return how many results a minute there were over time.

    Parameters
    ----------
    ended
        When each result was done.
    """
    first = min(ended)
    minutes = np.array([(at - first).total_seconds() / 60 for at in ended])
    n_bins = int(np.clip(len(ended) // 5, 1, 60))
    counts, edges = np.histogram(minutes, bins=n_bins, range=(0, max(minutes.max(), 1e-3)))
    figure, axes = _figure(HEIGHT_INCHES)
    axes.stairs(counts / np.diff(edges), edges, fill=True, color=BAR)
    axes.set_xlabel("time since the first result [min]")
    axes.set_ylabel("results a minute")
    return _svg(figure, "throughput")


def stages(seconds: Mapping[str, Sequence[float]]) -> str:
    """Return the median time of each stage, with the middle half of the results."""
    names = sorted(seconds, key=lambda name: float(np.median(seconds[name])))[-MOST_BARS:]
    low, middle, high = (
        np.array([np.percentile(seconds[name], share) for name in names]) for share in (25, 50, 75)
    )
    figure, axes = _figure(0.8 + 0.28 * len(names))
    axes.barh(names, middle, xerr=(middle - low, high - middle), color=BAR, ecolor=INK, height=0.7)
    axes.set_xlabel("time of a job [s]: median, lines over the middle half")
    return _svg(figure, "stages")


def distribution(name: str, values: Sequence[float]) -> str:
    """Return how often a number has which value."""
    figure, axes = _figure(SMALL_INCHES, WIDTH_INCHES / 2)
    axes.hist(values, bins=min(BINS, max(len(set(values)), 1)), color=BAR)
    axes.set_xlabel(name)
    axes.set_ylabel("results")
    return _svg(figure, f"distribution {name}")


def reasons(found: Sequence[str]) -> str:
    """Return how often each reason occurs."""
    counted = Counter(_short(reason) for reason in found).most_common()
    shown = counted[:MOST_BARS]
    if len(counted) > MOST_BARS:
        shown.append(("other reasons", sum(count for _, count in counted[MOST_BARS:])))
    labels, counts = [label for label, _ in shown[::-1]], [count for _, count in shown[::-1]]
    figure, axes = _figure(0.8 + 0.28 * len(shown))
    axes.barh(labels, counts, color=BAR, height=0.7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("how often")
    return _svg(figure, "reasons")


def _short(text: str) -> str:
    """Return the beginning of a text."""
    return (
        text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )


def _figure(height: float, width: float = WIDTH_INCHES) -> tuple[Figure, Axes]:
    """Return an empty figure without global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.6)
    return figure, axes


def _svg(figure: Figure, salt: str) -> str:
    """Return a figure as SVG whose ids no other one on the page has."""
    text = StringIO()
    with rc_context({"svg.hashsalt": salt, "svg.fonttype": "path", "font.size": 8}):
        for axes in figure.axes:
            axes.tick_params(labelsize=8)
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(
            text, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    whole = text.getvalue()
    return whole[whole.index("<svg") :]
