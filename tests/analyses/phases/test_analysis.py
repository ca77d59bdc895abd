"""Segments, features that are kept, anticipation in words, and videos at the edge."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.analyses.phases.analysis import analyse
from pipeline.analyses.phases.anticipation import Forecast, anticipated
from pipeline.analyses.phases.networks import PhaseNetworks, open_phases
from pipeline.analyses.phases.ontology import END, load_procedure
from pipeline.analyses.phases.segments import segments_of
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.errors import AnalysisFailed, BundleRejected, UnusableCall
from pipeline.imaging.timedframe import TimedFrame
from pipeline.infer.bundle import load_bundle
from tests.support.phases import tissue, video


def test_segments_are_stretches_of_a_phase_and_span_a_short_gap() -> None:
    procedure = load_procedure("cholecystectomy")
    phase = np.array([0, 0, -1, -1, 0, 1, 1, -1, -1, -1, 1, -1, 2], dtype=np.int16)
    filtered = np.full((phase.size, 7), 0.1, dtype=np.float32)
    filtered[:, 0] = np.linspace(0, 1.2, phase.size)
    uncertainty = np.linspace(0, 0.12, phase.size, dtype=np.float32)
    found = segments_of(
        procedure, phase, filtered, uncertainty, rate_hz=1.0, longest_gap_seconds=2.0
    )
    told = [(s.phase, s.start_seconds, s.end_seconds, s.unusable_seconds) for s in found]
    assert told == [
        ("preparation", 0, 5, 2),
        ("calot_triangle_dissection", 5, 7, 0),
        ("calot_triangle_dissection", 10, 11, 0),
        ("clipping_cutting", 12, 13, 0),
    ]
    assert found[0].confidence == pytest.approx(np.mean([0, 0.1, 0.4]), abs=1e-6)
    assert found[0].uncertainty == pytest.approx(np.mean([0, 0.01, 0.04]), abs=1e-6)


def test_what_is_expected_is_told_up_to_the_end_of_the_operation() -> None:
    procedure = load_procedure("cholecystectomy")
    following = np.zeros((1, 4, 8), dtype=np.float32)
    for place, column in enumerate((4, 6, 7, 2)):
        following[0, place, column] = 0.8
    forecast = Forecast(
        next_probabilities=following,
        next_durations_seconds=np.array([[60, 30, 0, 0]], dtype=np.float32),
        rest_seconds=np.array([100], dtype=np.float32),
        remaining_seconds=np.array([180], dtype=np.float32),
    )
    told = anticipated(procedure, 12.0, forecast, forecast)
    assert [(s.phase, s.start_in_seconds, s.duration_seconds) for s in told.learned] == [
        ("gallbladder_packaging", 100, 60),
        ("gallbladder_retraction", 160, 30),
        (END, 190, None),
    ]
    assert told.issued_at_seconds == 12
    assert told.remaining_prior_seconds == 180


def test_kept_features_give_the_same_bits_and_nothing_is_decoded(
    networks: PhaseNetworks, tmp_path: Path
) -> None:
    settings = PhasesSettings(features=tmp_path / "kept")
    frames = list(video(20, missing=(4,), black=(9,)))
    first = analyse(frames, networks, settings, input_digest="a" * 64)
    assert len(list((tmp_path / "kept").iterdir())) == 1

    def never() -> Iterator[TimedFrame]:
        raise AssertionError("decoded again")
        yield

    again = analyse(never(), networks, settings, input_digest="a" * 64)
    for name in ("raw", "filtered", "uncertainty", "phase", "mark"):
        assert getattr(again, name).tobytes() == getattr(first, name).tobytes()
    assert again.segments == first.segments
    with pytest.raises(AssertionError, match="decoded again"):
        analyse(never(), networks, settings, input_digest="b" * 64)


def test_damaged_features_are_made_again(networks: PhaseNetworks, tmp_path: Path) -> None:
    settings = PhasesSettings(features=tmp_path)
    first = analyse(video(6), networks, settings, input_digest="a" * 64)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2]):
        kept.write_bytes(damaged)
        again = analyse(video(6), networks, settings, input_digest="a" * 64)
        assert again.filtered.tobytes() == first.filtered.tobytes()
        assert kept.read_bytes() == whole


def test_a_video_of_one_picture_has_one_second_and_none_has_no_result(
    networks: PhaseNetworks,
) -> None:
    result = analyse(video(1), networks, PhasesSettings())
    assert [(s.start_seconds, s.end_seconds) for s in result.segments] == [(0, 1)]
    with pytest.raises(AnalysisFailed, match="no picture"):
        analyse([], networks, PhasesSettings())


def test_progress_is_told_about_every_second(networks: PhaseNetworks) -> None:
    told: list[int] = []
    analyse(video(7, missing=(2, 3)), networks, PhasesSettings(), progress=told.append)
    assert told == list(range(1, 8))


def test_pictures_beside_the_first_of_a_second_are_not_taken(networks: PhaseNetworks) -> None:
    twice = [
        one
        for frame in video(5)
        for one in (
            frame,
            TimedFrame(t_seconds=frame.t_seconds + 0.25, rgb=np.zeros_like(frame.rgb)),
        )
    ]
    once, again = (analyse(frames, networks, PhasesSettings()) for frames in (video(5), twice))
    assert again.filtered.tobytes() == once.filtered.tobytes()
    assert again.mark.tobytes() == once.mark.tobytes()
    with pytest.raises(UnusableCall, match="in order of time"):
        analyse(reversed(twice), networks, PhasesSettings())


def test_uncertainty_is_the_share_of_no_idea(networks: PhaseNetworks) -> None:
    result = analyse(video(30), networks, PhasesSettings())
    entropy = -(result.filtered * np.log(np.maximum(result.filtered, 1e-30))).sum(axis=1)
    np.testing.assert_allclose(result.uncertainty, entropy / np.log(7), atol=1e-4)


def test_a_bundle_of_another_kind_and_an_unknown_procedure_are_refused(
    tiny_phases: Path,
) -> None:
    bundle = load_bundle(tiny_phases)
    with pytest.raises(UnusableCall, match="no procedure 'hernia'"):
        open_phases(bundle, "hernia")
    with pytest.raises(BundleRejected, match="rate_hz is None"):
        open_phases(replace(bundle, settings={}), "cholecystectomy")
    with pytest.raises(BundleRejected, match="procedures is missing"):
        open_phases(
            replace(bundle, settings={**bundle.settings, "procedures": 1}), "gastric_bypass"
        )
    other = {"cholecystectomy": {"phases": ["one"], "version": "1"}}
    for_other = replace(bundle, settings={**bundle.settings, "procedures": other})
    with pytest.raises(BundleRejected, match="cholecystectomy of another version than 1"):
        open_phases(for_other, "cholecystectomy")
    with pytest.raises(UnusableCall, match="does not know gastric_bypass; it knows cholecyst"):
        open_phases(for_other, "gastric_bypass")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"procedure": "hernia"}, "procedure is 'hernia'"),
        ({"review_uncertainty": 1.5}, "review_uncertainty is 1.5"),
        ({"longest_gap_seconds": -1.0}, "longest_gap_seconds is -1"),
    ],
)
def test_settings_that_are_not_possible_are_refused(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(UnusableCall, match=message):
        PhasesSettings(**values)  # type: ignore[arg-type]


def test_where_features_are_kept_changes_no_result() -> None:
    one, other = PhasesSettings(), PhasesSettings(features=Path("kept"))
    assert one.as_dict() == other.as_dict()
    assert one.as_dict() != PhasesSettings(longest_gap_seconds=3.0).as_dict()


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_a_picture_of_another_shape_is_a_defect(rgb: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture of"):
        TimedFrame(t_seconds=0.0, rgb=rgb)
    with pytest.raises(ValueError, match="a picture at nan s"):
        TimedFrame(t_seconds=float("nan"), rgb=tissue(1))
