"""Serving's time over bare ONNX Runtime's, for the same patches and the same threads.

Bare is what no serving can avoid: ``session.run`` on the patches, batched as serving batches them,
as many members at a time as serving runs. Both are timed in turn within one process, so that a slow
or a busy machine slows both; the ratio of each pair is kept.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.locate import likely_places
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.pool import sweep
from pipeline.analyses.perfusion.prepare import prepare_slice
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.infer.bundle import Bundle, load_bundle
from pipeline.infer.session import Session, open_session
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.study import InputSeries

N_CLASSES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class InferenceCost:
    """What an analysis costs beside its networks."""

    n_slices: int
    n_members: int
    n_patches: int
    """Patches that each member saw, over all slices."""

    uncertainty_stride: int
    workers: int
    """Members that ran at the same time."""

    open_seconds: float
    """Reading, checking and opening the bundle [s]."""

    serving_seconds: tuple[float, ...]
    """The whole analysis, once a round [s]."""

    bare_seconds: tuple[float, ...]
    """The networks alone, once a round [s]."""

    stage_seconds: dict[str, float]
    """Stages of the last round [s]."""

    @property
    def ratio(self) -> float:
        """Median over the rounds of serving's time over bare's."""
        pairs = zip(self.serving_seconds, self.bare_seconds, strict=True)
        return median(serving / bare for serving, bare in pairs)


class Recorder:
    """Stands where a network stands and keeps the batches that it is given."""

    def __init__(self) -> None:
        self.batches: list[NDArray[np.float32]] = []

    def __call__(self, patches: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Keep a batch and answer that all is background."""
        self.batches.append(patches)
        return np.zeros((len(patches), N_CLASSES, *patches.shape[2:]), dtype=np.float32)


def phantom_series(n_slices: int) -> InputSeries:
    """Return a phantom as an analysis receives it."""
    return InputSeries(
        label="phantom",
        study_instance_uid=None,
        series_instance_uids=(),
        image=perfusion_phantom(1, PhantomSettings(n_slices=n_slices)).image,
        frames=(),
        header=None,
        input_digest="",
    )


def measure_inference(
    folder: Path, settings: PerfusionSettings, *, n_slices: int, rounds: int
) -> InferenceCost:
    """Time the analysis and the bare networks in turn.

    Parameters
    ----------
    folder
        The bundle.
    settings
        Settings of the analysis.
    n_slices
        Slices of the phantom.
    rounds
        How often; one more comes first and is not counted.
    """
    began = perf_counter()
    bundle = load_bundle(folder)
    pool = open_pool(bundle)
    open_seconds = perf_counter() - began
    series = phantom_series(n_slices)
    sessions = bare_sessions(bundle)
    serving, bare, n_patches = [], [], 0
    for _ in range(rounds + 1):
        began = perf_counter()
        result = analyse(series, pool, settings)
        serving.append(perf_counter() - began)
        seconds, n_patches = time_bare(series, pool, settings, sessions)
        bare.append(seconds)
    return InferenceCost(
        n_slices=n_slices,
        n_members=len(pool.members),
        n_patches=n_patches,
        uncertainty_stride=settings.uncertainty_stride,
        workers=pool.workers,
        open_seconds=open_seconds,
        serving_seconds=tuple(serving[1:]),
        bare_seconds=tuple(bare[1:]),
        stage_seconds=dict(result.stage_seconds),
    )


def bare_sessions(bundle: Bundle) -> list[Session]:
    """Open the pool's members as serving opens them: one thread each."""
    return [open_session(member, threads=1) for member in bundle.members]


def time_bare(
    series: InputSeries, pool: Pool, settings: PerfusionSettings, sessions: Sequence[Session]
) -> tuple[float, int]:
    """Return the time that the networks alone take for a series [s], and the patches each saw."""
    seconds, n_patches = 0.0, 0
    for index in range(series.image.n_slices):
        frames = series.image.array[:, index]
        spacing = series.image.spacing_mm[1:]
        place = likely_places(frames, spacing, pool.locator)[0]
        prepared = prepare_slice(frames, spacing, place, pool.grid)
        recorder = Recorder()
        sweep(prepared.beats, recorder, pool.grid, settings.uncertainty_stride)

        def run(session: Session, batches: Sequence[NDArray[np.float32]]) -> None:
            name_in, name_out = session.get_inputs()[0].name, session.get_outputs()[0].name
            for batch in batches:
                session.run([name_out], {name_in: batch})

        began = perf_counter()
        with ThreadPoolExecutor(pool.workers) as executor:
            list(executor.map(run, sessions, [recorder.batches] * len(sessions)))
        seconds += perf_counter() - began
        n_patches += sum(len(batch) for batch in recorder.batches)
    return seconds, n_patches
