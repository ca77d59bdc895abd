"""A window against its reference: quiet where nothing has changed, and told where it has."""

import numpy as np
import pytest

from pipeline.drift.points import points_of
from pipeline.drift.strata import Moved
from pipeline.drift.window import Finding, Limits, compared
from pipeline.drift.words import place
from pipeline.ledger.statistics import Described, Recorded
from tests.support.drift import BEGINNING, described, points

LIMITS = Limits(false_alarms=0.01, least_effect=0.25)


def alarms(found: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in found if finding.is_alarm]


def stations(rng: np.random.Generator, count: int, *, shifts: dict[str, float], start: int = 0):
    return points(
        [
            described(rng, station=name, shift=shifts[name])
            for name in (list(shifts)[n % len(shifts)] for n in range(count))
        ],
        first=start,
    )


def test_a_window_of_the_same_studies_alarms_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(3)
    loose = Limits(false_alarms=0.1, least_effect=0.0)
    n_alarms = 0
    for _ in range(200):
        reference = stations(rng, 60, shifts={"MR1": 0.0, "MR2": 0.0})
        window = stations(rng, 20, shifts={"MR1": 0.0, "MR2": 0.0}, start=100)
        n_alarms += bool(alarms(compared(reference, window, loose)))
    # 20 are allowed for; more than 32 have a probability below 0.3 %.
    assert n_alarms <= 32


def test_a_change_everywhere_names_no_scanner() -> None:
    rng = np.random.default_rng(4)
    reference = stations(rng, 100, shifts={"MR1": 0.0, "MR2": 0.0})
    found = alarms(
        compared(reference, stations(rng, 20, shifts={"MR1": 4.0, "MR2": 4.0}, start=100), LIMITS)
    )
    assert found[0].statistic == "noise"
    assert found[0].moved == Moved(how="everywhere")
    assert isinstance(found[0].now, float)
    assert isinstance(found[0].before, float)
    assert 3.0 < found[0].now - found[0].before < 5.0
    assert {f.statistic for f in found} == {"noise"}


def test_the_scanner_that_moved_is_named() -> None:
    rng = np.random.default_rng(5)
    before = {"MR1": 0.0, "MR2": 0.0, "MR3": 0.0}
    reference = stations(rng, 99, shifts=before)
    window = stations(rng, 21, shifts={**before, "MR3": 8.0}, start=100)
    found = alarms(compared(reference, window, LIMITS))
    assert found[0].moved == Moved(how="within", by="station", parts=("MR3",), studies=7)
    assert place(found[0].to_json()) == "; within station MR3 (7 studies)"


def test_a_protocol_that_moved_is_named_where_scanners_have_not() -> None:
    rng = np.random.default_rng(6)

    def some(count: int, shift: float, start: int = 0):
        return points(
            [
                described(rng, protocol=name, shift=shift if name == "stress" else 0.0)
                for name in ("rest", "stress") * (count // 2)
            ],
            first=start,
        )

    found = alarms(compared(some(100, 0.0), some(24, 8.0, 100), LIMITS))
    moved = found[0].moved
    assert moved == Moved(how="within", by="protocol", parts=("stress",), studies=12)


def test_another_mix_of_scanners_is_told_as_that() -> None:
    rng = np.random.default_rng(7)
    one = [described(rng, station="MR1") for _ in range(80)]
    other = [described(rng, station="MR2", shift=6.0) for _ in range(20)]
    reference = points([*one, *other])
    window = points(
        [described(rng, station="MR1") for _ in range(6)]
        + [described(rng, station="MR2", shift=6.0) for _ in range(14)],
        first=200,
    )
    found = {f.statistic: f for f in alarms(compared(reference, window, LIMITS))}
    assert set(found) == {"noise", "station"}
    assert found["noise"].moved == Moved(how="mix", by="station", parts=("MR2",), studies=14)
    assert found["station"].before == "MR1"
    assert found["station"].now == "MR2"


def test_a_scanner_that_is_new_explains_what_it_brings() -> None:
    rng = np.random.default_rng(8)
    reference = stations(rng, 100, shifts={"MR1": 0.0, "MR2": 0.0})
    window = stations(rng, 21, shifts={"MR1": 0.0, "MR2": 0.0, "MR9": 9.0}, start=100)
    window += stations(rng, 10, shifts={"MR9": 9.0}, start=200)
    found = {f.statistic: f for f in alarms(compared(reference, window, LIMITS))}
    moved = found["noise"].moved
    assert moved is not None
    assert (moved.how, moved.by, moved.parts) == ("mix", "station", ("MR9",))


def test_a_certain_change_that_is_small_does_not_alarm() -> None:
    rng = np.random.default_rng(9)
    reference = points([described(rng) for _ in range(3000)])
    window = points([described(rng, shift=0.3) for _ in range(1000)], first=4000)
    (noise,) = (f for f in compared(reference, window, LIMITS) if f.statistic == "noise")
    assert noise.p_corrected < 1e-6
    assert not noise.is_alarm


def test_a_number_that_is_no_longer_stated_is_seen() -> None:
    rng = np.random.default_rng(10)
    reference = points([described(rng) for _ in range(60)])
    blind = [
        Described(
            numbers={k: v for k, v in described(rng).numbers.items() if k != "noise"},
            categories={"station": "MR1"},
        )
        for _ in range(20)
    ]
    (found,) = alarms(compared(reference, points(blind, first=100), LIMITS))
    assert (found.statistic, found.before, found.now) == ("noise_stated", "yes", "no")


def test_a_study_counts_once_however_many_series_it_has() -> None:
    jobs = [
        Recorded(
            row=n,
            study="2.25.1" if n < 3 else "2.25.2",
            done_at=BEGINNING,
            described=Described(
                numbers={"noise": float(n)}, categories={"protocol": "rest" if n else "stress"}
            ),
        )
        for n in range(4)
    ]
    first, second = points_of(jobs)
    assert (first.rows, second.rows) == ((0, 1, 2), (3,))
    assert first.described == Described(numbers={"noise": 1.0}, categories={"protocol": "rest"})


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("mix", "; more of station MR2, MR3 (7 studies)"),
        ("everywhere", "; everywhere, no scanner, protocol or version stands out"),
    ],
)
def test_places_are_told_in_words(how: str, said: str) -> None:
    moved = {"how": how, "by": "station", "parts": ["MR2", "MR3"], "studies": 7}
    assert place({"moved": moved}) == said
    assert place({"moved": None}) == ""
