"""One reader answers all that is asked about one input, and nothing about another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox.kept import last_reader_of, one_reader, reader_of
from pipeline.sandbox.reader import Reader
from tests.sandbox.test_reader import reader, task


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file."""
    made = tmp_path / "a"
    made.write_bytes(b"content")
    return made


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Reader]]:
    """Return the readers that are made."""
    readers: list[Reader] = []
    begin = Reader.__init__

    def counted(self: Reader, *arguments: object) -> None:
        readers.append(self)
        begin(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "__init__", counted)
    yield readers
    assert all(is_closed(own) for own in readers)


def is_closed(own: Reader) -> bool:
    return own._session.fileno() == -1


def content(path: Path) -> object:
    with reader_of(path, lambda: reader(path)) as own:
        return own.call(task("read"), str(path))


def test_a_second_question_needs_no_second_reader(path: Path, made: list[Reader]) -> None:
    with one_reader():
        assert [content(path), content(path)] == [b"content", b"content"]
    assert len(made) == 1


def test_after_the_last_question_it_is_closed(path: Path, made: list[Reader]) -> None:
    with one_reader():
        content(path)
        with last_reader_of(path, lambda: reader(path)) as own:
            assert own is made[0]
            assert own.call(task("read"), str(path)) == b"content"
        assert is_closed(own)
        content(path)
    assert len(made) == 2


def test_without_it_each_question_has_its_own(path: Path, made: list[Reader]) -> None:
    assert [content(path), content(path)] == [b"content", b"content"]
    assert len(made) == 2


def test_another_file_has_another_reader(path: Path, made: list[Reader]) -> None:
    other = path.with_name("b")
    other.write_bytes(b"other")
    with one_reader():
        assert [content(path), content(other)] == [b"content", b"other"]
        assert is_closed(made[0])
    assert len(made) == 2


def test_what_takes_the_place_of_a_file_is_another(path: Path, made: list[Reader]) -> None:
    new = path.with_name("new")
    new.write_bytes(b"new")
    with one_reader():
        assert content(path) == b"content"
        new.rename(path)
        assert content(path) == b"new"
    assert len(made) == 2


def test_a_reader_that_broke_off_is_not_asked_again(path: Path, made: list[Reader]) -> None:
    with one_reader():
        gone = str(path.with_name("gone"))
        with pytest.raises(FileNotFoundError), reader_of(path, lambda: reader(path)) as own:
            own.call(task("read"), gone)
        assert content(path) == b"content"
    assert len(made) == 2
