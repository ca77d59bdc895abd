"""Earlier studies of the same patient, for analyses that compare.

References
----------
.. [I] DICOM PS3.3, C.7.1.1, Patient ID (0010,0020) and Issuer of Patient ID (0010,0021).
"""

from datetime import UTC, date, datetime

from pipeline.analysis import Priors
from pipeline.fetch import Source
from pipeline.gateways.found import Found, Query
from pipeline.gateways.query import query

WILD = set("*?\\")
"""A Patient ID with one of these would match other patients' too."""


def priors(source: Source, study_instance_uid: str, wanted: Priors) -> list[Found]:
    """Return earlier studies of the same patient, the latest first.

    The patient is the same by Patient ID, and by its issuer where both studies have one [I]_. A
    study without Patient ID or date has no priors.

    Parameters
    ----------
    source
        The archive, which has the study too.
    study_instance_uid
        The study.
    wanted
        How many, how old, of which modality.

    Raises
    ------
    PeerUnavailable
        If the archive does not answer.
    PeerRefused
        If it refuses the query.
    """
    studies = query(source.node, Query(study=study_instance_uid), source.settings)
    this = studies[0] if studies else None
    on = None if this is None else _date(this.date)
    if this is None or on is None or this.patient is None or set(this.patient) & WILD:
        return []
    first = ""
    if wanted.within_days is not None:
        ordinal = max(on.toordinal() - wanted.within_days, 1)
        first = f"{date.fromordinal(ordinal):%Y%m%d}".zfill(8)
    asked = Query(patient=this.patient, dates=f"{first}-{on:%Y%m%d}", modality=wanted.modality)
    found = query(source.node, asked, source.settings)
    earlier = [one for one in found if _is_prior(one, this)]
    return sorted(earlier, key=_when, reverse=True)[: wanted.number]


def _is_prior(one: Found, of: Found) -> bool:
    """Tell whether a study of a patient is an earlier one."""
    issuers = {one.issuer, of.issuer} - {None}
    if one.date is None or len(issuers) > 1:
        return False
    if one.date == of.date and None in (one.time, of.time):
        return False
    return _when(one) < _when(of)


def _when(one: Found) -> tuple[str, str]:
    """Return when a study was, to be compared."""
    return one.date or "", one.time or ""


def _date(text: str | None) -> date | None:
    """Return a date; None for what is none."""
    try:
        return datetime.strptime(text or "", "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
