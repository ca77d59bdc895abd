"""Put the images of a dual sequence, which sample the arterial input, beside their series.

The series has a frame of them for each of its beats, on one clock with its own. Frames that are
left, such as one more at the end, are dropped. Where beats and frames cannot be told to belong
together, there is a reason, and the series goes on without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries
from pipeline.ingest.attributes import tag_text
from pipeline.ingest.beats import MISALIGNED, order_beats
from pipeline.ingest.frame import Frame
from pipeline.ingest.slices import grid_affine, slices_of
from pipeline.ingest.timekeys import seconds_key, values

DELAY_SHARES = (0.5, 0.1, 0.9)
"""Quantiles of the time from a beat to the nearest frame that are tried as the usual one: where it
is half a beat, the nearest frame is now of this beat and now of the next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArterialFrames:
    """Images that sample the arterial input of a series, their pixels still on disk."""

    slices: tuple[tuple[Frame, ...], ...]
    """Frames, indexed ``[slice][beat]``, a frame for each beat of the series."""

    affine: NDArray[np.float64]
    """Maps ``(slice, row, column, 1)`` to ``(x, y, z, 1)`` [mm], LPS+. Shape ``(4, 4)``."""

    times_s: NDArray[np.float64]
    """Time since the first frame of the series [s]. Shape ``(beats, slices)``."""

    @property
    def frames(self) -> list[Frame]:
        """All frames."""
        return [frame for members in self.slices for frame in members]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Beats, slices, rows, columns."""
        first = self.slices[0][0]
        return len(self.slices[0]), len(self.slices), first.rows, first.columns


def arterial_frames(
    frames: Sequence[Frame], main: Sequence[Sequence[Frame]]
) -> ArterialFrames | str:
    """Return images of the arterial input, one for each beat of a series, or why they are none.

    Parameters
    ----------
    frames
        The images, in any order.
    main
        The frames of the series, indexed ``[slice][beat]``.
    """
    try:
        found = slices_of(frames)
        ordered, affine = order_beats(found).slices, grid_affine(found)
    except InconsistentSeries as error:
        return str(error)
    key = seconds_key(main)
    if key is None:
        return "the beats of the series are only counted"
    # All at once, so that midnight falls between the same frames of both.
    together = values([frame for members in (*main, *ordered) for frame in members], key)
    if together is None:
        return f"they state no {tag_text(key.keyword)}"
    n_own = len(main) * len(main[0])
    own = np.reshape(together[:n_own], (len(main), -1)).T
    times = np.reshape(together[n_own:], (len(ordered), -1)).T
    at = _matched(own.mean(axis=1), times.mean(axis=1))
    if at is None:
        return f"by their times, {len(times)} of them are not one for each of {len(own)} beats"
    return ArterialFrames(
        slices=tuple(tuple(members[i] for i in at) for members in ordered),
        affine=affine,
        times_s=times[at] - own.min(),
    )


def _matched(beats_s: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.intp] | None:
    """Return which frame belongs to each beat; None where one has none.

    Parameters
    ----------
    beats_s
        Time of each beat [s]. Shape ``(beats,)``.
    times_s
        Time of each frame [s]. Shape ``(frames,)``.
    """
    if len(beats_s) < 2 or len(times_s) < len(beats_s):
        return None
    step = float(np.median(np.diff(beats_s)))
    nearest = times_s[np.abs(times_s[:, None] - beats_s).argmin(axis=0)] - beats_s
    for share in DELAY_SHARES:
        expected = beats_s + np.quantile(nearest, share)
        found: NDArray[np.intp] = np.abs(times_s[:, None] - expected).argmin(axis=0)
        off = np.abs(times_s[found] - expected)
        if (np.diff(found) > 0).all() and off.max() <= MISALIGNED * step:
            return found
    return None
