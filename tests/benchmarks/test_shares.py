"""A stage that takes another share of the whole than it did is told, and noise is not."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import shares
from benchmarks.shares import KEPT, Shares, moved, of_whole
from benchmarks.whole import phases_input
from pipeline.encode.phases import encode_phases
from pipeline.study import Artifact


@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        (0.4, 0.61, True),
        (0.4, 0.59, False),
        (0.4, 0.19, True),
        (0.4, 0.0, True),
        (0.0, 0.16, True),
        (0.09, 0.11, False),
        (0.01, 0.06, False),
    ],
)
def test_a_share_has_moved_if_it_is_off_by_more_than_half(
    before: float, after: float, is_told: bool
) -> None:
    told = list(moved({"a": {"encode": before}}, {"a": {"encode": after}}))
    assert bool(told) is is_told
    assert all("a: encode held" in line and f"{after:.0%}" in line for line in told)


def test_the_kept_shares_are_of_all_three_analyses_and_add_up() -> None:
    kept: Shares = json.loads(KEPT.read_text())
    assert set(kept) == {"perfusion", "reconstruction", "phases"}
    # Medians of each stage do not add up to the median of the whole.
    assert all(0.9 < sum(stages.values()) < 1.1 for stages in kept.values())


def test_a_stage_that_is_slowed_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = phases_input(tmp_path, n_scenes=2)
    monkeypatch.setattr(shares, "RUNS", 1)
    monkeypatch.setattr(shares, "KEPT", tmp_path / "shares.json")
    # One run on a busy machine is no measure: what it is held to is written down.
    found = {"phases": {"analyse": 0.7, "encode": 0.3}}
    monkeypatch.setattr(shares, "measured", lambda: found)
    monkeypatch.setattr("sys.argv", ["shares", "--write"])
    shares.main()
    monkeypatch.setattr("sys.argv", ["shares"])
    with pytest.raises(SystemExit) as ended:
        shares.main()
    assert ended.value.code == 0

    def slowed(*args: Any) -> tuple[Artifact, ...]:
        began = time.perf_counter()
        artifacts = encode_phases(*args)
        time.sleep(10.0 * (time.perf_counter() - began))
        return artifacts

    monkeypatch.setattr("pipeline.encode.phases.encode_phases", slowed)
    found = {"phases": of_whole(given, tmp_path / "slowed")}
    with pytest.raises(SystemExit) as ended:
        shares.main()
    assert ended.value.code == 1
    assert "phases: encode held" in capsys.readouterr().out
