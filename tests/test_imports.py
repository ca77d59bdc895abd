"""What a command or an analysis needs is imported in one go."""

import gc
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.imports import in_one_go

NAME = "imported_in_one_go"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the name of a module that nobody has imported."""
    (tmp_path / f"{NAME}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield NAME
    sys.modules.pop(NAME, None)
    gc.unfreeze()


def test_nothing_looks_for_garbage_meanwhile_and_what_is_there_is_left_alone_after(
    module: str,
) -> None:
    before = gc.get_freeze_count()
    with in_one_go():
        assert not gc.isenabled()
        import_module(module)
    assert gc.isenabled()
    assert gc.get_freeze_count() > before


def test_what_a_second_job_holds_is_not_left_alone(module: str) -> None:
    import_module(module)
    before = gc.get_freeze_count()
    with in_one_go():
        assert not gc.isenabled()
        import_module(module)
    assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_an_import_that_fails_leaves_the_collector_as_it_was() -> None:
    try:
        with pytest.raises(ModuleNotFoundError), in_one_go():
            raise ModuleNotFoundError
        assert gc.isenabled()
        gc.disable()
        with in_one_go():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_end_comes_after_what_is_imported(number: signal.Signals, module: str) -> None:
    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    def interrupted() -> None:
        with in_one_go():
            signal.raise_signal(number)
            import_module(module)

    before = signal.signal(number, end)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert module in sys.modules
        assert signal.getsignal(number) is end
        assert gc.isenabled()
    finally:
        signal.signal(number, before)
