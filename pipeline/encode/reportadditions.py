"""What the one-page report says of trust in the segmentation, and of flow."""

from collections.abc import Iterator

from pipeline.analyses.perfusion.flow.result import (
    FERMI,
    MODEL_FREE,
    UNIT,
    FlowResult,
    told_input,
)
from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.analyses.perfusion.verdict import SeriesTrust, SliceTrust
from pipeline.encode.reportlines import Line, ReportAddition

METHODS = {FERMI: "Fermi", MODEL_FREE: "no model"}
"""Ways to deconvolve, in words."""

NO_CALIBRATION = "the model has no calibration: no probability of failure is told"


def additions_of(result: PerfusionResult) -> tuple[ReportAddition, ...]:
    """Return what trust and flow add to the page; nothing of what was not judged or measured.

    Parameters
    ----------
    result
        What was found.
    """
    found: list[ReportAddition] = []
    if result.trust is not None:
        found.append(_of_trust(result.trust))
    if result.flow is not None:
        found.append(_of_flow(result.flow))
    return tuple(found)


def _of_trust(trust: SeriesTrust) -> ReportAddition:
    """Return the verdict of each slice, its probability of failure, and what speaks against it."""
    lines = [(f"Slice {one.slice_index + 1}", _verdict(one)) for one in trust.slices]
    if trust.failed_below is None:
        lines.append(("Note", NO_CALIBRATION))
    elif trust.guarantee is None:
        lines.append(("Note", "no threshold keeps failures rare enough: no slice is trusted"))
    return ReportAddition(
        title=f"Trust in the segmentation: {trust.verdict}", lines=tuple(lines), gap=0.12
    )


def _verdict(one: SliceTrust) -> str:
    """Return what is made of a slice's signs."""
    said = str(one.verdict)
    if one.failure_probability is not None:
        said += f", probability of failure {one.failure_probability:.2f}"
    return f"{said}: {'; '.join(one.against)}" if one.against else said


def _of_flow(flow: FlowResult) -> ReportAddition:
    """Return the flow of each slice and their mean, or why there is none."""
    if flow.basis is None:
        return ReportAddition(
            title="Myocardial blood flow: none", lines=(("Refused", flow.refused or "-"),), gap=0.16
        )
    mark = ": no flow" if flow.is_research else ""
    title = "Deconvolved upslope" if flow.is_research else "Myocardial blood flow"
    return ReportAddition(
        title=f"{title} [{UNIT}], basis: {flow.basis}{mark}",
        lines=tuple(_flow_lines(flow)),
        gap=0.16,
    )


def _flow_lines(flow: FlowResult) -> Iterator[Line]:
    """Yield the flow of the mean and of each slice, by each method, with its interval of 95 %."""
    walls = [e for e in flow.estimates if e.segment is None]
    places = sorted({e.slice_index for e in walls}, key=lambda i: -1 if i is None else i)
    for place in places:
        said = [
            f"{METHODS[e.method]} {e.flow_ml_min_g:.2f} "
            f"({e.low_ml_min_g:.2f} to {e.high_ml_min_g:.2f})"
            for method in METHODS
            for e in walls
            if (e.slice_index, e.method) == (place, method)
        ]
        yield "Mean" if place is None else f"Slice {place + 1}", ", ".join(said)
    if not walls:
        yield "Slices", "no wall has an estimate"
    if flow.arterial_input is not None:
        yield "Input", told_input(flow.arterial_input)
    yield "Interval", "95 %, of noise alone"
