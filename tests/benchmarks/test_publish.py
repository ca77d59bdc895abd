"""What was measured is published as it was measured, misses and gaps included."""

from pathlib import Path

import pytest

from benchmarks.publish import BEGIN, END, NotPublished, agree, publish_one, publish_two, read_run
from benchmarks.row import Row
from benchmarks.table import Section, document, this_machine


def row(what: str, ratio: float, *, aim: float | None = 1.1) -> Row:
    ours = (ratio, ratio, ratio)
    return Row(area="a", what=what, against="b", ours=ours, theirs=(1.0, 1.0, 1.0), aim=aim)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    return tmp_path


def kept(place: Path, *rows: Row, failure: str = "") -> Path:
    section = Section(area="a", seconds=1.0, rows=rows, failure=failure)
    place.write_text(document(this_machine(), [section]))
    return place


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = row("x", 1.05)
    assert read_run(kept(tmp_path / "run.json", one))[1][0].rows == (one,)


def test_the_readme_tells_aims_misses_and_gaps_and_keeps_all_else(root: Path) -> None:
    rows = (row("good", 1.0), row("bad", 1.5), row("aimless", 1.0, aim=None))
    run = kept(root / "run.json", *rows, failure="no peer")
    publish_one(root, run)
    publish_one(root, run)
    text = (root / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "| good | b | 1 | 1.1 | reached |" in text
    assert "| bad | b | 1.5 | 1.1 | **missed** |" in text
    assert "aimless" not in text
    assert "old" not in text
    assert "Not everything could be measured in a: " in text
    assert this_machine().processor in text
    assert text.count("| good |") == 1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(1.0, 1.09, True), (2.0, 2.1, True), (2.0, 2.5, False), (1.08, 1.12, False)],
)
def test_ratios_agree_if_they_are_near_and_on_one_side_of_the_aim(
    first: float, second: float, expected: bool
) -> None:
    assert agree(row("x", first), row("x", second)) is expected


def test_two_runs_stand_side_by_side_and_are_kept(root: Path) -> None:
    first = kept(root / "1.json", row("x", 1.0), row("only first", 1.0))
    second = kept(root / "2.json", row("x", 1.3), row("only second", 0.5), failure="no peer")
    (root / "plot.png").write_bytes(b"plot")
    publish_two(root, [first, second], root / "plot.png")
    table = (root / "docs" / "bench" / "table.md").read_text()
    assert "| a | x | b | 1 | 1.3 | no | 1.1 | **missed** |" in table
    assert "| a | only first | b | 1 | - |" in table
    assert "| a | only second | b | - | 0.5 |" in table
    assert "- a: no peer" in table
    runs = root / "docs" / "bench" / "runs"
    assert (runs / "run2.json").read_bytes() == second.read_bytes()
    assert (runs / "plot.png").read_bytes() == b"plot"


def test_without_a_place_or_a_run_nothing_is_published(root: Path) -> None:
    with pytest.raises(NotPublished, match="no such run"):
        publish_one(root, root / "none.json")
    (root / "README.md").write_text("no marks")
    with pytest.raises(NotPublished, match="are missing"):
        publish_one(root, kept(root / "run.json", row("x", 1.0)))
    assert (root / "README.md").read_text() == "no marks"
