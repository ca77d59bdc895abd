"""Results appear whole, beside what is there, one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UnusableCall
from pipeline.locks import locked, locked_if_free
from pipeline.outputs import OutputFolder, copy_artifacts, what_is_wrong
from tests.support.jobs import artifact
from tests.support.runs import files_of


@pytest.fixture
def output(tmp_path: Path) -> OutputFolder:
    return OutputFolder.open(tmp_path / "deep" / "out")


def published(output: OutputFolder, content: str) -> Path:
    """Publish a folder with a file in a folder of its own."""
    with output.working() as files:
        (files / "inner").mkdir()
        (files / "inner" / "a.txt").write_text(content)
        return output.publish(files, "job")


def test_a_new_folder_appears_with_all_its_files(output: OutputFolder) -> None:
    assert published(output, "one") == output.root / "job"
    assert set(files_of(output.root)) == {".vesalius.lock", "job/inner/a.txt"}


def test_files_that_are_there_are_replaced_and_others_stay(output: OutputFolder) -> None:
    target = published(output, "one")
    (target / "remark.txt").write_text("somebody's own")
    published(output, "two")
    assert (target / "inner" / "a.txt").read_text() == "two"
    assert (target / "remark.txt").read_text() == "somebody's own"
    assert not list(output.root.glob(".unfinished-*"))


def test_work_that_fails_leaves_nothing(output: OutputFolder) -> None:
    def fail() -> None:
        with output.working() as files:
            (files / "half.dcm").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert set(files_of(output.root)) == {".vesalius.lock"}


def test_a_turn_is_held_against_other_processes(output: OutputFolder) -> None:
    program = (
        "import sys; from pathlib import Path; from pipeline.locks import locked_if_free\n"
        "with locked_if_free(Path(sys.argv[1])) as free: print(free)"
    )
    call = [sys.executable, "-c", program, str(output.root / ".vesalius.lock")]
    with output.turn():
        assert subprocess.run(call, capture_output=True, check=True).stdout == b"False\n"
    assert subprocess.run(call, capture_output=True, check=True).stdout == b"True\n"


def test_a_lock_is_free_once_it_is_released(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), locked_if_free(tmp_path / "lock") as free:
        assert not free
    with locked_if_free(tmp_path / "lock") as free:
        assert free


def test_artifacts_are_whole_or_the_first_that_is_not_is_named(tmp_path: Path) -> None:
    artifacts = (artifact("a/one.dcm"), artifact("a/two.dcm"))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.dcm").write_bytes(b"content")
    assert what_is_wrong(tmp_path, artifacts) == "a/two.dcm is missing"
    (tmp_path / "a" / "two.dcm").write_bytes(b"other content")
    assert what_is_wrong(tmp_path, artifacts) == "a/two.dcm is altered"
    (tmp_path / "a" / "two.dcm").unlink()
    (tmp_path / "a" / "two.dcm").mkdir()
    assert what_is_wrong(tmp_path, artifacts) == "a/two.dcm cannot be read (Is a directory)"
    (tmp_path / "a" / "two.dcm").rmdir()
    (tmp_path / "a" / "two.dcm").write_bytes(b"content")
    assert what_is_wrong(tmp_path, artifacts) is None


def test_copies_are_whole(tmp_path: Path) -> None:
    (tmp_path / "from" / "a").mkdir(parents=True)
    (tmp_path / "from" / "a" / "one.dcm").write_bytes(b"content")
    copy_artifacts(tmp_path / "from", (artifact("a/one.dcm"),), tmp_path / "to")
    assert what_is_wrong(tmp_path / "to", (artifact("a/one.dcm"),)) is None


def test_a_folder_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnusableCall, match=r"cannot be written \(Not a directory\)"):
        OutputFolder.open(tmp_path / "file" / "out")
