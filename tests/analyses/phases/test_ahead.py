"""Items come in order from a thread of their own, few at a time, and failures where they belong."""

from collections.abc import Iterator
from threading import Thread, current_thread
from threading import enumerate as threads

import pytest

from pipeline.analyses.phases.ahead import ITEMS_AHEAD, ahead
from pipeline.errors import UnreadableFile


def test_items_come_in_order_and_few_are_made_ahead() -> None:
    made: list[Thread] = []

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(current_thread())
            yield number

    found = []
    for item in ahead(items()):
        found.append(item)
        assert len(made) <= len(found) + ITEMS_AHEAD
    assert found == list(range(20))
    assert current_thread() not in made


def test_a_failure_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise UnreadableFile("broken off")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(UnreadableFile, match="broken off"):
        next(found)


def test_nothing_goes_on_after_the_end_is_not_waited_for() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    found = ahead(items())
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert len(made) <= 1 + ITEMS_AHEAD
    assert not [thread for thread in threads() if thread.name.startswith("ahead")]
