"""Serving is measured beside the very runs of the networks that it makes."""

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.row import Terms
from benchmarks.serving import measure
from benchmarks.tape import Feed, Tape, kept_runs
from benchmarks.whole import Whole, perfusion_input
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.config import Configuration
from pipeline.infer.session import Session
from pipeline.infer.terms import Compute


class Counted:
    """Counts what a session is asked for."""

    def __init__(self, session: Session, asked: list[tuple[int, ...]]) -> None:
        self.session, self.asked = session, asked
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs
        self.get_providers = session.get_providers

    def run(
        self, output_names: object, feed: Feed, run_options: object = None
    ) -> list[NDArray[np.float32]]:
        self.asked.extend(array.shape for array in feed.values())
        return self.session.run(list(output_names), feed, run_options)  # type: ignore[call-overload]


def test_bare_asks_for_the_same_as_the_analysis(tmp_path: Path) -> None:
    given = perfusion_input(tmp_path, n_slices=1, n_beats=24)
    configuration = Configuration(perfusion=PerfusionSettings(uncertainty_stride=8))
    with Whole(given, tmp_path, configuration, Compute(threads=1)) as whole:
        with kept_runs() as tape:
            whole.once()
        asked: list[tuple[int, ...]] = []
        tape.sessions[:] = [Counted(session, asked) for session in tape.sessions]
        assert tape.replay() == len(tape.runs) > 6
        of_serving = [shape for (_, shapes), _ in tape.runs for shape in shapes]
        assert sorted(asked) == sorted(of_serving)
        n_runs = len(tape.runs)
        whole.once()
        assert len(tape.runs) == n_runs, "runs are kept only while they are asked for"


def test_as_many_callers_run_as_ever_ran_at_once() -> None:
    tape, gate = Tape(is_on=True), threading.Barrier(2, timeout=30)

    class Meeting:
        def run(self, *_: object) -> list[NDArray[np.float32]]:
            gate.wait()
            return []

    tape.sessions.append(Meeting())  # type: ignore[arg-type]
    feed = {"x": np.zeros((1, 2), np.float32)}
    tape.begin(0, ("y",), feed)
    tape.begin(0, ("y",), feed)
    tape.end()
    tape.end()
    assert tape.at_once == 2
    assert tape.replay() == 2


@pytest.mark.timeout(600)
def test_every_analysis_has_its_rows_and_tells_its_stages(tmp_path: Path) -> None:
    rows = list(measure(Terms(rounds=1, is_small=True, place=tmp_path)))
    assert [row.what.split(":")[0] for row in rows] == [
        *("perfusion", "perfusion", "reconstruction", "reconstruction", "phases", "phases")
    ]
    assert all(
        0 < bare < ours for row in rows for ours, bare in zip(row.ours, row.theirs, strict=True)
    )
    for row, stage in zip(rows[::2], ("infer", "uncertainty", "analyse"), strict=True):
        assert f"{stage} " in row.note
    for alone, command in zip(rows[::2], rows[1::2], strict=True):
        assert alone.against == command.against
        assert command.ours[0] > alone.ours[0]
