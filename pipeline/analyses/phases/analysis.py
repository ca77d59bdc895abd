"""A recorded operation, second by second and as segments: the loop of the live step.

Memory does not grow with the video but for what is kept of each second: some 30 numbers, and the
features where they are kept.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.ahead import ahead
from pipeline.analyses.phases.anticipation import Forecast, stacked
from pipeline.analyses.phases.features import FeatureStore
from pipeline.analyses.phases.networks import PhaseNetworks
from pipeline.analyses.phases.recognise import Recognised
from pipeline.analyses.phases.result import MARKS, NO_PHASE, Mark, PhasesResult
from pipeline.analyses.phases.segments import segments_of
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.analyses.phases.sight import Glance, Sight, glance
from pipeline.analyses.phases.stepper import PhaseStepper, Step, index_of
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.errors import AnalysisFailed
from pipeline.imaging.timedframe import TimedFrame

Item = TypeVar("Item")

Progress = Callable[[int], None]
"""Called with the number of seconds that are done."""


def analyse(
    frames: Iterable[TimedFrame],
    networks: PhaseNetworks,
    settings: PhasesSettings,
    *,
    input_digest: str | None = None,
    progress: Progress = lambda _done: None,
) -> PhasesResult:
    """Analyse a video.

    Parameters
    ----------
    frames
        Its pictures in order of time, about as many as the model's rate asks for; more do no harm.
        Not touched where the features are kept.
    networks
        What knows the procedure.
    settings
        What the site sets.
    input_digest
        Digest of the video, by which its features are kept; None keeps nothing.
    progress
        Told about every second.

    Raises
    ------
    AnalysisFailed
        If there is no picture at all.
    """
    stopwatch = Stopwatch()
    store = FeatureStore(folder=settings.features) if settings.features and input_digest else None
    kept = store.read(input_digest, networks) if store and input_digest else None
    if kept is None:
        steps = _from_frames(frames, networks, stopwatch)
    else:
        stepper = PhaseStepper(networks)
        steps = (stepper.take(sight) for sight in kept)
    seconds = _Seconds(keep_sights=store is not None and kept is None)
    with stopwatch.stage("analyse"):
        for step in steps:
            seconds.add(step)
            progress(step.result.index + 1)
    if not seconds.marks:
        raise AnalysisFailed("no picture could be taken from the video")
    if store and input_digest and kept is None:
        store.write(input_digest, networks, seconds.sights)
    return _result(seconds, networks, settings, stopwatch)


def kept_steps(frames: Iterable[TimedFrame], networks: PhaseNetworks) -> Iterator[Step]:
    """Yield the seconds of a video with all that is known of them."""
    return _from_frames(frames, networks, Stopwatch())


class _Seconds:
    """Collects what is kept of each second."""

    def __init__(self, *, keep_sights: bool) -> None:
        self._keep_sights = keep_sights
        self.marks: list[Mark] = []
        self.recognised: list[Recognised] = []
        self.sights: list[Sight] = []

    def add(self, step: Step) -> None:
        """Keep a second."""
        self.marks.append(step.sight.mark)
        self.recognised.append(step.recognised)
        if self._keep_sights:
            self.sights.append(step.sight)


def _from_frames(
    frames: Iterable[TimedFrame], networks: PhaseNetworks, stopwatch: Stopwatch
) -> Iterator[Step]:
    """Yield the seconds of pictures; the time that pictures are waited for is counted apart."""
    stepper = PhaseStepper(networks)
    for t_seconds, glanced in _timed(ahead(_glanced(frames, networks)), stopwatch):
        yield from stepper.push_glanced(t_seconds, glanced)


def _glanced(
    frames: Iterable[TimedFrame], networks: PhaseNetworks
) -> Iterator[tuple[float, Glance | None]]:
    """Yield the time of each picture, and what it shows if it is the first of its second."""
    last = None
    for frame in frames:
        index = index_of(frame.t_seconds, networks)
        yield frame.t_seconds, None if index == last else glance(frame.rgb, networks)
        last = index


def _timed(items: Iterable[Item], stopwatch: Stopwatch) -> Iterator[Item]:
    """Yield items and count the time that it takes to get them."""
    began = perf_counter()
    for item in items:
        stopwatch.add("decode", perf_counter() - began)
        yield item
        began = perf_counter()


def _result(
    seconds: _Seconds, networks: PhaseNetworks, settings: PhasesSettings, stopwatch: Stopwatch
) -> PhasesResult:
    """Return the arrays and segments of all seconds."""
    mark = np.array([MARKS.index(m) for m in seconds.marks], dtype=np.uint8)
    column = np.array([r.column for r in seconds.recognised], dtype=np.int16)
    phase = np.where(mark == MARKS.index(Mark.USABLE), column, NO_PHASE).astype(np.int16)
    filtered = np.array([r.filtered for r in seconds.recognised])
    uncertainty = np.array([r.uncertainty for r in seconds.recognised], dtype=np.float32)
    rate = networks.model.rate_hz
    return PhasesResult(
        procedure=networks.procedure,
        rate_hz=rate,
        t_seconds=np.arange(mark.size) / rate,
        mark=mark,
        raw=np.array([r.raw for r in seconds.recognised]),
        filtered=filtered,
        uncertainty=uncertainty,
        phase=phase,
        segments=segments_of(
            networks.procedure,
            phase,
            filtered,
            uncertainty,
            rate_hz=rate,
            longest_gap_seconds=settings.longest_gap_seconds,
        ),
        learned=_learned(seconds.recognised),
        prior=stacked([r.prior for r in seconds.recognised]),
        notes=_notes(mark, rate),
        stage_seconds=stopwatch.seconds,
    )


def _learned(recognised: Sequence[Recognised]) -> Forecast | None:
    """Return what the network expected; None without one."""
    forecasts = [r.learned for r in recognised if r.learned is not None]
    return stacked(forecasts) if forecasts else None


def _notes(mark: NDArray[np.uint8], rate_hz: float) -> tuple[str, ...]:
    """Return what a reader should know of the seconds without a phase."""
    told = []
    for place, kind in enumerate(MARKS):
        seconds = np.count_nonzero(mark == place) / rate_hz
        if seconds and kind is not Mark.USABLE:
            told.append(f"{seconds:g} s of {mark.size / rate_hz:g} s are {kind}: no phase there")
        if seconds and kind is Mark.OUT_OF_BODY:
            told.append("views from outside the patient: look at them before passing the video on")
    return tuple(told)
