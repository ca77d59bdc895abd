"""Each reader on sound inputs, on what once was a finding, and on some hundred that are damaged.

The same inputs every time; the search itself is ``make fuzz``.
"""

import random
from pathlib import Path
from time import process_time

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.target import PLACES, kept, target

SLOWEST_S = 5.0
"""Time of the processor that any input may take [s]; on a machine with other work, a bound."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PLACES)
def test_a_reader_refuses_and_never_stumbles(name: str, tmp_path: Path) -> None:
    fed = target(name)
    (tmp_path / "seeds").mkdir()
    seeds = fed.seeds(tmp_path / "seeds")
    assert seeds
    draws = random.Random(name)
    damaged = [mutated(draws.choice(seeds), draws, fed.longest) for _ in range(fed.n_tried)]
    (tmp_path / "input").mkdir()
    for content in (*seeds, *(path.read_bytes() for path in kept(name)), *damaged):
        began = process_time()
        fed.read(content, tmp_path / "input")
        assert process_time() - began < SLOWEST_S
