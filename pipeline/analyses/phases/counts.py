"""What was counted on labelled operations of a procedure: the bundle's own data.

The filter and the prior are made of these counts alone, so that a new procedure needs labels and no
training.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.anticipation import N_NEXT
from pipeline.errors import BundleRejected


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProcedureCounts:
    """Counts over operations. ``phases`` is their number; the last of one more is the end."""

    n_operations: int
    """Operations that were counted."""

    starts: NDArray[np.float64]
    """Operations that begin with each phase. Shape ``(phases,)``."""

    transitions: NDArray[np.float64]
    """Segments of a phase that another follows. Shape ``(phases, phases + 1)``."""

    durations_seconds: tuple[NDArray[np.float64], ...]
    """Durations of the segments of each phase, ascending [s]."""

    following: NDArray[np.float64]
    """How often the k-th segment after one of a phase was of another. Shape ``(phases, N_NEXT,
    phases + 1)``."""

    following_seconds: NDArray[np.float64]
    """Median duration of the k-th segment after one of a phase [s]. Shape ``(phases, N_NEXT)``."""

    after_seconds: NDArray[np.float64]
    """Median time from the end of a segment of a phase to the end of the operation [s]. Shape
    ``(phases,)``."""

    def to_json(self) -> dict[str, object]:
        """Return the counts as JSON values."""
        return {
            "n_operations": self.n_operations,
            "starts": self.starts.tolist(),
            "transitions": self.transitions.tolist(),
            "durations_seconds": [d.tolist() for d in self.durations_seconds],
            "following": self.following.tolist(),
            "following_seconds": self.following_seconds.tolist(),
            "after_seconds": self.after_seconds.tolist(),
        }

    @classmethod
    def from_json(cls, values: object, n_phases: int) -> "ProcedureCounts":
        """Read counts from a bundle.

        Raises
        ------
        BundleRejected
            If one is missing, of another shape, negative or no number.
        """
        if not isinstance(values, Mapping):
            raise BundleRejected("metadata.json: counts of a procedure are missing")
        durations = values.get("durations_seconds")
        if not isinstance(durations, list) or len(durations) != n_phases:
            raise BundleRejected(f"metadata.json: durations_seconds is not of {n_phases} phases")
        n, more = n_phases, n_phases + 1
        return cls(
            n_operations=int(_numbers(values, "n_operations", ())),
            starts=_numbers(values, "starts", (n,)),
            transitions=_numbers(values, "transitions", (n, more)),
            durations_seconds=tuple(
                _numbers({"durations_seconds": d}, "durations_seconds", (None,)) for d in durations
            ),
            following=_numbers(values, "following", (n, N_NEXT, more)),
            following_seconds=_numbers(values, "following_seconds", (n, N_NEXT)),
            after_seconds=_numbers(values, "after_seconds", (n,)),
        )


def _numbers(
    values: Mapping[str, object], key: str, shape: tuple[int | None, ...]
) -> NDArray[np.float64]:
    """Return an array of a bundle; an axis of None has any length but none."""
    try:
        array = np.asarray(values.get(key), dtype=np.float64)
    except (TypeError, ValueError):
        raise BundleRejected(f"metadata.json: {key} is not of numbers") from None
    fits = len(array.shape) == len(shape) and all(
        (length == wanted) if wanted is not None else length > 0
        for length, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits or not np.isfinite(array).all() or (array < 0).any():
        raise BundleRejected(f"metadata.json: {key} is {array.shape}, not {shape} of numbers")
    return array
