"""What perfusion asks of its networks, and how long they take for it by themselves.

Bare is what no serving can avoid: ``session.run`` on the patches, batched as serving batches them,
as many members at a time as serving runs.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import prepared_slice
from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.pool import sweep
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.infer.bundle import Bundle
from pipeline.infer.session import Session, open_session
from pipeline.study import InputSeries

N_CLASSES = 3


class Recorder:
    """Stands where a network stands and keeps the batches that it is given."""

    def __init__(self) -> None:
        self.batches: list[NDArray[np.float32]] = []

    def __call__(self, patches: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Keep a batch and answer that all is background."""
        self.batches.append(patches)
        return np.zeros((len(patches), N_CLASSES, *patches.shape[2:]), dtype=np.float32)


def bare_sessions(bundle: Bundle) -> list[Session]:
    """Open the pool's members as serving opens them: one thread each."""
    return [open_session(member, threads=1) for member in bundle.members]


def time_bare(
    series: InputSeries, pool: Pool, settings: PerfusionSettings, sessions: Sequence[Session]
) -> tuple[float, int]:
    """Return the time that the networks alone take for a series [s], and the patches each saw."""
    seconds, n_patches = 0.0, 0
    for index in range(series.image.n_slices):
        prepared = prepared_slice(series.image, index, pool)
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
