"""Whether a course of the left ventricle's blood can serve as an arterial input function.

Deconvolution takes the input as the truth: what is cut off at its top, or begins too late, comes
out as a flow that is too high, with a narrow interval. So each fault has its own refusal. Not seen
is a signal that bends gradually as concentration rises: its course has the shape of a real one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_BASELINE = 3
"""Samples before contrast arrives: fewer do not tell where zero is."""

MOST_BASELINE = 8
"""Samples before contrast arrives that are fitted, too."""

ARRIVAL_SHARE = 0.1
"""Share of the peak below which contrast has not arrived."""

HALF, TOP = 0.5, 0.9
"""Shares of the peak at which widths are compared."""

MOST_TOP_RATIO = 0.47
"""Largest ratio of the widths at ``TOP`` and ``HALF``: about 0.4 of a whole peak, 0.55 of one that
is cut off at 80 % of it. ``benchmarks/flow.py`` counts what it refuses, rightly and wrongly."""

MOST_STEP_S = 1.6
"""Longest time from sample to sample [s]: beyond it the peak is not seen well enough."""

LEAST_SAMPLES = 8
"""Samples from the arrival to the end of the first pass."""

FIRST_PASS_S = 20.0
"""Longest time from the peak within which the first pass ends [s]."""

PLAUSIBLE_PEAK = (0.5, 20.0)
"""Peaks of blood [mmol/l]: 5 is usual. Outside, the unit or the region is another one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFunction:
    """An input function that was found sound."""

    times_s: NDArray[np.float64]
    """Time of each sample [s]. Shape ``(beats,)``."""

    blood: NDArray[np.float64]
    """Concentration, or signal, above that before contrast arrives. Shape ``(beats,)``."""

    arrival: int
    """Last sample before contrast arrives, from 0."""

    peak: int
    """Sample of the peak."""

    end: int
    """First sample that is not of the first pass any more."""

    top_ratio: float
    """Its width at ``TOP`` of the peak over that at ``HALF`` of it."""

    @property
    def begin(self) -> int:
        """First sample that is fitted."""
        return max(0, self.arrival - MOST_BASELINE + 1)

    @property
    def step_s(self) -> float:
        """Typical time from sample to sample in the first pass [s]."""
        return float(np.median(np.diff(self.times_s[self.arrival : self.end])))


def input_function(
    times_s: NDArray[np.float64], blood: NDArray[np.float64], *, in_mmol_l: bool
) -> InputFunction | str:
    """Return an input function, or why a course of blood is none.

    Parameters
    ----------
    times_s
        Time of each sample [s], ascending. Shape ``(beats,)``.
    blood
        Mean over the blood pool. Shape ``(beats,)``.
    in_mmol_l
        Whether it is a concentration [mmol/l], whose peak can be told as one of blood.
    """
    n_missing = int((~np.isfinite(blood)).sum())
    if n_missing:
        return f"{n_missing} of {len(blood)} samples of blood have no value"
    peak = int(blood.argmax())
    floor = float(blood[: peak + 1].min())
    below = np.flatnonzero(blood[:peak] <= floor + ARRIVAL_SHARE * (blood[peak] - floor))
    arrival = int(below[-1]) if below.size else -1
    if arrival + 1 < LEAST_BASELINE:
        return (
            f"no baseline: {arrival + 1} samples before contrast arrives in the blood, "
            f"{LEAST_BASELINE} are needed"
        )
    above = blood - blood[max(0, arrival - MOST_BASELINE + 1) : arrival + 1].mean()
    return _why_unfit(times_s, above, (arrival, peak), in_mmol_l=in_mmol_l) or _sound(
        times_s, above, (arrival, peak)
    )


def top_ratio(times_s: NDArray[np.float64], above: NDArray[np.float64], end: int) -> float:
    """Return the width of a first pass at 90 % of its peak over that at half of it.

    A peak has about 0.4 whatever its width; a plateau has more. The outermost crossings count, so
    that noise on a plateau does not end it.

    Parameters
    ----------
    times_s
        Time of each sample [s]. Shape ``(beats,)``.
    above
        Blood above its baseline. Shape ``(beats,)``.
    end
        First sample that is not of the first pass any more.
    """
    times, values = times_s[:end], above[:end]
    largest = float(values.max())
    return _width(times, values, TOP * largest) / _width(times, values, HALF * largest)


def _why_unfit(
    times_s: NDArray[np.float64],
    above: NDArray[np.float64],
    found: tuple[int, int],
    *,
    in_mmol_l: bool,
) -> str | None:
    """Return why a course is no input function, or None."""
    arrival, peak = found
    largest = float(above[peak])
    if above[peak:].min() > HALF * largest:
        return "truncated: the series ends before the blood has fallen to half of its peak"
    end = _first_pass_end(times_s, above, peak)
    longest = float(np.diff(times_s[arrival:end]).max())
    typical = float(np.median(np.diff(times_s[arrival:end])))
    if typical > MOST_STEP_S or longest > 2 * MOST_STEP_S:
        return (
            f"sampled too coarsely: {typical:.2f} s from sample to sample of the first pass, the "
            f"longest {longest:.2f} s; at most {MOST_STEP_S:g} s and {2 * MOST_STEP_S:g} s"
        )
    if end - arrival < LEAST_SAMPLES:
        return f"{end - arrival} samples in the first pass, {LEAST_SAMPLES} are needed"
    ratio = top_ratio(times_s, above, end)
    if ratio > MOST_TOP_RATIO:
        return (
            f"clipped: the blood's peak is flat, its width at 90 % is {ratio:.2f} of that at half, "
            f"at most {MOST_TOP_RATIO:g}"
        )
    if in_mmol_l and not PLAUSIBLE_PEAK[0] <= largest <= PLAUSIBLE_PEAK[1]:
        return (
            f"the blood peaks at {largest:.3g} mmol/l, possible are {PLAUSIBLE_PEAK[0]:g} to "
            f"{PLAUSIBLE_PEAK[1]:g}"
        )
    return None


def _sound(
    times_s: NDArray[np.float64], above: NDArray[np.float64], found: tuple[int, int]
) -> InputFunction:
    """Return a course that was found sound."""
    arrival, peak = found
    end = _first_pass_end(times_s, above, peak)
    return InputFunction(
        times_s=times_s,
        blood=above,
        arrival=arrival,
        peak=peak,
        end=end,
        top_ratio=top_ratio(times_s, above, end),
    )


def _first_pass_end(times_s: NDArray[np.float64], above: NDArray[np.float64], peak: int) -> int:
    """Return the sample after the lowest one between the peak and what comes round again."""
    last = int(np.searchsorted(times_s, times_s[peak] + FIRST_PASS_S, side="right"))
    smooth = np.convolve(np.pad(above, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    return peak + int(smooth[peak:last].argmin()) + 1


def _width(times_s: NDArray[np.float64], values: NDArray[np.float64], level: float) -> float:
    """Return the time between the first and the last crossing of a level [s]."""
    over = np.flatnonzero(values >= level)
    first, last = int(over[0]), int(over[-1])
    start, stop = float(times_s[first]), float(times_s[last])
    if first > 0:
        start = float(
            np.interp(level, values[first - 1 : first + 1], times_s[first - 1 : first + 1])
        )
    if last + 1 < len(values):
        stop = float(np.interp(-level, -values[last : last + 2], times_s[last : last + 2]))
    return max(stop - start, float(np.finfo(np.float64).tiny))
