"""Flow of the wall, its segments and layers, by both ways to deconvolve, or why there is none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.aha import SegmentedSlice
from pipeline.analyses.perfusion.flow.bloodpool import blood_core
from pipeline.analyses.perfusion.flow.dual import DualInput, dual_input
from pipeline.analyses.perfusion.flow.fermi import FermiModel
from pipeline.analyses.perfusion.flow.inputfunction import InputFunction, input_function
from pipeline.analyses.perfusion.flow.linear import (
    before_contrast,
    blood_course,
    left_out,
    pixel_courses,
    tissue_course,
)
from pipeline.analyses.perfusion.flow.modelfree import ModelFree
from pipeline.analyses.perfusion.flow.response import MOST_FLOW, Deconvolved
from pipeline.analyses.perfusion.flow.result import (
    CONCENTRATION,
    DUAL,
    DUAL_IMAGES,
    FERMI,
    LINEAR,
    MODEL_FREE,
    OWN_IMAGES,
    REFUSE,
    RESEARCH,
    ArterialInput,
    FlowEstimate,
    FlowResult,
    told_input,
)
from pipeline.analyses.perfusion.measure import mean_curve
from pipeline.analyses.perfusion.result import MYOCARDIUM, AhaResult
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES, Layer
from pipeline.analyses.perfusion.sequence import ReadOut
from pipeline.imaging.volume import CONCENTRATION_UNIT, TimeSeries
from pipeline.study import ArterialImages

SIGNAL_UNIT = "{intensity}"
"""UCUM code of a signal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arterial:
    """The input function that was chosen, and the slice that it is from."""

    slice_index: int
    """From 0."""

    source: InputFunction
    """The input function."""

    read_out: ReadOut | None
    """The sequence by which signals of tissue are made linear; None for values that are taken as
    they are."""

    images: str = OWN_IMAGES
    """``series`` or ``dual sequence``."""


def measure_flow(
    found: Sequence[SegmentedSlice],
    image: TimeSeries,
    aha: AhaResult,
    of_signals: str,
    read_out: ReadOut | None = None,
    arterial_images: ArterialImages | None = None,
) -> FlowResult:
    """Return the flow of each region of the myocardium.

    Parameters
    ----------
    found
        Slices on which the left ventricle was found.
    image
        The series.
    aha
        The segments, with their curves.
    of_signals
        What is done with a series of signals: ``refuse`` or ``research``.
    read_out
        The sequence, which makes signals linear; None where it is not known.
    arterial_images
        Images of a dual sequence that sample the input; None where there are none.
    """
    in_mmol_l = image.unit == CONCENTRATION_UNIT
    if not in_mmol_l and of_signals == REFUSE:
        return _refused("the values are signals: flow needs concentrations of contrast agent")
    if image.times_are_estimated:
        return _refused("beats are only counted: flow needs the time of each")
    # What the input calls concentrations is made linear already.
    sequence = None if in_mmol_l else read_out
    own = _arterial(found, image, sequence, in_mmol_l=in_mmol_l or sequence is not None)
    dual = dual_input(found, image, arterial_images, sequence) if arterial_images else None
    arterial = _of_dual(dual, sequence) if isinstance(dual, DualInput) else own
    unused = (f"flow: {DUAL_IMAGES} not used: {dual}",) if isinstance(dual, str) else ()
    if isinstance(arterial, str):
        return FlowResult(basis=None, refused=arterial, notes=unused)
    estimates: list[FlowEstimate] = []
    for one in found:
        estimates += _of_slice(one, image, aha, arterial)
    points = {s.slice_index: int((s.classes == MYOCARDIUM).sum()) for s in found}
    return FlowResult(
        basis=_basis(arterial, in_mmol_l=in_mmol_l),
        refused=None,
        arterial_input=_record(arterial, own, in_mmol_l=in_mmol_l),
        estimates=(*_means(estimates, points), *estimates),
        map=image.volume_like(_mapped(found, image, arterial)),
        notes=(*unused, *left_out(found, image, sequence)),
    )


def flow_notes(flow: FlowResult, image: TimeSeries) -> Iterator[str]:
    """Yield what a reader should know of the flow.

    Parameters
    ----------
    flow
        What was measured.
    image
        The series.
    """
    if flow.basis == RESEARCH:
        yield "flow: research, from signal: signals are no concentrations, and this no measurement"
    elif flow.basis in (LINEAR, DUAL):
        yield (
            f"flow: {flow.basis}: relaxation times and agent are taken for granted, and this is no "
            "measurement"
        )
    elif flow.refused and image.unit == CONCENTRATION_UNIT:
        yield f"no flow: {flow.refused}"
    if flow.arterial_input is not None and flow.arterial_input.images == DUAL_IMAGES:
        yield f"flow: input function: {told_input(flow.arterial_input)}"
    yield from flow.notes


def _refused(reason: str) -> FlowResult:
    """Return that there is no flow."""
    return FlowResult(basis=None, refused=reason)


def _arterial(
    found: Sequence[SegmentedSlice],
    image: TimeSeries,
    read_out: ReadOut | None,
    *,
    in_mmol_l: bool,
) -> Arterial | str:
    """Return the sound input function of the highest peak, or why there is none.

    The pool that is highest has the least muscle in it.
    """
    sound: list[Arterial] = []
    reasons: list[str] = []
    for one in found:
        core = mean_curve(one.square, blood_core(one.classes))
        curve = blood_course(core, before_contrast(one, image), read_out)
        times = image.times_s[:, one.slice_index]
        source = (
            curve if isinstance(curve, str) else input_function(times, curve, in_mmol_l=in_mmol_l)
        )
        if isinstance(source, str):
            reasons.append(f"slice {one.slice_index}: {source}")
        else:
            sound.append(Arterial(slice_index=one.slice_index, source=source, read_out=read_out))
    if not sound:
        return "; ".join(reasons) or "the left ventricle was found on no slice"
    return max(sound, key=_peak)


def _of_dual(dual: DualInput, read_out: ReadOut | None) -> Arterial:
    """Return the input function of a dual sequence for tissue of the series' own images."""
    return Arterial(
        slice_index=dual.slice_index, source=dual.source, read_out=read_out, images=DUAL_IMAGES
    )


def _basis(arterial: Arterial, *, in_mmol_l: bool) -> str:
    """Return what a flow rests on."""
    if in_mmol_l:
        return CONCENTRATION
    if arterial.images == DUAL_IMAGES:
        return DUAL
    return RESEARCH if arterial.read_out is None else LINEAR


def _of_slice(
    one: SegmentedSlice, image: TimeSeries, aha: AhaResult, arterial: Arterial
) -> Iterator[FlowEstimate]:
    """Yield the flows of a slice: of all of its wall, and of each layer of each segment."""
    times = image.times_s[:, one.slice_index]
    models: dict[str, FermiModel | ModelFree] = {
        FERMI: FermiModel(arterial.source, times),
        MODEL_FREE: ModelFree(arterial.source, times),
    }
    curves: dict[tuple[int | None, str], NDArray[np.float64]] = {
        (None, Layer.WALL.value): mean_curve(one.square, one.classes == MYOCARDIUM)
    }
    for (index, number, layer), curve in aha.layer_curves.items():
        if index == one.slice_index:
            curves[number, layer] = curve
    before = before_contrast(one, image)
    for (segment, layer), signal in curves.items():
        curve = tissue_course(signal, before, arterial.read_out)
        above = float(curve.max() - curve[: arterial.source.arrival + 1].mean())
        if not np.isfinite(above) or above <= 0:
            continue
        for method, model in models.items():
            measured = model.fit(curve)
            # A flow at the limit of the search is none that was found.
            if measured.flow < 0.99 * MOST_FLOW:
                yield _estimate((one.slice_index, segment, layer), method, measured, above)


def _estimate(
    where: tuple[int, int | None, str], method: str, measured: Deconvolved, above: float
) -> FlowEstimate:
    """Return the flow of a region."""
    index, segment, layer = where
    return FlowEstimate(
        slice_index=index,
        segment=segment,
        segment_name=None if segment is None else SEGMENT_NAMES[segment],
        layer=layer,
        method=method,
        flow_ml_min_g=measured.flow,
        low_ml_min_g=measured.low,
        high_ml_min_g=measured.high,
        delay_s=measured.delay_s,
        residual=measured.residual / above,
    )


def _mapped(
    found: Sequence[SegmentedSlice], image: TimeSeries, arterial: Arterial
) -> NDArray[np.float32]:
    """Return the flow of each pixel of the myocardium. Shape ``(slices, rows, columns)``."""
    flows = np.zeros(image.array.shape[1:], dtype=np.float32)
    for one in found:
        wall = one.classes == MYOCARDIUM
        model = FermiModel(arterial.source, image.times_s[:, one.slice_index])
        on_square = np.zeros(wall.shape, dtype=np.float32)
        values = one.square[:, wall].astype(np.float64)
        courses = pixel_courses(values, before_contrast(one, image), arterial.read_out)
        possible = np.isfinite(courses).all(axis=0)
        wall[wall] = possible
        on_square[wall] = model.flows(courses[:, possible])
        shape = (image.array.shape[2], image.array.shape[3])
        share = one.grid.to_slice(wall.astype(np.float32), shape)
        flow = one.grid.to_slice(on_square, shape)
        # What lies outside the wall is no flow of 0: it has no part in what is interpolated.
        inside = share > 0.5
        flows[one.slice_index][inside] = flow[inside] / share[inside]
    return flows


def _means(estimates: Sequence[FlowEstimate], points: Mapping[int, int]) -> Iterator[FlowEstimate]:
    """Yield the mean over the wall of all slices, by area; noise of slices is independent."""
    for method in (FERMI, MODEL_FREE):
        walls = [
            (points[e.slice_index], e)
            for e in estimates
            if e.method == method and e.segment is None and e.slice_index is not None
        ]
        if not walls:
            continue
        weights = np.array([n for n, _ in walls]) / sum(n for n, _ in walls)
        flow, low, high = (
            np.array([getattr(e, name) for _, e in walls])
            for name in ("flow_ml_min_g", "low_ml_min_g", "high_ml_min_g")
        )
        mean = float(weights @ flow)
        yield FlowEstimate(
            slice_index=None,
            segment=None,
            segment_name=None,
            layer=Layer.WALL.value,
            method=method,
            flow_ml_min_g=mean,
            low_ml_min_g=max(0.0, mean - float(np.linalg.norm(weights * (flow - low)))),
            high_ml_min_g=mean + float(np.linalg.norm(weights * (high - flow))),
            delay_s=None,
            residual=None,
        )


def _record(arterial: Arterial, own: Arterial | str, *, in_mmol_l: bool) -> ArterialInput:
    """Return the input function as the result has it, beside that of the series' own images."""
    source = arterial.source
    is_signal = not in_mmol_l and arterial.read_out is None
    is_own = arterial.images == OWN_IMAGES
    return ArterialInput(
        slice_index=arterial.slice_index,
        peak=_peak(arterial),
        unit=SIGNAL_UNIT if is_signal else CONCENTRATION_UNIT,
        arrival_s=float(source.times_s[source.arrival]),
        peak_s=float(source.times_s[source.peak]),
        end_s=float(source.times_s[source.end - 1]),
        step_s=source.step_s,
        top_ratio=source.top_ratio,
        images=arterial.images,
        own_peak=None if is_own or isinstance(own, str) else _peak(own),
        own_refused=own if isinstance(own, str) else None,
    )


def _peak(arterial: Arterial) -> float:
    """Return the peak of an input function."""
    return float(arterial.source.blood[arterial.source.peak])
