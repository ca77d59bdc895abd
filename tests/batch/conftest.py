"""Desks for batch runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.batches import Desk
from tests.support.tally import write_tally_bundle


@pytest.fixture(scope="session")
def tally_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models that holds the bundle of ``tally``."""
    return write_tally_bundle(tmp_path_factory.mktemp("tally"))


@pytest.fixture
def make_desk(tmp_path: Path, tally_models: Path) -> Iterator[Callable[..., Desk]]:
    """Return what makes a desk with settings; its processes are ended with the test."""
    made: list[Desk] = []

    def make(settings: str = "", models: Path | None = None) -> Desk:
        desk = Desk(folder=tmp_path, models=models or tally_models, settings=settings)
        made.append(desk)
        return desk

    yield make
    for desk in made:
        desk.stop()
