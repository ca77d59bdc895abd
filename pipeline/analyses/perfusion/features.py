"""What a time-intensity curve tells: baseline, arrival, peak, upslope, area, contrast and noise.

The curves of a slice share one baseline, the beats before contrast reaches the blood of the left
ventricle: what is in no blood is in no wall. Where a series has no such beats, what is measured
above them is not told. Nothing here looks at images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

UPSLOPE_BEATS = 4
"""Beats of the line that is fitted to the steepest rise (three to five are usual)."""

FEWEST_BASELINE = 3
"""Beats before contrast arrives, at least: fewer have no spread to speak of."""

AREA_S = 20.0
"""The area under a curve is taken over this time from the arrival of contrast in the blood [s]: the
first pass at rest, and little of what comes round again."""

SETTLED = 8
"""Rounds in which arrival and baseline settle on each other, at most."""


PEAK_SHARE = 0.95
"""Share of the peak at which it counts as reached: the myocardium stays near its highest value for
many beats, and noise alone decides which of them is the highest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The time before contrast arrives on a slice."""

    n_beats: int
    """The first beats, without the last one before the arrival."""

    arrival_s: float
    """When contrast reaches the blood of the left ventricle [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """What a curve tells; None for what its series does not show.

    Times are in [beat] where those of the series are estimated.
    """

    baseline: float | None
    """Mean before contrast arrives [intensity]."""

    noise: float | None
    """Standard deviation of the curve then [intensity]: of a mean over points, not of a point."""

    arrival_time: float | None
    """When the line of the upslope leaves the baseline [s], since the series began."""

    time_to_peak: float | None
    """From there to the highest beat [s]."""

    peak_enhancement: float | None
    """Highest beat above the baseline [intensity]."""

    upslope: float | None
    """Steepest line through ``UPSLOPE_BEATS`` beats up to the peak [intensity/s]."""

    area: float | None
    """Area above the baseline over ``AREA_S`` from the arrival in the blood [intensity s]."""

    contrast_ratio: float | None
    """Peak enhancement over the baseline [1]."""

    contrast_to_noise: float | None
    """Peak enhancement over the noise [1]."""


def mean_curve(frames: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean intensity under a mask over time; NaN where the mask is empty.

    Parameters
    ----------
    frames
        Shape ``(beats, rows, columns)``.
    mask
        Shape ``(rows, columns)``.

    Returns
    -------
        Shape ``(beats,)``.
    """
    if not mask.any():
        return np.full(len(frames), np.nan)
    curve: NDArray[np.float64] = frames[:, mask].mean(axis=1, dtype=np.float64)
    return curve


def upslope(curve: NDArray[np.float64], times_s: NDArray[np.float64]) -> float:
    """Return the steepest slope of a line through neighbouring beats up to the curve's peak.

    Parameters
    ----------
    curve
        Mean intensity. Shape ``(beats,)``.
    times_s
        Time of each beat [s]. Shape ``(beats,)``.

    Returns
    -------
        Slope [intensity per second]; NaN where the curve is NaN or too short.
    """
    return _steepest(curve, times_s)[0]


def baseline_of(blood: NDArray[np.float64], times_s: NDArray[np.float64]) -> Baseline | None:
    """Return the time before contrast arrives on a slice; None if the series does not show it.

    Arrival is where the line of the upslope leaves the baseline, and the baseline is the mean of
    the beats before it; the last of these is left out, since the curve bends up before the line
    does.

    Parameters
    ----------
    blood
        Mean intensity of the left ventricle's blood. Shape ``(beats,)``.
    times_s
        Time of each beat [s]. Shape ``(beats,)``.
    """
    slope, first = _steepest(blood, times_s)
    if not slope > 0 or first == 0:
        return None
    level, n_beats, arrival = float(np.median(blood[:first])), 0, float(times_s[0])
    for _ in range(SETTLED):
        arrival = _leaves(blood, times_s, level)
        before = max(0, int((times_s < arrival).sum()) - 1)
        if before == n_beats:
            break
        n_beats = before
        level = float(blood[: max(n_beats, 1)].mean())
    if n_beats < FEWEST_BASELINE:
        return None
    return Baseline(n_beats=n_beats, arrival_s=arrival)


def features_of(
    curve: NDArray[np.float64], times_s: NDArray[np.float64], before: Baseline | None
) -> Features:
    """Return what a curve tells.

    Parameters
    ----------
    curve
        Mean intensity. Shape ``(beats,)``.
    times_s
        Time of each beat [s]. Shape ``(beats,)``.
    before
        The time before contrast arrives on its slice; None if the series does not show it.
    """
    slope = upslope(curve, times_s)
    rises = _finite(slope)
    if before is None or rises is None:
        return _only(rises)
    level = float(curve[: before.n_beats].mean())
    noise = float(curve[: before.n_beats].std(ddof=1))
    peak = int(curve.argmax())
    height = float(curve[peak]) - level
    arrival = _leaves(curve, times_s, level) if slope > 0 and height > 0 else np.nan
    reached = int(np.argmax(curve - level >= PEAK_SHARE * height)) if height > 0 else peak
    # A line that leaves the baseline after the peak, or before the series, tells no arrival.
    if not times_s[0] <= arrival <= times_s[peak]:
        arrival = np.nan
    return Features(
        baseline=level,
        noise=noise,
        arrival_time=_finite(arrival),
        time_to_peak=_finite(float(times_s[reached]) - arrival),
        peak_enhancement=height,
        upslope=rises,
        area=_area(curve - level, times_s, before.arrival_s),
        contrast_ratio=height / level if level > 0 else None,
        contrast_to_noise=height / noise if noise > 0 else None,
    )


def _only(rises: float | None) -> Features:
    """Return what is told of a curve without a baseline."""
    return Features(
        baseline=None,
        noise=None,
        arrival_time=None,
        time_to_peak=None,
        peak_enhancement=None,
        upslope=rises,
        area=None,
        contrast_ratio=None,
        contrast_to_noise=None,
    )


def _steepest(curve: NDArray[np.float64], times_s: NDArray[np.float64]) -> tuple[float, int]:
    """Return the steepest slope up to the peak, and the first beat of its line; NaN if none."""
    if not np.isfinite(curve).all() or len(curve) < UPSLOPE_BEATS:
        return float("nan"), 0
    last = max(int(curve.argmax()) + 1, UPSLOPE_BEATS)
    times, values = (
        each - each.mean(axis=1, keepdims=True)
        for each in (
            sliding_window_view(times_s[:last], UPSLOPE_BEATS),
            sliding_window_view(curve[:last], UPSLOPE_BEATS),
        )
    )
    slopes = (times * values).sum(axis=1) / (times**2).sum(axis=1)
    first = int(slopes.argmax())
    return float(slopes[first]), first


def _leaves(curve: NDArray[np.float64], times_s: NDArray[np.float64], level: float) -> float:
    """Return when the line of the steepest rise is at a level [s]."""
    slope, first = _steepest(curve, times_s)
    line = slice(first, first + UPSLOPE_BEATS)
    return float(times_s[line].mean() - (curve[line].mean() - level) / slope)


def _area(
    above: NDArray[np.float64], times_s: NDArray[np.float64], arrival_s: float
) -> float | None:
    """Return the area under a curve over ``AREA_S``; None if the series ends before that."""
    end_s = arrival_s + AREA_S
    if times_s[-1] < end_s:
        return None
    inside = times_s[(times_s > arrival_s) & (times_s < end_s)]
    at = np.concatenate([[arrival_s], inside, [end_s]])
    return float(np.trapezoid(np.interp(at, times_s, above), at))


def _finite(value: float) -> float | None:
    """Return a number, or None for none."""
    return float(value) if np.isfinite(value) else None
