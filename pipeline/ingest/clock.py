"""Read DICOM dates and times as seconds.

References
----------
.. [P352] DICOM PS3.5, 6.2, value representations DA, DT and TM.
"""

import re
from datetime import date

SECONDS_A_DAY = 86_400.0

EPOCH = date(2000, 1, 1).toordinal()
"""Day that seconds count from: near enough that a float keeps a microsecond."""

_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d{1,6})?\s*")
_DATE = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})\s*")
_MOMENT = re.compile(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)(?:[+-]\d{4})?\s*")


def seconds_of_day(value: str) -> float | None:
    """Return a TM value as seconds since midnight; None where it is no time.

    Minutes, seconds and decimals may be missing, and old files write colons.
    """
    match = _TIME.fullmatch(value)
    if match is None:
        return None
    hours, minutes, seconds, fraction = match.groups()
    return 3600.0 * int(hours) + 60.0 * int(minutes or 0) + int(seconds or 0) + float(fraction or 0)


def seconds_of(day: str, time: str) -> float | None:
    """Return a DA and a TM value as seconds; of an unknown day where the date is missing."""
    seconds = seconds_of_day(time)
    if seconds is None:
        return None
    return seconds + SECONDS_A_DAY * (_ordinal(day) or 0)


def seconds_of_moment(value: str) -> float | None:
    """Return a DT value as seconds; None where it has no time of day.

    The offset from UTC is left out: it is the same for every frame of an acquisition.
    """
    match = _MOMENT.fullmatch(value)
    return seconds_of(match.group(1), match.group(2)) if match else None


def across_midnight(seconds: list[float]) -> list[float]:
    """Return times that keep growing where an acquisition ran past midnight.

    Times of day fall back to zero there, and some scanners leave the date as it was: no acquisition
    lasts half a day, so early times among late ones belong to the next day.
    """
    half = 0.5 * SECONDS_A_DAY
    low, high = min(seconds), max(seconds)
    if not half < high - low < SECONDS_A_DAY:
        return seconds
    return [s + SECONDS_A_DAY if s - low < half else s for s in seconds]


def _ordinal(day: str) -> int | None:
    """Return a DA value as a day number; None where it is no date."""
    match = _DATE.fullmatch(day)
    if match is None:
        return None
    try:
        return date(*(int(part) for part in match.groups())).toordinal() - EPOCH
    except ValueError:
        return None
