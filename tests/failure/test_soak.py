"""The service over time: it does its work, and its memory does not grow."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.service import Service, nurseries, working
from tests.support.tally import write_volumes

pytestmark = pytest.mark.service

SECONDS = float(os.environ.get("SOAK_SECONDS", "30"))
"""For how long it runs [s]."""

WARM_UP_JOBS = 20
"""Jobs after which a process has opened all that it keeps."""

GROWTH_MIB = 24.0
"""A process that has grown by more has a leak: allocators alone give and take a few MiB."""


def resident_mib(process: psutil.Process) -> float:
    """Return the memory of a process [MiB]."""
    return float(process.memory_info().rss / 2**20)


def test_memory_does_not_grow(make_service: Callable[..., Service], tmp_path: Path) -> None:
    service = make_service()
    dispatcher = psutil.Process(service.dispatcher().pid)
    worker = service.worker()
    done = 0
    service.submit(*write_volumes(tmp_path / "in", WARM_UP_JOBS))
    service.wait_for(WARM_UP_JOBS, 120)
    (child,) = working(worker)
    (nursery,) = nurseries(worker)
    watched = {
        "worker": psutil.Process(worker.pid),
        "its process": child,
        "its nursery": nursery,
        "dispatcher": dispatcher,
    }
    before = {name: resident_mib(process) for name, process in watched.items()}
    done, until = WARM_UP_JOBS, time.monotonic() + SECONDS
    while time.monotonic() < until:
        service.submit(*write_volumes(tmp_path / "in", 20, first=done, steps=5000))
        done += 20
        service.wait_for(done, 120)
    assert [process.pid for process in working(worker)] == [child.pid], service.told()
    after = {name: resident_mib(process) for name, process in watched.items()}
    service.check_whole(done)
    for name, mib in before.items():
        print(
            f"\n{name}: {mib:.0f} MiB at the start, {after[name]:.0f} MiB after {done} jobs", end=""
        )
        assert after[name] < mib + GROWTH_MIB
