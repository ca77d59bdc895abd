"""The one page of a study with rest and stress, as a cardiologist would sign it.

Three bull's-eyes, the index of the myocardium, its slices and its segments beside what it is made
of, flows and their ratio where both states have them, how far each segmentation can be trusted, how
the heart moved, and every note of both results. Drawn without a display and without global state,
with the same bytes each time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from pydicom.dataset import Dataset

from pipeline.analyses.perfusion.flow.result import FERMI, MARKED, UNIT
from pipeline.analyses.perfusion.reserve import Reserve
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES, Layer
from pipeline.encode.bullseye import draw_bullseye
from pipeline.encode.context import EncodingContext
from pipeline.encode.pageparts import (
    FAINT,
    INK,
    SMALL,
    TINY,
    Letters,
    a4_page,
    as_pdf,
    blank,
    draw_additions,
    draw_head,
    draw_notes,
    draw_signature,
    draw_text,
    draw_versions,
    set_title,
)
from pipeline.encode.reportadditions import METHODS
from pipeline.encode.reportlines import Line, ReportAddition, person_lines
from pipeline.encode.reservestates import (
    BothStates,
    FlowSummary,
    Interval,
    SliceSummary,
    StateSummary,
)

TITLE = "Myocardial perfusion, rest and stress"
"""What the page is about."""

OF = {
    "relative_upslope": "of signals",
    "relative_upslope_concentration": "of concentrations",
}
"""What relative upslopes are of."""

NOT_TOLD = "-"
"""Stands where a number is missing."""

ENDS = (0.42, 0.53, 0.64, 0.77, 0.89, 1.0)
"""Where the columns of numbers end, in shares of the page's width."""

MOST_STEP = 0.048
"""From a row of the table to the next, at most, as a share of its height."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of the table."""

    place: str
    """Which part of the myocardium."""

    upslopes: tuple[float | None, float | None]
    """Relative upslope at rest and under stress [1]."""

    mpri: float | None
    """Their index [1]."""

    flows: tuple[float | None, float | None]
    """Flow at rest and under stress [ml/min/g]."""


def reserve_page(
    reserve: Reserve, both: BothStates, header: Dataset | None, context: EncodingContext
) -> bytes:
    """Return the page as a PDF, the same bytes each time.

    Parameters
    ----------
    reserve
        The index of the myocardium and of its parts.
    both
        What the two results say.
    header
        Header of the stress series' report, only for a page inside an object of that patient; None
        for one that says nothing of a patient.
    context
        What it is made under.
    """
    return as_pdf(reserve_figure(reserve, both, header, context))


def reserve_figure(
    reserve: Reserve, both: BothStates, header: Dataset | None, context: EncodingContext
) -> Figure:
    """Return the page as a figure; the parameters are those of :func:`reserve_page`."""
    figure, parts = a4_page((1.0, 2.8, 4.0, 1.3, 1.7, 0.7, 0.6))
    person = person_lines(header) if header is not None else ()
    draw_head(blank(figure, parts[0]), TITLE, (*person, *_index_lines(reserve, both)))
    _bullseyes(figure, parts[1], reserve, both)
    _table(blank(figure, parts[2]), tuple(rows_of(reserve, both)), flow_title(both))
    draw_additions(figure, parts[3], tuple(_states(both)))
    draw_notes(blank(figure, parts[4]), tuple(_notes(both)))
    draw_versions(blank(figure, parts[5]), tuple(_versions(both, context)))
    draw_signature(blank(figure, parts[6]))
    return figure


def rows_of(reserve: Reserve, both: BothStates) -> Iterator[Row]:
    """Yield the myocardium, the slices that both states show, and every segment of either.

    Parameters
    ----------
    reserve
        The index.
    both
        What the two results say.
    """
    walls = [_walls(of) for of in _flows(both)]
    whole = reserve.whole
    yield Row(
        place="Myocardium",
        upslopes=(None, None) if whole is None else (whole.rest, whole.stress),
        mpri=None if whole is None else whole.mpri,
        flows=(walls[0].get(None), walls[1].get(None)),
    )
    for (i, j), each in sorted(reserve.slices.items()):
        yield Row(
            place=f"Slice {i + 1} at rest, {j + 1} under stress",
            upslopes=(each.rest, each.stress),
            mpri=each.mpri,
            flows=(walls[0].get(i), walls[1].get(j)),
        )
    yield from _segment_rows(reserve, both)


def _segment_rows(reserve: Reserve, both: BothStates) -> Iterator[Row]:
    """Yield every segment that one of both states tells of, over its wall."""
    rest, stress = both.rest.upslopes, both.stress.upslopes
    flows = [{} if of is None else of.segments for of in _flows(both)]
    for segment in sorted({*rest, *stress, *flows[0], *flows[1]}):
        index = reserve.segments.get((segment, Layer.WALL))
        yield Row(
            place=f"{segment} {SEGMENT_NAMES[segment]}",
            upslopes=(rest.get(segment), stress.get(segment)),
            mpri=None if index is None else index.mpri,
            flows=(flows[0].get(segment), flows[1].get(segment)),
        )


def flow_title(both: BothStates) -> str | None:
    """Return what the flows of the table are; None where the states have none to be compared."""
    basis = _common_basis(both)
    if basis is None:
        return None
    if basis in MARKED:
        return f"deconvolved [{UNIT}], {basis}: no flow"
    return f"flow [{UNIT}], by a Fermi function, of {basis}"


def _common_basis(both: BothStates) -> str | None:
    """Return what the flows of both states are made of; None where these cannot be compared."""
    rest, stress = both.rest.flow, both.stress.flow
    if rest is None or stress is None or rest.basis != stress.basis:
        return None
    return rest.basis


def _flows(both: BothStates) -> tuple[FlowSummary | None, FlowSummary | None]:
    """Return the flows that are compared."""
    known = _common_basis(both) is not None
    return (both.rest.flow, both.stress.flow) if known else (None, None)


def _walls(flow: FlowSummary | None) -> dict[int | None, float]:
    """Return the flow of the wall by a Fermi function, by slice; None for the mean of all."""
    walls: Mapping[tuple[int | None, str], Interval] = {} if flow is None else flow.walls
    return {index: numbers[0] for (index, method), numbers in walls.items() if method == FERMI}


def _index_lines(reserve: Reserve, both: BothStates) -> Iterator[Line]:
    """Yield what the page begins with: the index of the whole myocardium."""
    yield "MPRI", _number(None if reserve.whole is None else reserve.whole.mpri)
    yield "Upslopes", OF.get(both.measure, both.measure)
    yield "Slices compared", f"{len(reserve.slices)}"


def _bullseyes(figure: Figure, part: SubplotSpec, reserve: Reserve, both: BothStates) -> None:
    """Draw rest, stress and their index by segment; each has its own scale of colours."""
    grid = part.subgridspec(1, 3, wspace=0.1)
    index = {s: each.mpri for (s, layer), each in reserve.segments.items() if layer == Layer.WALL}
    shown = (
        ("Rest: upslope relative to LV blood", both.rest.upslopes),
        ("Stress: upslope relative to LV blood", both.stress.upslopes),
        ("Perfusion reserve index (MPRI)", index),
    )
    for place, (title, values) in enumerate(shown):
        axes = figure.add_subplot(grid[0, place])
        draw_bullseye(axes, values, paper="white", ink=INK, empty="#eceff1", size=TINY)
        set_title(axes, title)
    # Beside each other on the page, colours would else be compared.
    _caption(figure.add_subplot(part), "Each bull's-eye has its own scale of colours.")


def _caption(axes: Axes, said: str) -> None:
    """Write a line below what is drawn."""
    axes.set_axis_off()
    draw_text(axes, (1.0, 0.0), said, Letters(size=TINY, right=True, colour=FAINT))


def _table(axes: Axes, rows: tuple[Row, ...], of_flow: str | None) -> None:
    """Draw the table: letters grow smaller rather than that a row is left out."""
    step = min(MOST_STEP, 0.9 / max(1, len(rows)))
    size = SMALL * step / MOST_STEP
    bold = Letters(size=SMALL, bold=True, right=True)
    draw_text(axes, (0.0, 0.97), "Part of the myocardium", Letters(size=SMALL, bold=True))
    for end, name in zip(ENDS[:3], ("rest", "stress", "MPRI"), strict=True):
        draw_text(axes, (end, 0.97), name, bold)
    if of_flow is not None:
        draw_text(axes, (1.0, 1.01), of_flow, Letters(size=TINY, right=True, colour=FAINT))
        for end, name in zip(ENDS[3:], ("rest", "stress", "ratio"), strict=True):
            draw_text(axes, (end, 0.97), name, bold)
    caption = Letters(size=TINY, right=True, colour=FAINT)
    draw_text(axes, (ENDS[1], 1.01), "upslope relative to LV blood", caption)
    for number, row in enumerate(rows):
        height = 0.97 - 0.05 - step * number
        draw_text(axes, (0.0, height), row.place, Letters(size=size, bold=number == 0))
        numbers = [*row.upslopes, row.mpri]
        if of_flow is not None:
            numbers += [*row.flows, ratio_of(*row.flows)]
        for end, value in zip(ENDS, numbers, strict=False):
            draw_text(axes, (end, height), _number(value), Letters(size=size, right=True))


def ratio_of(rest: float | None, stress: float | None) -> float | None:
    """Return flow under stress over that at rest; None where either is missing or none flows."""
    return stress / rest if rest and stress is not None else None


def _states(both: BothStates) -> Iterator[ReportAddition]:
    """Yield a box for each state: trust and motion of its slices, and its flow."""
    for name, state in (("Rest", both.rest), ("Stress", both.stress)):
        lines = [
            *((f"Slice {one.slice_index + 1}", _slice(one)) for one in state.slices),
            *_flow_lines(state),
        ]
        yield ReportAddition(title=f"{name}: trust, motion, flow", lines=tuple(lines), gap=0.16)


def _slice(one: SliceSummary) -> str:
    """Return what is known of a slice."""
    said = one.verdict or "trust not judged"
    if one.failure_probability is not None:
        said += f" (failure {one.failure_probability:.2f})"
    motion, left = (
        NOT_TOLD if value is None else f"{value:.1f} mm"
        for value in (one.motion_mm, one.residual_motion_mm)
    )
    return f"{said}; motion {motion}, left {left}"


def _flow_lines(state: StateSummary) -> Iterator[Line]:
    """Yield the mean flow of a state by each method, or why there is none."""
    flow = state.flow
    if flow is None or flow.basis is None:
        yield "Flow", "not known" if flow is None else f"none: {flow.refused or NOT_TOLD}"
        return
    means = [
        f"{METHODS[method]} {flow.walls[None, method][0]:.2f} "
        f"({flow.walls[None, method][1]:.2f} to {flow.walls[None, method][2]:.2f})"
        for method in METHODS
        if (None, method) in flow.walls
    ]
    name = "No flow" if flow.basis in MARKED else "Flow"
    yield name, f"{', '.join(means) or NOT_TOLD}; {flow.basis}"


def _notes(both: BothStates) -> Iterator[str]:
    """Yield every note: of the reserve, then of each state; what both say stands once."""
    yield from both.notes
    rest, stress = both.rest.flow, both.stress.flow
    bases = {flow.basis for flow in (rest, stress) if flow is not None and flow.basis is not None}
    if bases and _common_basis(both) is None:
        yield "no ratio of flows: the two states do not both have one of the same basis"
    for note in both.rest.notes:
        yield f"{'rest and stress' if note in both.stress.notes else 'rest'}: {note}"
    for note in both.stress.notes:
        if note not in both.rest.notes:
            yield f"stress: {note}"


def _versions(both: BothStates, context: EncodingContext) -> Iterator[Line]:
    """Yield what made the index and the two results."""
    yield "Software", f"Vesalius {context.software_version}"
    yield "Job", str(context.job_id)
    for name, state in (("Rest", both.rest), ("Stress", both.stress)):
        yield name, f"{state.bundle}, job {state.job_id}"
        yield f"SHA-256, {name.lower()}", state.bundle_digest


def _number(value: float | None) -> str:
    """Return a number as the table has it."""
    return NOT_TOLD if value is None else f"{value:.2f}"
