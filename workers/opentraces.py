"""Open the traces that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import UnusableCall

if TYPE_CHECKING:
    from workers.traces import Traces


def open_traces(address: str | None) -> Traces | None:
    """Return where the spans of jobs go; None without an address.

    Raises
    ------
    UnusableCall
        If traces are asked for and OpenTelemetry is not installed.
    """
    if address is None:
        return None
    try:
        from workers.traces import Traces
    except ImportError:
        needed = "traces need OpenTelemetry: pip install 'vesalius[otel]'"
        raise UnusableCall(needed) from None
    return Traces(address)
