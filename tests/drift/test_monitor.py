"""The watch over a ledger: which windows are compared, once each, and what is recorded."""

from datetime import timedelta
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.drift.monitor import check, cut_windows, rule_of
from pipeline.drift.report import page
from pipeline.driftsettings import DriftSettings
from pipeline.errors import UnusableCall
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.references import (
    Reference,
    Rule,
    forget,
    last_windows,
    make_reference,
    members_between,
    members_of,
    references,
    windows,
)
from pipeline.ledger.statistics import Described
from tests.ledger.conftest import ledger, place, postgres_place, postgres_server
from tests.support.drift import BEGINNING, described, points, record_studies

__all__ = ["ledger", "place", "postgres_place", "postgres_server"]

RULE = Rule(window=10, days=None, false_alarms=0.01, least_effect=0.25)


def watched(opened: Ledger, rule: Rule = RULE, count: int = 40) -> Reference:
    """Return a reference of studies that are alike."""
    rng = np.random.default_rng(11)
    record_studies(opened, [described(rng) for _ in range(count)])
    members = members_between(opened, BEGINNING, BEGINNING + timedelta(days=300))
    return make_reference(opened, "spring", members, rule)


def test_windows_are_compared_when_they_are_full_and_once(ledger: Ledger) -> None:
    reference, rng = watched(ledger), np.random.default_rng(12)
    assert check(ledger, reference) == ()
    record_studies(ledger, [described(rng) for _ in range(9)], first=100)
    assert check(ledger, reference) == ()
    record_studies(ledger, [described(rng, shift=5.0) for _ in range(12)], first=109)
    first, second = check(ledger, reference)
    assert (first.number, first.studies, first.alarms) == (1, 10, ())
    assert (second.number, second.studies, second.alarms) == (2, 10, ("noise",))
    assert check(ledger, reference) == (), "however often one looks"
    assert windows(ledger, "spring") == (first, second)
    assert last_windows(ledger) == (second,)
    assert first.last_at < second.first_at
    assert not set(first.members) & set(second.members)


def test_what_the_findings_hold_is_read_as_it_was_written(ledger: Ledger) -> None:
    reference, rng = watched(ledger), np.random.default_rng(13)
    record_studies(ledger, [described(rng, shift=5.0) for _ in range(10)], first=100)
    (fresh,) = check(ledger, reference)
    (kept,) = windows(ledger, "spring", "perfusion")
    assert kept.to_json()["alarms"] == fresh.to_json()["alarms"] == ["noise"]
    found = next(f for f in kept.findings if f["statistic"] == "noise")
    assert found["moved"] == {"how": "everywhere", "by": None, "parts": [], "studies": 0}


def test_a_reference_is_kept_as_it_is_until_it_is_forgotten(ledger: Ledger) -> None:
    reference = watched(ledger)
    assert references(ledger) == (reference,)
    assert len(reference.members) == 40
    with pytest.raises(UnusableCall, match="forget it first"):
        make_reference(ledger, "spring", reference.members, RULE)
    rng = np.random.default_rng(14)
    record_studies(ledger, [described(rng) for _ in range(10)], first=100)
    check(ledger, reference)
    forget(ledger, "spring")
    assert references(ledger) == windows(ledger, "spring") == last_windows(ledger) == ()
    with pytest.raises(UnusableCall, match="no reference 'spring'"):
        forget(ledger, "spring")


def test_a_reference_of_named_studies(ledger: Ledger) -> None:
    rng = np.random.default_rng(15)
    record_studies(ledger, [described(rng) for _ in range(12)])
    members = members_of(ledger, [f"2.25.{n}" for n in range(3, 9)])
    assert len(members) == 6
    made = make_reference(ledger, "named", members, RULE)
    assert made.end_at == BEGINNING + timedelta(hours=8)
    with pytest.raises(UnusableCall, match=r"no statistics of study 2\.25\.99"):
        members_of(ledger, ["2.25.3", "2.25.99"])
    with pytest.raises(UnusableCall, match="no job with statistics"):
        make_reference(ledger, "empty", [], RULE)


def test_a_later_series_of_a_study_moves_no_window(ledger: Ledger) -> None:
    reference, rng = watched(ledger), np.random.default_rng(16)
    record_studies(ledger, [described(rng) for _ in range(10)], first=100)
    (first,) = check(ledger, reference)
    record_studies(ledger, [described(rng) for _ in range(10)], first=110)
    (second,) = check(ledger, reference)
    assert second.first_at == BEGINNING + timedelta(hours=110)
    assert first.last_at == BEGINNING + timedelta(hours=109)


Hours = st.lists(st.floats(0.01, 60), max_size=60)


@given(gaps=Hours, cut=st.integers(0, 60), days=st.sampled_from([None, 1.0, 2.5]))
def test_windows_are_the_same_whenever_one_looks(
    gaps: list[float], cut: int, days: float | None
) -> None:
    times = np.cumsum(gaps)
    rng = np.random.default_rng(17)
    shown = points([described(rng) for _ in gaps])
    shown = [
        type(p)(
            study=p.study,
            done_at=BEGINNING + timedelta(hours=float(t)),
            rows=p.rows,
            described=p.described,
        )
        for p, t in zip(shown, times, strict=True)
    ]
    rule = Rule(window=8, days=days, false_alarms=0.01, least_effect=0.25)
    reference = Reference(name="r", members=(), end_at=BEGINNING, rule=rule)
    end = BEGINNING + timedelta(hours=float(times[-1]) if gaps else 0.0)
    whole = list(cut_windows(shown, reference, end))
    early = shown[:cut]
    moment = early[-1].done_at if early else BEGINNING
    seen = list(cut_windows(early, reference, moment))
    assert seen == whole[: len(seen)], "windows that were full stay as they were"
    rows = [row for window in whole for point in window for row in point.rows]
    assert rows == sorted(set(rows))
    assert all(len(window) >= 8 for window in whole)


def test_the_page_holds_every_statistic_and_no_script(ledger: Ledger) -> None:
    reference, rng = watched(ledger), np.random.default_rng(18)
    odd = "<script>alert(1)</script>"
    late = [described(rng, shift=5.0, station=odd) for _ in range(10)]
    record_studies(ledger, late, first=100)
    check(ledger, reference)
    content = page(ledger, references(ledger))
    seen = _Tags()
    seen.feed(content)
    assert not {"script", "link", "img", "iframe"} & seen.tags
    assert content.count("<svg") == 3
    assert content.count("<circle") == 3 * 50
    assert 'class="alarm">noise' in content
    assert "1 of 1 windows alarm" in content
    assert "http" not in content


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)


def test_a_rule_of_no_days_is_refused() -> None:
    with pytest.raises(UnusableCall, match="days is 0"):
        rule_of(DriftSettings(), 0.0)
    assert rule_of(DriftSettings(), 7.0).days == 7.0


@pytest.mark.parametrize(
    ("key", "value"),
    [("equipment", "some"), ("window", 3), ("false_alarms", 0.0), ("least_effect", 1.5)],
)
def test_settings_that_cannot_be_are_refused(key: str, value: object) -> None:
    with pytest.raises(UnusableCall, match=key):
        DriftSettings(**{key: value})  # type: ignore[arg-type]


def test_a_study_without_numbers_does_no_harm(ledger: Ledger) -> None:
    reference = watched(ledger)
    nothing = [Described(numbers={}, categories={}) for _ in range(10)]
    record_studies(ledger, nothing, first=100)
    (window,) = check(ledger, reference)
    assert "noise_stated" in window.alarms
    assert "station" in window.alarms
    assert page(ledger, [reference]).count("<svg") == 3
