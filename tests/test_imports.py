"""What a command needs is imported in one go."""

import gc

import pytest

from pipeline.imports import in_one_go


def test_nothing_looks_for_garbage_meanwhile_and_what_is_there_is_left_alone_after() -> None:
    before = gc.get_freeze_count()
    try:
        with in_one_go():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


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
        gc.unfreeze()
