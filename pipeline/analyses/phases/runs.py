"""Stretches of equal values in a row of seconds."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[np.int64]
"""Phase of each second, as a column of the procedure. Shape ``(seconds,)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A stretch of one value."""

    value: int
    """The value: a column, or ``NO_PHASE``."""

    start: int
    """Its first second."""

    end: int
    """The second after its last."""


def runs_of(columns: Columns) -> tuple[Run, ...]:
    """Return the stretches of equal values, in order."""
    if not columns.size:
        return ()
    cuts = [0, *(np.flatnonzero(np.diff(columns)) + 1).tolist(), columns.size]
    return tuple(Run(value=int(columns[a]), start=a, end=b) for a, b in pairwise(cuts))
