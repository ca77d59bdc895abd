"""The trials of the benchmark, on made-up studies: they count what they say they count."""

import numpy as np

from benchmarks.drift import CHANGES, STATIONS, Pools, found_after, names_station, quiet, wider
from pipeline.drift.images import image_numbers
from pipeline.drift.strata import Moved
from pipeline.drift.window import Finding
from pipeline.phantom import Phantom
from tests.support.drift import described, points


def made(shift: float) -> Pools:
    rng = np.random.default_rng(20)
    sound = [described(rng, station=STATIONS[n % 2]) for n in range(220)]
    moved = [described(rng, station=STATIONS[n % 2], shift=shift) for n in range(220)]
    return Pools(sound=points(sound), changed={"noise": points(moved)})


def test_splits_of_the_same_studies_are_counted() -> None:
    found = quiet(made(0.0).sound, 4)
    assert (found["splits"], found["windows"]) == (4, 24)
    assert found["windows_that_alarm"] == 0


def test_a_large_change_is_found_at_the_end_of_its_window() -> None:
    found = found_after(made(9.0), "noise", 20)
    assert found["found"] == 20
    assert isinstance(found["median"], int)
    assert isinstance(found["p95"], int)
    assert 1 <= found["median"] <= 30
    assert found["p95"] <= 39, "a window that is changed from its beginning is found"


def test_a_change_that_is_none_is_not_found() -> None:
    found = found_after(made(0.0), "noise", 5)
    assert (found["found"], found["median"], found["p95"]) == (0, None, None)


def test_a_station_is_named_only_if_it_alone_is() -> None:
    def finding(moved: Moved) -> list[Finding]:
        values = {"p": 0.0, "p_corrected": 0.0, "effect": 1.0, "before": 0.0, "now": 1.0}
        return [Finding(statistic="noise", is_alarm=True, moved=moved, **values)]

    within = Moved(how="within", by="station", parts=("MR2",), studies=9)
    assert names_station(finding(within), "MR2")
    assert not names_station(finding(within), "MR1")
    assert not names_station(finding(within), None)
    assert names_station(finding(Moved(how="everywhere")), None)


def test_the_changes_do_what_their_names_say(phantom: Phantom) -> None:
    rng, image = np.random.default_rng(0), phantom.image
    before = image_numbers(image)
    louder = image_numbers(CHANGES["gain x 1.5"](image, rng))
    assert 1.48 < louder["intensity_p95"] / before["intensity_p95"] < 1.52
    noisier = image_numbers(CHANGES["noise x 2.0"](image, rng))
    assert 1.7 < noisier["noise"] / before["noise"] < 2.3
    wide = image_numbers(wider(1.2)(image, rng))
    assert np.isclose(wide["row_spacing_mm"], 1.2 * before["row_spacing_mm"])
    assert wide["noise"] == before["noise"]
