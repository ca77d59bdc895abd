"""The table tells what was measured, what holds, and what could not be measured."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import areas, peers
from benchmarks.row import Row, in_turn
from benchmarks.table import Section, document, markdown, this_machine


def row(ours: tuple[float, ...], *, aim: float | None = None) -> Row:
    return Row(
        area="ingest", what="a series", against="a loop", ours=ours, theirs=(2.0, 2.0, 2.0), aim=aim
    )


def test_a_ratio_that_holds_is_one_number_and_one_that_does_not_is_a_range() -> None:
    assert row((1.0, 1.05, 1.1)).told() == "0.525"
    assert row((1.0, 2.0, 3.0)).told() == "0.5 to 1.5"


@pytest.mark.parametrize(
    ("aim", "told"), [(0.5, "| 0.5 | reached |"), (0.4, "| 0.4 | **missed** |"), (None, "|  |  |")]
)
def test_the_table_tells_whether_an_aim_is_reached(aim: float | None, told: str) -> None:
    section = Section(area="ingest", seconds=1.0, rows=(row((1.0, 1.0, 1.0), aim=aim),))
    assert told in markdown(this_machine(), [section])


def test_what_was_not_measured_is_named_with_its_reason() -> None:
    failed = Section(area="life", seconds=1.0, rows=(), failure="no such peer")
    assert "- life: no such peer" in markdown(this_machine(), [failed])


def test_the_document_keeps_what_each_round_took() -> None:
    section = Section(area="ingest", seconds=1.0, rows=(row((1.0, 1.2, 1.1)),))
    told = json.loads(document(this_machine(), [section]))
    assert told["areas"][0]["rows"][0]["ours"] == [1.0, 1.2, 1.1]
    assert told["areas"][0]["rows"][0]["ratio"] == pytest.approx(0.55)
    assert told["machine"]["versions"]["Python"]


def test_the_first_pair_is_not_counted_and_the_others_are_in_turn() -> None:
    order: list[str] = []

    def took(name: str) -> float:
        order.append(name)
        return float(len(order))

    ours, theirs = in_turn(2, lambda: took("ours"), lambda: took("theirs"))
    assert order == ["ours", "theirs"] * 3
    assert (ours, theirs) == ((3.0, 5.0), (4.0, 6.0))


def test_an_area_that_breaks_off_keeps_the_rows_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaks.py").write_text(
        "from benchmarks.row import Missing, Row\n"
        "def measure(terms):\n"
        "    yield Missing(against='c', reason='no such package')\n"
        "    yield Row(area='breaks', what='a', against='b', ours=(1.0,), theirs=(2.0,))\n"
        "    raise ValueError('the peer is gone')\n"
    )
    (tmp_path / "sitecustomize.py").write_text(
        "from benchmarks.areas import AREAS\nAREAS['breaks'] = 'breaks'\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(areas.__file__).parents[1]}")
    section = command.measured("breaks", 1, is_small=True)
    assert [row.ratio for row in section.rows] == [0.5]
    assert section.failure == "c: no such package; ValueError: the peer is gone"


def test_a_peer_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SCRIPTS", tmp_path)
    (tmp_path / "peer.py").write_text("import sys\nsys.exit('no such codec')\n")
    with pytest.raises(peers.NotInstalled, match=r"peer\.py: no such codec"):
        peers.ask(Path(sys.executable), "peer.py")
    (tmp_path / "peer.py").write_text(
        "import json, sys\nprint('x')\nprint(json.dumps(sys.argv[1:]))\n"
    )
    assert peers.ask(Path(sys.executable), "peer.py", 3) == ["3"]


def test_a_package_that_does_not_exist_is_no_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    monkeypatch.setitem(peers.PINNED, "none", ("/no/such/package",))
    with pytest.raises(peers.NotInstalled, match="/no/such/package"):
        peers.python_of("none")
