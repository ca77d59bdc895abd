"""The area of ingest reads the same values in each way, and measures each transfer syntax."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import ingest
from benchmarks.peers import NotInstalled
from benchmarks.row import Missing, Row, Terms


def absent(*_: object) -> float:
    raise NotInstalled("tests install nothing")


@pytest.mark.parametrize("name", list(ingest.SYNTAXES))
def test_ours_and_the_loop_read_what_was_written(tmp_path: Path, name: str) -> None:
    image = ingest.example(Terms(rounds=1, is_small=True, place=tmp_path))
    ingest.written(image, tmp_path / "study", ingest.SYNTAXES[name])
    assert np.array_equal(ingest.our_values(tmp_path / "study"), image.array)
    assert np.array_equal(ingest.plain_values(tmp_path / "study"), image.array)
    assert len(np.unique(image.array, axis=0)) == image.n_beats


def test_each_syntax_has_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for peer in ("by_dicom2nifti", "by_dcm2niix"):
        monkeypatch.setattr(ingest, peer, absent)
    found = list(ingest.measure(Terms(rounds=1, is_small=True, place=tmp_path)))
    assert [one.reason for one in found if isinstance(one, Missing)] == [
        "tests install nothing",
        "tests install nothing",
    ]
    rows = [one for one in found if isinstance(one, Row)]
    assert [row.what.rsplit(", ")[-1] for row in rows] == list(ingest.SYNTAXES)
    assert all(row.ratio > 0 for row in rows)
