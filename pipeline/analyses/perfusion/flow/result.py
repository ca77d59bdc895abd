"""What a measurement of flow hands to the encoders and the manifest."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pipeline.imaging.volume import Volume

UNIT = "ml/min/g"
"""UCUM code of flow: millilitres of blood a minute for each gram of myocardium."""

CONCENTRATION = "concentration"
"""Basis of a flow whose curves are concentrations, as the input states them."""

RESEARCH = "research, from signal"
"""Basis of a flow whose curves are signals: no measurement, whatever it looks like."""

LINEAR = "research, from signal made linear"
"""Basis of a flow whose curves are signals turned into concentrations by the sequence that the
header states: for research, too, since the header tells neither relaxation times nor agent."""

MARKED = (RESEARCH, LINEAR)
"""Bases that every output marks as no measurement."""

FERMI, MODEL_FREE = "fermi", "model_free"
"""Ways to deconvolve."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowResult:
    """Flow of all regions, or why there is none."""

    basis: str | None
    """``concentration``, ``research, from signal``, or ``research, from signal made linear``; None
    where flow is refused."""

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
    """Slices that have none, and why."""

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


def of_signals(outcome: object) -> str:
    """Return what was done with a series of signals, by the outcome of its job.

    Parameters
    ----------
    outcome
        The flow as JSON values; None of a job that knew of none.
    """
    basis = outcome.get("basis") if isinstance(outcome, Mapping) else None
    return FROM_SIGNAL if basis in MARKED else REFUSE
