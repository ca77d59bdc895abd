"""Follow an operation while it goes on: phase, confidence and what is expected, second by second.

The steps are those of a recorded video, so both give the same bits. The state is saved every few
seconds and at the end; a stream that is started again with it goes on at the same second.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline.analyses.phases.networks import PhaseNetworks
from pipeline.analyses.phases.ontology import END
from pipeline.analyses.phases.result import StepResult
from pipeline.analyses.phases.stepper import PhaseStepper
from pipeline.encode.phasestext import DECIMALS, anticipation_values
from pipeline.ingest.video.live import is_recorded, live_pictures

SAVED_EVERY = 10
"""Seconds between two savings of the state: so many are done again after a crash."""

OWNER_ONLY = 0o600
"""Mode of the file of the state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamRequest:
    """What is followed."""

    source: str
    """A file, a camera, a URL, or ``-`` for standard input."""

    state: Path | None = None
    """File that the state is saved in, and gone on from; None saves nothing."""

    at_own_pace: bool = True
    """Whether a file is played as it was recorded, or as fast as it goes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """How long the answers to pictures took."""

    n_pictures: int
    """Pictures that were answered."""

    p50_ms: float
    """Median [ms]."""

    p99_ms: float
    """The longest but one in a hundred [ms]."""


def follow(
    request: StreamRequest, networks: PhaseNetworks, told: Callable[[StepResult], None]
) -> Latency:
    """Follow a source to its end.

    Parameters
    ----------
    request
        What is followed.
    networks
        What knows the procedure.
    told
        Called with each second.

    Returns
    -------
        How long it took from each picture to what it gave.

    Raises
    ------
    UnusableCall
        If there is no such source, or the saved state is another bundle's.
    UnreadableFile, NotApplicable
        If the source sends no video that is read.
    """
    stepper = PhaseStepper(networks)
    if request.state is not None and request.state.exists():
        stepper.restore(request.state.read_bytes())
    took: list[float] = []
    try:
        for results, seconds in _steps(request, networks, stepper):
            took.append(seconds)
            for result in results:
                told(result)
            if results and stepper.next_index % SAVED_EVERY == 0:
                _save(stepper, request.state)
    finally:
        _save(stepper, request.state)
    return _latency(took)


def second_values(result: StepResult) -> dict[str, object]:
    """Return a second as JSON values: for whoever follows the operation by machine."""
    return {
        "index": result.index,
        "t_seconds": result.t_seconds,
        "mark": str(result.mark),
        "phase": result.phase,
        "confidence": round(float(np.max(result.filtered)), DECIMALS),
        "uncertainty": round(result.uncertainty, DECIMALS),
        "anticipation": anticipation_values(result.anticipation),
    }


def second_line(result: StepResult, networks: PhaseNetworks) -> str:
    """Return a second as a line: for whoever follows the operation by eye."""
    clock = f"{int(result.t_seconds) // 60:3d}:{int(result.t_seconds) % 60:02d}"
    procedure = networks.procedure
    if result.phase is None:
        return f"{clock}  ({result.mark.value.replace('_', ' ')})"
    expected = result.anticipation
    following = (expected.learned or expected.prior)[0]
    name = "end" if following.phase == END else procedure.phase(following.phase).meaning
    learned = expected.remaining_learned_seconds
    remaining = expected.remaining_prior_seconds if learned is None else learned
    percent = 100 * float(np.max(result.filtered))
    return (
        f"{clock}  {procedure.phase(result.phase).meaning:<28}{percent:4.0f} %"
        f"  next {name} in {following.start_in_seconds / 60:.1f} min"
        f" ({100 * following.probability:.0f} %), {remaining / 60:.0f} min left"
    )


def _steps(
    request: StreamRequest, networks: PhaseNetworks, stepper: PhaseStepper
) -> Iterator[tuple[tuple[StepResult, ...], float]]:
    """Yield what each picture gave, and how long that took [s]."""
    rate = networks.model.rate_hz
    # A source that goes on has no pictures of what was before: its clock goes on from the state.
    offset = 0.0 if is_recorded(request.source) else stepper.next_index / rate
    done_s = stepper.next_index / rate
    for frame in live_pictures(
        request.source, rate, from_seconds=done_s - offset, at_own_pace=request.at_own_pace
    ):
        began = perf_counter()
        moved = frame if offset == 0.0 else frame.later(offset)
        yield stepper.push(moved), perf_counter() - began


def _save(stepper: PhaseStepper, place: Path | None) -> None:
    """Save the state whole or not at all."""
    if place is None:
        return
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    with os.fdopen(
        os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "wb"
    ) as f:
        f.write(stepper.state())
        f.flush()
        os.fsync(f.fileno())
    temporary.replace(place)


def _latency(took: list[float]) -> Latency:
    """Return how long the answers took."""
    if not took:
        return Latency(n_pictures=0, p50_ms=0.0, p99_ms=0.0)
    p50, p99 = (1000 * float(v) for v in np.percentile(took, (50, 99)))
    return Latency(n_pictures=len(took), p50_ms=p50, p99_ms=p99)
