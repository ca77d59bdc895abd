"""One step for video and stream: the same bits, no look ahead, and a state that can be saved."""

import dataclasses
import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.analyses.phases.analysis import analyse
from pipeline.analyses.phases.networks import PhaseNetworks
from pipeline.analyses.phases.result import MARKS, Mark, PhasesResult, StepResult
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.analyses.phases.stepper import PhaseStepper
from pipeline.errors import UnusableCall
from pipeline.imaging.timedframe import TimedFrame
from tests.support.phases import open_tiny, tissue, video

SECONDS = 45


def all_steps(stepper: PhaseStepper, frames: list[TimedFrame]) -> list[StepResult]:
    """Return what a stepper gives for frames."""
    return list(chain.from_iterable(stepper.push(frame) for frame in frames))


def assert_same(one: StepResult, other: StepResult) -> None:
    """Fail unless two seconds are the same to the last bit."""
    assert (one.index, one.t_seconds, one.mark, one.phase) == (
        other.index,
        other.t_seconds,
        other.mark,
        other.phase,
    )
    assert one.raw.tobytes() == other.raw.tobytes()
    assert one.filtered.tobytes() == other.filtered.tobytes()
    assert one.uncertainty == other.uncertainty
    assert one.anticipation == other.anticipation


@pytest.fixture(scope="module")
def frames() -> list[TimedFrame]:
    return list(video(SECONDS, missing=(7, 8, 9, 30), black=(15, 16)))


@pytest.fixture(scope="module")
def whole(networks: PhaseNetworks, frames: list[TimedFrame]) -> PhasesResult:
    return analyse(frames, networks, PhasesSettings())


def test_streaming_gives_the_bits_of_the_recorded_video(
    networks: PhaseNetworks, frames: list[TimedFrame], whole: PhasesResult
) -> None:
    steps = all_steps(PhaseStepper(networks), frames)
    assert [s.index for s in steps] == list(range(SECONDS))
    assert np.stack([s.raw for s in steps]).tobytes() == whole.raw.tobytes()
    assert np.stack([s.filtered for s in steps]).tobytes() == whole.filtered.tobytes()
    assert [s.mark for s in steps] == [MARKS[m] for m in whole.mark]
    for step in steps:
        assert step.anticipation == whole.anticipation_at(step.t_seconds)


def test_nothing_after_a_second_changes_it(
    networks: PhaseNetworks, frames: list[TimedFrame], whole: PhasesResult
) -> None:
    for cut in (1, 5, 20, 33):
        part = analyse(frames[:cut], networks, PhasesSettings())
        n = part.t_seconds.size
        assert part.filtered.tobytes() == whole.filtered[:n].tobytes()
        assert part.phase.tobytes() == whole.phase[:n].tobytes()
        assert part.learned is not None
        assert whole.learned is not None
        for field in dataclasses.fields(part.learned):
            ours, all_of_it = (getattr(r.learned, field.name) for r in (part, whole))
            assert ours.tobytes() == all_of_it[:n].tobytes()


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.sets(st.integers(1, 38), max_size=4))
def test_a_saved_and_restored_state_goes_on_as_if_nothing_happened(
    networks: PhaseNetworks, frames: list[TimedFrame], cuts: set[int]
) -> None:
    uninterrupted = all_steps(PhaseStepper(networks), frames)
    found: list[StepResult] = []
    stepper = PhaseStepper(networks)
    for number, frame in enumerate(frames):
        if number in cuts:
            saved = stepper.state()
            stepper = PhaseStepper(networks)
            stepper.restore(saved)
        found += stepper.push(frame)
    assert len(found) == len(uninterrupted)
    for one, other in zip(found, uninterrupted, strict=True):
        assert_same(one, other)


def test_the_state_has_a_fixed_size(networks: PhaseNetworks, frames: list[TimedFrame]) -> None:
    stepper = PhaseStepper(networks)
    sizes = []
    for frame in frames:
        stepper.push(frame)
        sizes.append(len(stepper.state()))
    assert max(sizes) - min(sizes) < 32
    assert max(sizes) < 10_000


def test_seconds_without_a_picture_show_no_phase_and_are_told(whole: PhasesResult) -> None:
    missing, black = MARKS.index(Mark.MISSING), MARKS.index(Mark.BLACK)
    assert np.flatnonzero(whole.mark == missing).tolist() == [7, 8, 9, 30]
    assert np.flatnonzero(whole.mark == black).tolist() == [15, 16]
    hidden = whole.mark != MARKS.index(Mark.USABLE)
    assert (whole.phase[hidden] == -1).all()
    assert (whole.phase[~hidden] >= 0).all()
    assert np.isnan(whole.raw[hidden]).all()
    assert np.isfinite(whole.filtered).all()
    assert any("4 s of 45 s are missing" in note for note in whole.notes)


def test_more_pictures_than_seconds_change_nothing(
    networks: PhaseNetworks, frames: list[TimedFrame], whole: PhasesResult
) -> None:
    extra = [
        TimedFrame(t_seconds=f.t_seconds + shift, rgb=f.rgb if shift == 0 else tissue(999))
        for f in frames
        for shift in (0.0, 0.2, 0.4)
    ]
    found = analyse(extra, networks, PhasesSettings())
    assert found.filtered.tobytes() == whole.filtered.tobytes()


def test_pictures_out_of_order_are_refused(networks: PhaseNetworks) -> None:
    stepper = PhaseStepper(networks)
    stepper.push(TimedFrame(t_seconds=3.0, rgb=tissue(1)))
    with pytest.raises(UnusableCall, match=r"a picture at 2\.000 s after one at 3\.000 s"):
        stepper.push(TimedFrame(t_seconds=2.0, rgb=tissue(2)))
    assert stepper.next_index == 4


def test_a_state_of_something_else_is_refused(networks: PhaseNetworks, tiny_phases: Path) -> None:
    stepper = PhaseStepper(networks)
    stepper.push(TimedFrame(t_seconds=0.0, rgb=tissue(1)))
    saved = stepper.state()
    other = PhaseStepper(dataclasses.replace(networks, bundle_digest="0" * 64))
    with pytest.raises(UnusableCall, match="its bundle is another"):
        other.restore(saved)
    bypass = PhaseStepper(open_tiny(tiny_phases, "gastric_bypass"))
    with pytest.raises(UnusableCall, match="its procedure is another"):
        bypass.restore(saved)
    for damaged in (b"", b"nothing", saved[: len(saved) // 2], json.dumps({}).encode()):
        with pytest.raises(UnusableCall, match="damaged"):
            stepper.restore(damaged)


def test_a_procedure_without_networks_has_counts_and_no_guess(tiny_phases: Path) -> None:
    bypass = open_tiny(tiny_phases, "gastric_bypass")
    result = analyse(video(5), bypass, PhasesSettings(procedure="gastric_bypass"))
    assert result.learned is None
    assert np.isnan(result.raw).all()
    assert result.anticipation_at(3.0).learned == ()
    assert result.anticipation_at(3.0).prior[0].phase == "gastric_pouch_creation"
