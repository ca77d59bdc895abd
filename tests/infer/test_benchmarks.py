"""The benchmarks time the same work on both sides of their ratio."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.command import timed
from benchmarks.inference import bare_sessions, time_bare
from benchmarks.inputs import phantom_series
from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.pool import Network
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.infer.bundle import load_bundle

SETTINGS = PerfusionSettings(uncertainty_stride=8, flag_u_pp=1.0)
"""A pool of tests is sure of nothing: the heart is not looked for elsewhere, too."""


class Counter:
    """Counts the patches that pass through a network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.n_patches = 0

    def __call__(self, patches: NDArray[np.float32], /) -> NDArray[np.float32]:
        self.n_patches += len(patches)
        return self.network(patches)


def test_bare_runs_as_many_patches_as_serving(sound_bundle: Path) -> None:
    bundle = load_bundle(sound_bundle)
    pool = open_pool(bundle)
    counters = tuple(Counter(member) for member in pool.members)
    series = phantom_series(1)
    analyse(series, replace(pool, members=counters), SETTINGS)
    _, n_patches = time_bare(series, pool, SETTINGS, bare_sessions(bundle))
    assert [counter.n_patches for counter in counters] == [n_patches] * len(counters)


def test_the_peak_of_a_command_is_its_own() -> None:
    program = "import time; hoard = bytearray({} * 2**20); time.sleep(0.4)"
    small, large = (timed([sys.executable, "-c", program.format(size)]) for size in (1, 150))
    assert 0.4 < small[0] < 30
    assert small[1] < 60
    assert 150 < large[1] < 210


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        timed([sys.executable, "-c", "raise SystemExit(3)"])
