"""What verdicts say of an analysis: how often it is accepted, and whether its uncertainty tells.

A result counts once its review has ended, by how it ended. A threshold releases results whose
uncertainty is not above it; its risk is the share of those that a reader would have corrected or
rejected. The limits of all thresholds hold together: the error is divided among them (Bonferroni),
so that the largest safe one can be chosen after a look at all, as [GE17]_ and [LTT]_ do. Thresholds
are quantiles of the uncertainties, and no verdict is looked at to place them.

What is not handled: readers who choose what they read. The limits hold for results like those that
were read, and only if these were not picked by how they looked (``docs/verdicts.md``).

References
----------
.. [GE17] Geifman, El-Yaniv: Selective classification for deep neural networks. NeurIPS 2017.
.. [LTT] Angelopoulos, Bates, Candès, Jordan, Lei: Learn then test: calibrating predictive
   algorithms to achieve risk control. arXiv:2110.01052.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np

from pipeline.binomial import interval, least_trials, upper_limit
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviewlist import result_jobs
from pipeline.ledger.reviews import ended
from pipeline.ledger.reviewstates import ReviewState
from pipeline.review.rows import measure_of

CONFIDENCE = 0.95
"""Of the limits, unless another is asked for."""

BINS = 5
"""Bins of uncertainty, each with as many results."""

THRESHOLDS = 10
"""Thresholds that are looked at: each costs the others certainty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A result whose review has ended."""

    job_id: UUID
    """The job."""

    analysis: str
    """Name of the analysis."""

    version: str
    """Name and version of the bundle."""

    scanner: str | None
    """The scanner, as far as the site keeps it."""

    at: datetime
    """When its review ended, UTC."""

    state: ReviewState
    """How it ended."""

    uncertainty: float | None
    """What the worklist sorts by; None where the analysis does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How results of one kind were judged."""

    key: str
    """The kind: a version, a scanner, a week."""

    readings: int
    """Results whose review has ended."""

    accepted: int
    """Those that were right as they were."""

    edited: int
    """Those that were corrected."""

    rejected: int
    """Those that were not to be used."""

    accepted_low: float
    """Lower limit of the share that is accepted as it is."""

    accepted_high: float
    """Upper limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Results of like uncertainty."""

    low: float
    """Least uncertainty."""

    high: float
    """Most uncertainty."""

    readings: int
    """Results whose review has ended."""

    accepted: int
    """Those that were right as they were."""

    accepted_low: float
    """Lower limit of the share that is accepted as it is."""

    accepted_high: float
    """Upper limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """What a threshold would release."""

    threshold: float
    """Results of this uncertainty or less are released."""

    released: int
    """Results that it would have released."""

    released_share: float
    """Their share of all."""

    wrong: int
    """Those of them that were corrected or rejected."""

    risk: float
    """Their share of what is released."""

    risk_upper: float
    """Its upper limit: those of all thresholds hold together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What verdicts say."""

    by_version: tuple[Share, ...]
    """By the bundle's version."""

    by_scanner: tuple[Share, ...]
    """By scanner."""

    by_week: tuple[Share, ...]
    """By the week in which the review ended."""

    calibration: tuple[Bin, ...]
    """Acceptance by uncertainty; none over several analyses: they measure it differently."""

    release: tuple[Release, ...]
    """Thresholds, the strictest first; none over several analyses."""


def judged(ledger: Ledger, analysis: str | None = None) -> tuple[Judged, ...]:
    """Return the results whose review has ended, in the order in which it did."""
    with ledger.reading() as session:
        readings = ended(session)
    found = []
    for job in result_jobs(ledger, list(readings)):
        if analysis not in (None, job.analysis):
            continue
        measure, last = measure_of(job), readings[job.job_id]
        found.append(
            Judged(
                job_id=job.job_id,
                analysis=job.analysis,
                version=f"{job.bundle[0]} {job.bundle[1]}",
                scanner=scanner_of(job.categories),
                at=last.at,
                state=last.state,
                uncertainty=None if measure is None else measure.value,
            )
        )
    return tuple(sorted(found, key=lambda each: (each.at, str(each.job_id))))


def summarise(found: Sequence[Judged], confidence: float = CONFIDENCE) -> Summary:
    """Return what verdicts say.

    Parameters
    ----------
    found
        Results whose review has ended.
    confidence
        Of all limits.
    """
    of_one = found if len({each.analysis for each in found}) == 1 else ()
    return Summary(
        by_version=_shares(found, lambda each: each.version, confidence),
        by_scanner=_shares(found, lambda each: each.scanner, confidence),
        by_week=_shares(found, _week, confidence),
        calibration=_bins(_measured(of_one), confidence),
        release=releases(of_one, confidence),
    )


def releases(found: Sequence[Judged], confidence: float = CONFIDENCE) -> tuple[Release, ...]:
    """Return what thresholds would release, the strictest first.

    Parameters
    ----------
    found
        Results of one analysis.
    confidence
        With which the upper limits of all thresholds hold together.
    """
    measured = _measured(found)
    if not measured:
        return ()
    values = np.array([value for value, _ in measured])
    shares = np.arange(1, THRESHOLDS + 1) / THRESHOLDS
    thresholds = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    each_confidence = 1 - (1 - confidence) / len(thresholds)
    rows = []
    for threshold in thresholds:
        released = [is_right for value, is_right in measured if value <= threshold]
        wrong = released.count(False)
        rows.append(
            Release(
                threshold=float(threshold),
                released=len(released),
                released_share=len(released) / len(measured),
                wrong=wrong,
                risk=wrong / len(released),
                risk_upper=upper_limit(wrong, len(released), each_confidence),
            )
        )
    return tuple(rows)


def largest_safe(rows: Iterable[Release], risk: float) -> Release | None:
    """Return the threshold that releases most with a risk that is not above one; None if none."""
    safe = [row for row in rows if row.risk_upper <= risk]
    return safe[-1] if safe else None


def least_readings(risk: float, confidence: float) -> int:
    """Return how many released results, all of them right, would be enough for a threshold."""
    return least_trials(risk, 1 - (1 - confidence) / THRESHOLDS)


def scanner_of(categories: Mapping[str, str]) -> str | None:
    """Return a scanner's name of what the site keeps of it."""
    names = [categories[key] for key in ("manufacturer", "model") if categories.get(key)]
    return " ".join(names) or None


def _measured(found: Iterable[Judged]) -> list[tuple[float, bool]]:
    """Return the uncertainty of results, and whether they were right as they were."""
    return [
        (each.uncertainty, each.state is ReviewState.ACCEPTED)
        for each in found
        if each.uncertainty is not None
    ]


def _shares(
    found: Iterable[Judged], key: Callable[[Judged], str | None], confidence: float
) -> tuple[Share, ...]:
    """Return how results were judged, by a key; those without one are left out."""
    groups: dict[str, list[ReviewState]] = {}
    for each in found:
        name = key(each)
        if name is not None:
            groups.setdefault(name, []).append(each.state)
    rows = []
    for name, states in sorted(groups.items()):
        accepted = states.count(ReviewState.ACCEPTED)
        low, high = interval(accepted, len(states), confidence)
        rows.append(
            Share(
                key=name,
                readings=len(states),
                accepted=accepted,
                edited=states.count(ReviewState.EDITED),
                rejected=states.count(ReviewState.REJECTED),
                accepted_low=low,
                accepted_high=high,
            )
        )
    return tuple(rows)


def _bins(measured: Sequence[tuple[float, bool]], confidence: float) -> tuple[Bin, ...]:
    """Return acceptance by uncertainty, from the least to the most uncertain."""
    rows = []
    for part in np.array_split(np.array(sorted(measured), dtype=np.float64).reshape(-1, 2), BINS):
        if not len(part):
            continue
        accepted = int(part[:, 1].sum())
        low, high = interval(accepted, len(part), confidence)
        rows.append(
            Bin(
                low=float(part[0, 0]),
                high=float(part[-1, 0]),
                readings=len(part),
                accepted=accepted,
                accepted_low=low,
                accepted_high=high,
            )
        )
    return tuple(rows)


def _week(each: Judged) -> str:
    """Return the week in which a review ended: ``2026-W09``, ISO 8601."""
    year, week, _ = each.at.isocalendar()
    return f"{year}-W{week:02d}"
