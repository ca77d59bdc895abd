"""What the page shows of surgical phases: the ribbon, and what was anticipated when."""

from bisect import bisect_right
from dataclasses import dataclass

from pipeline.ledger.reviewlist import ResultJob
from pipeline.review.jsonfiles import Json, items, json_file, number, numbers, table, text, texts

LEAST_SHOWN = 0.01
"""Probabilities below are not told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A phase of the procedure."""

    name: str
    """Its name in the procedure."""

    label: str
    """Its name for people."""

    colour: str | None
    """Its colour, ``#rrggbb``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A stretch of one phase."""

    start_s: float
    """Where it begins [s]."""

    end_s: float
    """Where it ends [s]."""

    phase: str
    """Name of the phase."""

    confidence: float | None
    """Mean confidence, 0 to 1."""

    uncertainty: float | None
    """Mean uncertainty, 0 to 1."""

    needs_review: bool
    """Whether the settings call for a look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unseen:
    """A stretch without a usable picture."""

    start_s: float
    """Where it begins [s]."""

    end_s: float
    """Where it ends [s]."""

    kind: str
    """``out of body`` or ``black``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seconds:
    """What was found at each step of time."""

    step_s: float
    """Length of a step [s]."""

    phase: tuple[str | None, ...]
    """Name of the phase; null where there is none."""

    confidence: tuple[float | None, ...]
    """Confidence, 0 to 1."""

    uncertainty: tuple[float | None, ...]
    """Uncertainty, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhasesDetail:
    """Phases of an operation."""

    video: str | None
    """Where the video is; null if the input is gone."""

    duration_s: float
    """Length of the operation [s]."""

    procedure: str
    """Name of the procedure for people."""

    phases: tuple[Phase, ...]
    """The phases that it may have, in order."""

    segments: tuple[Segment, ...]
    """The phases that were found."""

    views: tuple[Unseen, ...]
    """Stretches without a usable picture."""

    seconds: Seconds
    """What was found at each step of time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Likely:
    """A phase that may come next."""

    phase: str
    """Name of the phase."""

    probability: float
    """How probable it is, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Remaining:
    """How long the present phase goes on."""

    median: float
    """As the network expects [s]."""

    low: float
    """The lesser of what network and counting expect [s]."""

    high: float
    """The greater of both [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Anticipated:
    """What was anticipated at a moment: nothing later was looked at."""

    issued_at_s: float
    """The moment [s]."""

    next: tuple[Likely, ...]
    """Phases that may come next, the most probable first."""

    remaining_s: Remaining | None
    """How long the present phase goes on; null where that is not known."""

    prior: tuple[Likely, ...]
    """Phases that may come next as counting has it."""


def phases_of(job: ResultJob) -> PhasesDetail | None:
    """Return what the page shows of phases; None if the file is gone."""
    found = json_file(job, "phases")
    if found is None:
        return None
    procedure = table(found, "procedure")
    seconds = table(found, "seconds")
    return PhasesDetail(
        video=f"/api/jobs/{job.job_id}/video.mp4" if job.inputs else None,
        duration_s=number(found, "duration_seconds") or 0.0,
        procedure=text(procedure, "title"),
        phases=tuple(
            Phase(
                name=text(each, "name"),
                label=text(each, "meaning"),
                colour=text(each, "colour") or None,
            )
            for each in items(procedure, "phases")
        ),
        segments=tuple(_segment(each) for each in items(found, "segments")),
        views=tuple(
            Unseen(
                start_s=number(each, "start_seconds") or 0.0,
                end_s=number(each, "end_seconds") or 0.0,
                kind=text(each, "mark").replace("_", " "),
            )
            for each in items(found, "unusable")
        ),
        seconds=Seconds(
            step_s=1 / (number(found, "rate_hz") or 1.0),
            phase=texts(seconds, "phase"),
            confidence=numbers(seconds, "confidence"),
            uncertainty=numbers(seconds, "uncertainty"),
        ),
    )


def anticipated(job: ResultJob, t_s: float) -> Anticipated | None:
    """Return what was anticipated last before a time; None if nothing was.

    Parameters
    ----------
    job
        The job.
    t_s
        The time [s].
    """
    dense = json_file(job, "anticipated")
    if dense is not None:
        return _dense(dense, t_s)
    found = json_file(job, "phases") or {}
    issued = list(items(found, "anticipation"))
    times = [number(each, "issued_at_seconds") or 0.0 for each in issued]
    index = bisect_right(times, t_s) - 1
    if index < 0:
        return None
    learned, prior = (list(items(issued[index], key)) for key in ("learned", "prior"))
    rests = [number(each[0], "start_in_seconds") for each in (learned, prior) if each]
    return Anticipated(
        issued_at_s=times[index],
        next=_first(learned or prior),
        remaining_s=_remaining(rests),
        prior=_first(prior),
    )


def _dense(found: Json, t_s: float) -> Anticipated | None:
    """Return what a file of all moments says of a time."""
    times = [t or 0.0 for t in numbers(found, "t_s")]
    index = bisect_right(times, t_s) - 1
    if index < 0:
        return None
    names = [name or "" for name in texts(found, "phases")]
    learned, prior = table(found, "learned"), table(found, "prior")
    rests = [_at(numbers(each, "rest_s"), index) for each in (learned, prior) if each]
    return Anticipated(
        issued_at_s=times[index],
        next=_likely(learned or prior, names, index),
        remaining_s=_remaining(rests),
        prior=_likely(prior, names, index),
    )


def _likely(found: Json, names: list[str], index: int) -> tuple[Likely, ...]:
    """Return the phases that may come next, the most probable first."""
    rows = found.get("next_probabilities")
    row = rows[index] if isinstance(rows, list) and index < len(rows) else []
    likely = [
        Likely(phase=name, probability=float(p))
        for name, p in zip(names, row if isinstance(row, list) else [], strict=False)
        if isinstance(p, int | float) and p >= LEAST_SHOWN
    ]
    return tuple(sorted(likely, key=lambda each: -each.probability))


def _first(expected: list[Json]) -> tuple[Likely, ...]:
    """Return the first phase of an order that is expected."""
    return tuple(
        Likely(phase=text(each, "phase"), probability=number(each, "probability") or 0.0)
        for each in expected[:1]
    )


def _remaining(rests: list[float | None]) -> Remaining | None:
    """Return how long the present phase goes on; the network's word comes first."""
    known = [rest for rest in rests if rest is not None]
    return Remaining(median=known[0], low=min(known), high=max(known)) if known else None


def _at(values: tuple[float | None, ...], index: int) -> float | None:
    """Return a value of a list; None if it has none there."""
    return values[index] if index < len(values) else None


def _segment(each: Json) -> Segment:
    """Return a stretch of one phase."""
    return Segment(
        start_s=number(each, "start_seconds") or 0.0,
        end_s=number(each, "end_seconds") or 0.0,
        phase=text(each, "phase"),
        confidence=number(each, "confidence"),
        uncertainty=number(each, "uncertainty"),
        needs_review=each.get("review_first") is True,
    )
