"""A row of the worklist, as the page gets it."""

import math
from dataclasses import dataclass

from pipeline.ledger.reviewlist import ResultJob


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """A patient, as the DICOM objects say."""

    name: str
    """Patient's Name (0010,0010), family name first."""

    id: str
    """Patient ID (0010,0020)."""

    birth_date: str | None
    """Patient's Birth Date (0010,0030), ISO 8601."""

    sex: str | None
    """Patient's Sex (0010,0040)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFacts:
    """A study, as the DICOM objects say."""

    date: str | None
    """Study Date (0008,0020), ISO 8601."""

    description: str | None
    """Study Description (0008,1030)."""

    accession_number: str | None
    """Accession Number (0008,0050)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """What made a result."""

    name: str
    """Name of the bundle."""

    version: str
    """Its version."""

    digest: str
    """Its digest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Uncertainty:
    """How uncertain a result is."""

    name: str
    """What is measured."""

    value: float
    """Its value, the largest of the result."""

    rank: float
    """Its place among the results of the analysis: 1 is the least certain."""

    flagged: bool
    """Whether the analysis's settings call for a look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DestinationState:
    """A destination of a result."""

    name: str
    """Its name in the settings."""

    state: str
    """How the delivery stands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A result that is to be read, or was."""

    job_id: str
    """The job."""

    analysis: str
    """Name of the analysis."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); null where there is none."""

    patient: Patient | None
    """The patient; null where nothing is known of one."""

    study: StudyFacts | None
    """The study; null where there is none."""

    series_description: str | None
    """Series Description (0008,103E) of the input."""

    scanner: str | None
    """Manufacturer and model, as far as the site keeps them."""

    bundle: Bundle
    """What made it."""

    lane: str
    """The queue that it waited in: stat, routine or batch."""

    priority: int
    """The higher, the sooner within its lane."""

    done_at: str
    """When it was done, ISO 8601."""

    uncertainty: Uncertainty | None
    """How uncertain it is; null where the analysis does not say."""

    review: str
    """Where its review stands."""

    destinations: tuple[DestinationState, ...]
    """Where it goes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row(Case):
    """A row of the worklist."""

    readings: int
    """How often it was read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """What the worklist sorts an analysis's results by."""

    name: str
    """Its name."""

    value: float
    """Its largest value."""

    flagged: bool
    """Whether it lies above what the settings allow."""


def measure_of(job: ResultJob) -> Measure | None:
    """Return how uncertain a result is; None where that is not known."""
    found = MEASURES.get(job.analysis)
    if found is None:
        return None
    name, key, section, limit, default = found
    values = [
        float(value)
        for item in _items(job.outcome.get("uncertainty"))
        if isinstance(value := item.get(key), int | float) and math.isfinite(value)
    ]
    if not values:
        return None
    most = default
    settings = job.configuration.get(section)
    if isinstance(settings, dict) and isinstance(settings.get(limit), int | float):
        most = float(settings[limit])
    value = max(values)
    return Measure(name=name, value=value, flagged=most is not None and value > most)


MEASURES: dict[str, tuple[str, str, str, str, float | None]] = {
    "perfusion": ("U_pp", "u_pp", "perfusion", "flag_u_pp", 0.005),
    "reconstruction": (
        *("mean relative uncertainty", "mean_relative_uncertainty", "reconstruction", ""),
        None,
    ),
    "phases": ("uncertainty", "uncertainty", "phases", "review_uncertainty", 0.3),
}
"""By analysis: name, key in the outcome, and the setting above which a look is called for."""


def _items(value: object) -> list[dict[str, object]]:
    """Return the objects of a list of JSON."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
