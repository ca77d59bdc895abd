"""An operation of hours takes no more memory than one of minutes."""

import subprocess
import sys

SCRIPT = """
import numpy as np
import psutil
from pipeline.analyses.phases.analysis import analyse
from pipeline.analyses.phases.networks import open_phases
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.imaging.timedframe import TimedFrame
from pipeline.infer.bundle import find_bundle, load_bundle

tissue = np.random.default_rng(0).integers(40, 200, (96, 160, 3), dtype=np.uint8)
resident = {}

def pictures():
    for second in range(501):
        if second in (100, 500):
            resident[second] = psutil.Process().memory_info().rss
        yield TimedFrame(t_seconds=float(second), rgb=np.roll(tissue, second, axis=1))

networks = open_phases(load_bundle(find_bundle("phases")), "cholecystectomy")
assert analyse(pictures(), networks, PhasesSettings()).t_seconds.size == 501
print((resident[500] - resident[100]) >> 20)
"""
"""Prints what 400 pictures have added to what is resident [MiB]."""


def test_the_networks_that_ship_leave_no_memory_behind_a_picture() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) < 40
