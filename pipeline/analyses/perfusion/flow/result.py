"""What a measurement of flow hands to the encoders and the manifest."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pipeline.imaging.volume import CONCENTRATION_UNIT, Volume

UNIT = "ml/min/g"
"""UCUM code of flow: millilitres of blood a minute for each gram of myocardium."""

CONCENTRATION = "concentration"
"""Basis of a flow whose curves are concentrations, as the input states them."""

RESEARCH = "research, from signal"
"""Basis of a flow whose curves are signals: no measurement, whatever it looks like."""

LINEAR = "research, from signal made linear"
"""Basis of a flow whose curves are signals turned into concentrations by the sequence that the
header states: for research, too, since the header tells neither relaxation times nor agent."""

DUAL = "research, dual sequence"
"""Basis of a flow as the one before, whose input function is that of a dual sequence's images of
low resolution: the bolus is not clipped, and the rest is taken for granted as there."""

MARKED = (RESEARCH, LINEAR, DUAL)
"""Bases that every output marks as no measurement."""

FERMI, MODEL_FREE = "fermi", "model_free"
"""Ways to deconvolve."""


OWN_IMAGES, DUAL_IMAGES = "series", "dual sequence"
"""Images that may show the input function."""

REFUSE, FROM_SIGNAL = "refuse", "research"
"""What is done with a series of signals: nothing, or a flow for research."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowEstimate:
    """The flow of one region, by one way to deconvolve."""

    slice_index: int | None
    """Slice it was measured on, from 0; None for the mean of all slices."""

    segment: int | None
    """Number of the AHA segment, 1 to 16; None for all of the wall."""

    segment_name: str | None
    """Its name: ``mid anterior``."""

    layer: str
    """``wall``, ``endocardial`` or ``epicardial``."""

    method: str
    """``fermi`` or ``model_free``."""

    flow_ml_min_g: float
    """Myocardial blood flow [ml/min/g]."""

    low_ml_min_g: float
    """Lower end of its interval of 95 % [ml/min/g]: of noise, not of what a model leaves out."""

    high_ml_min_g: float
    """Upper end [ml/min/g]."""

    delay_s: float | None
    """From the blood pool to the tissue [s]; None for the mean of all slices."""

    residual: float | None
    """Root mean square of what the fit leaves over, relative to the tissue's largest enhancement;
    None for the mean of all slices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArterialInput:
    """The input function that all tissue was deconvolved by."""

    slice_index: int
    """Slice whose blood pool it is, from 0."""

    peak: float
    """Largest value above that before contrast arrives [``unit``]."""

    unit: str
    """UCUM code: ``mmol/l``, or ``{intensity}`` of a signal."""

    arrival_s: float
    """When contrast arrives [s], on the clock of the series."""

    peak_s: float
    """When it peaks [s]."""

    end_s: float
    """End of its first pass [s]: nothing later is fitted."""

    step_s: float
    """Typical time from sample to sample in its first pass [s]."""

    top_ratio: float
    """Its width at 90 % of the peak over that at half of it: large where the top is cut off."""

    images: str = OWN_IMAGES
    """What shows it: ``series``, the images of the series itself, or ``dual sequence``, those of
    low resolution that were acquired along with it."""

    own_peak: float | None = None
    """Peak of the blood in the series' own images [``unit``]; None where they give none, or where
    it is the one above."""

    own_refused: str | None = None
    """Why the series' own images give no input function; None where they do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowResult:
    """Flow of all regions, or why there is none."""

    basis: str | None
    """``concentration``, ``research, from signal``, ``research, from signal made linear`` or
    ``research, dual sequence``; None where flow is refused."""

    refused: str | None
    """Why there is no flow; None where there is one."""

    arterial_input: ArterialInput | None = None
    """The input function; None where flow is refused."""

    estimates: tuple[FlowEstimate, ...] = ()
    """The flows, by slice, segment, layer and method."""

    map: Volume | None = None
    """float32 on the grid of the series: flow of each pixel of the myocardium by the best of a
    table of Fermi functions [ml/min/g], 0 elsewhere; None where flow is refused."""

    notes: tuple[str, ...] = ()
    """Slices that have none, and why; what is known of the input function of a dual sequence."""

    @property
    def is_research(self) -> bool:
        """Whether every output marks it as no measurement."""
        return self.basis in MARKED


def flow_outcome(flow: FlowResult | None) -> dict[str, object] | None:
    """Return flow as JSON values, without its map; None where nobody asked.

    Parameters
    ----------
    flow
        What was measured.
    """
    if flow is None:
        return None
    return {
        "basis": flow.basis,
        "refused": flow.refused,
        "arterial_input": None if flow.arterial_input is None else asdict(flow.arterial_input),
        "estimates": [asdict(estimate) for estimate in flow.estimates],
    }


def told_input(arterial: ArterialInput) -> str:
    """Return in words what shows an input function, and its peak beside that of the other images.

    Parameters
    ----------
    arterial
        The input function.
    """
    unit = CONCENTRATION_UNIT if arterial.unit == CONCENTRATION_UNIT else "in units of the signal"
    told = f"peak {arterial.peak:.1f} {unit}"
    if arterial.images != DUAL_IMAGES:
        return f"images of the series, {told}"
    own = (
        f"refused, {arterial.own_refused}"
        if arterial.own_peak is None
        else f"peak {arterial.own_peak:.1f} {unit}"
    )
    return f"{arterial.images}, {told}; images of the series: {own}"


def of_signals(outcome: object) -> str:
    """Return what was done with a series of signals, by the outcome of its job.

    Parameters
    ----------
    outcome
        The flow as JSON values; None of a job that knew of none.
    """
    basis = outcome.get("basis") if isinstance(outcome, Mapping) else None
    return FROM_SIGNAL if basis in MARKED else REFUSE
