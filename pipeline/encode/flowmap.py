"""What the map of myocardial blood flow shows, as a DICOM Parametric Map."""

from pipeline.analyses.perfusion.flow.response import MOST_FLOW
from pipeline.analyses.perfusion.flow.result import UNIT
from pipeline.encode.codes import FLOW, RESEARCH_FLOW, UNITS
from pipeline.encode.parametricmap import Shown

ROLE = "flow_map"

WINDOW = (2.0, 4.0)
"""Centre and width of the window that shows it [ml/min/g]."""


def shown_flow(*, is_research: bool) -> Shown:
    """Return what a map of flow shows.

    Parameters
    ----------
    is_research
        Whether it is of signals and so no measurement.
    """
    told = "Research, from signal: no flow" if is_research else "Myocardial blood flow"
    return Shown(
        role=ROLE,
        label="RESEARCH" if is_research else "FLOW",
        explanation=told,
        description=told,
        series=f"Vesalius {told}",
        quantity=RESEARCH_FLOW if is_research else FLOW,
        unit=UNITS[UNIT],
        largest=MOST_FLOW,
        window=WINDOW,
    )
