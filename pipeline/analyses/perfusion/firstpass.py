"""The beats of the first pass: which part of a series the model sees.

The model takes a fixed number of beats. They start some beats before contrast reaches the left
ventricle, so that baseline, right ventricle, left ventricle and myocardium are all in view; a
series that starts later starts with what it has, a shorter one repeats its last beat.

The arrival is looked for in the left ventricle alone. Over the whole heart, and more so over the
whole image, breathing moves bright tissue in and out and makes rises as large as the bolus: on 61
real series that put the window wholly beside the first pass three times.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

BEATS_BEFORE_ARRIVAL = 10
"""Beats that the window keeps before the left ventricle: the right one fills up to eight
earlier."""

BLOOD_RADIUS_MM = 20.0
"""Radius around the left ventricle's centre within which its blood is looked for [mm]."""

BLOOD_SHARE = 0.3
"""Share of the points in that disc, those that change most, that stands for blood."""

RISE_BEATS = 4
"""Beats over which the steepest rise is looked for."""

BEATS_BEFORE_PEAK, BEATS_AFTER_PEAK = 6, 10
"""Beats around the peak of the left ventricle's blood on which contrast passes through it and into
its wall: what readers draw on. On 80 real series they drew on 7.3 beats before it to 8.9 after."""

ARRIVAL_SHARE = 0.2
"""Share of that rise at which contrast counts as arrived."""


def blood_curve(frames: NDArray[np.float32], spacing_mm: float) -> NDArray[np.float64]:
    """Return the mean over time of the left ventricle's blood.

    Parameters
    ----------
    frames
        Motion-corrected square around the heart. Shape ``(beats, size, size)``.
    spacing_mm
        Distance between the square's points [mm].

    Returns
    -------
        Mean intensity, smoothed over one beat. Shape ``(beats,)``.
    """
    steps = (np.arange(frames.shape[1]) - (frames.shape[1] - 1) / 2) * spacing_mm
    disc = np.hypot(steps[:, None], steps[None, :]) <= BLOOD_RADIUS_MM
    courses = gaussian_filter1d(frames[:, disc].astype(np.float64), 1.0, axis=0, mode="nearest")
    change = courses.max(axis=0) - courses.min(axis=0)
    curve: NDArray[np.float64] = courses[:, change >= np.quantile(change, 1 - BLOOD_SHARE)].mean(
        axis=1
    )
    return curve


def first_beat(curve: NDArray[np.float64], n_beats: int) -> int:
    """Return the first beat of the model's window.

    Parameters
    ----------
    curve
        Blood's intensity in the left ventricle. Shape ``(beats,)``.
    n_beats
        Length of the window.
    """
    span = min(RISE_BEATS, len(curve) - 1)
    if span < 1:
        return 0
    steepest = int((curve[span:] - curve[:-span]).argmax())
    rise = curve[steepest : steepest + span + 1]
    arrived = rise >= rise[0] + ARRIVAL_SHARE * (rise[-1] - rise[0])
    # The first beat of the rise lies at its foot and so has arrived only if nothing rises.
    arrival = steepest + int(arrived.argmax())
    return int(np.clip(arrival - BEATS_BEFORE_ARRIVAL, 0, max(0, len(curve) - n_beats)))


def passage(curve: NDArray[np.float64], first: int, n_beats: int) -> slice:
    """Return the beats on which contrast passes through the left ventricle and into its wall.

    Parameters
    ----------
    curve
        Blood's intensity in the left ventricle. Shape ``(beats,)``.
    first
        First beat of the model's window.
    n_beats
        Length of the window.
    """
    peak = first + int(curve[first : first + n_beats].argmax())
    return slice(max(first, peak - BEATS_BEFORE_PEAK), peak + BEATS_AFTER_PEAK)


def window(frames: NDArray[np.float32], first: int, n_beats: int) -> NDArray[np.float32]:
    """Return the model's beats: ``n_beats`` from ``first`` on, the last repeated if they run out.

    Parameters
    ----------
    frames
        Shape ``(beats, size, size)``.
    first
        First beat, from 0.
    n_beats
        Length of the window.
    """
    beats = np.minimum(np.arange(first, first + n_beats), len(frames) - 1)
    return frames[beats]


def normalise(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale intensities so that the 99th percentile is one: scanners' units differ by thousands.

    Parameters
    ----------
    frames
        The model's beats, values not negative on average. Shape ``(beats, size, size)``.
    """
    level = max(float(np.quantile(frames, 0.99)), float(np.finfo(np.float32).tiny))
    return (frames / level).astype(np.float32)
