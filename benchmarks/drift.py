"""How quiet the watch on drift is, and how soon it finds a change: ``python -m benchmarks.drift``.

Statistics of generated series, without inference. ``--studies`` sets how many are generated,
``--repetitions`` how often each trial is drawn anew from them. Where the real internal perfusion
series are (VESALIUS_DATA), their patients are split and changed as well.
"""

import json
import os
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.stats import binomtest

from benchmarks.table import RESULTS
from pipeline.drift.images import image_numbers
from pipeline.drift.points import Point, points_of
from pipeline.drift.window import Finding, Limits, compared
from pipeline.driftsettings import DriftSettings
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.statistics import Described, Recorded
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.study import InputSeries

SETTINGS = DriftSettings()
LIMITS = Limits(false_alarms=SETTINGS.false_alarms, least_effect=SETTINGS.least_effect)
WINDOW = SETTINGS.window
REFERENCE = 100
"""Studies of a reference."""
LONGEST = 5 * WINDOW
"""Changed studies after which a change counts as not found."""
STATIONS = ("MR1", "MR2")
BEGINNING = datetime(2026, 3, 2, tzinfo=UTC)
ROOT = Path(__file__).parents[1]

Change = Callable[[TimeSeries, np.random.Generator], TimeSeries]


def gained(factor: float) -> Change:
    """Return a scanner whose receiver is so much louder."""

    def change(image: TimeSeries, rng: np.random.Generator) -> TimeSeries:
        del rng
        return replace(image, array=np.rint(image.array * np.float32(factor)))

    return change


def noisier(factor: float) -> Change:
    """Return a scanner whose noise is so much larger, as the statistic sees it."""

    def change(image: TimeSeries, rng: np.random.Generator) -> TimeSeries:
        sigma = image_numbers(image)["noise"] * (factor**2 - 1) ** 0.5
        noise = rng.normal(0.0, sigma, image.array.shape).astype(np.float32)
        return replace(image, array=np.abs(np.rint(image.array + noise)))

    return change


def wider(factor: float) -> Change:
    """Return a scanner whose pixels are so much larger; the values stay."""

    def change(image: TimeSeries, rng: np.random.Generator) -> TimeSeries:
        del rng
        scale = np.diag([1.0, factor, factor, 1.0])
        return replace(image, affine=image.affine @ scale)

    return change


CHANGES: dict[str, Change] = {
    **{f"gain x {f}": gained(f) for f in (1.1, 1.2, 1.5)},
    **{f"noise x {f}": noisier(f) for f in (1.2, 1.5, 2.0)},
    **{f"pixel spacing x {f}": wider(f) for f in (1.05, 1.1, 1.2)},
}


def point(number: int, image: TimeSeries, station: str) -> Point:
    """Return a series as a study."""
    described = Described(numbers=image_numbers(image), categories={"station": station})
    return points_of(
        [Recorded(row=number, study=str(number), done_at=BEGINNING, described=described)]
    )[0]


def phantoms(count: int) -> list[TimeSeries]:
    """Return generated series whose pixels are of one scanner's usual range."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng([seed, 8])
        side = float(rng.uniform(1.6, 2.0))
        settings = PhantomSettings(
            n_slices=1, n_beats=40, rows=96, columns=96, pixel_spacing_mm=(side, side)
        )
        made.append(perfusion_phantom(seed, settings).image)
    return made


@dataclass(frozen=True, kw_only=True)
class Pools:
    """Studies to draw from: as they are, and after each change."""

    sound: list[Point]
    changed: dict[str, list[Point]]


def pools(images: Sequence[TimeSeries]) -> Pools:
    """Return all studies before and after each change."""
    stations = [STATIONS[n % 2] for n in range(len(images))]
    changed = {}
    for name, change in CHANGES.items():
        rng = np.random.default_rng(5)
        changed[name] = [
            point(n, change(image, rng), stations[n]) for n, image in enumerate(images)
        ]
    sound = [point(n, image, stations[n]) for n, image in enumerate(images)]
    return Pools(sound=sound, changed=changed)


def alarms(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that alarm."""
    return [finding for finding in findings if finding.is_alarm]


def quiet(points: Sequence[Point], repetitions: int) -> dict[str, object]:
    """Split the same studies at random into a reference and windows, and count alarms."""
    rng = np.random.default_rng(1)
    n_windows, splits_with_alarm, first_windows, alarming, seconds = 0, 0, 0, 0, 0.0
    for _ in range(repetitions):
        order = rng.permutation(len(points))
        reference = [points[i] for i in order[:REFERENCE]]
        found = []
        for start in range(REFERENCE, len(points) - WINDOW + 1, WINDOW):
            began = perf_counter()
            window = [points[i] for i in order[start : start + WINDOW]]
            found.append(bool(alarms(compared(reference, window, LIMITS))))
            seconds += perf_counter() - began
        n_windows, alarming = n_windows + len(found), alarming + sum(found)
        splits_with_alarm, first_windows = splits_with_alarm + any(found), first_windows + found[0]
    interval = binomtest(alarming, n_windows).proportion_ci()
    return {
        "splits": repetitions,
        "splits_whose_first_window_alarms": first_windows,
        "windows": n_windows,
        "windows_that_alarm": alarming,
        "rate": alarming / n_windows,
        "rate_95_percent": [interval.low, interval.high],
        "splits_with_any_alarm": splits_with_alarm,
        "ms_a_window": 1000.0 * seconds / n_windows,
    }


def streams(
    made: Pools, name: str, rng: np.random.Generator, station: str | None
) -> tuple[list[Point], list[Point], int]:
    """Return a reference, a stream that changes within its first window, and where it does."""
    order = rng.permutation(len(made.sound))
    before = int(rng.integers(WINDOW))
    reference = [made.sound[i] for i in order[:REFERENCE]]
    rest = order[REFERENCE : REFERENCE + before + LONGEST]
    stream = []
    for place, index in enumerate(rest):
        is_changed = place >= before and station in (None, made.sound[index].name("station"))
        stream.append((made.changed[name] if is_changed else made.sound)[index])
    return reference, stream, before


def found_after(
    made: Pools, name: str, repetitions: int, station: str | None = None
) -> dict[str, object]:
    """Return after how many studies since a change a window alarms, and what it names."""
    rng = np.random.default_rng(2)
    after: list[float] = []
    right = 0
    for _ in range(repetitions):
        reference, stream, before = streams(made, name, rng, station)
        first = next(_alarming(reference, stream, before), None)
        after.append(np.inf if first is None else first[0])
        right += first is not None and names_station(first[1], station)
    found = np.isfinite(after)
    return {
        "repetitions": repetitions,
        "found": int(found.sum()),
        "median": _told(after, 0.5),
        "p95": _told(after, 0.95),
        "place_named_rightly": right,
    }


def _alarming(
    reference: Sequence[Point], stream: Sequence[Point], before: int
) -> Iterator[tuple[int, list[Finding]]]:
    """Yield the windows that alarm after a change: studies since then, and the findings."""
    for start in range(0, len(stream) - WINDOW + 1, WINDOW):
        if start + WINDOW <= before:
            continue
        found = alarms(compared(reference, stream[start : start + WINDOW], LIMITS))
        if found:
            yield start + WINDOW - before, found


def names_station(found: Sequence[Finding], station: str | None) -> bool:
    """Tell whether the most certain finding names what has changed: a station, or everywhere."""
    moved = found[0].moved
    if moved is None:
        return False
    if station is None:
        return moved.how == "everywhere"
    return moved.how == "within" and moved.parts == (station,)


def _told(after: Sequence[float], quantile: float) -> int | None:
    """Return a quantile of studies; None where so many trials did not find the change."""
    value = float(np.quantile(after, quantile, method="higher"))
    return int(value) if np.isfinite(value) else None


def real_patients() -> list[tuple[str, list[TimeSeries]]]:
    """Return the real series of each patient; none where they are not."""
    data = Path(os.environ.get("VESALIUS_DATA", ROOT / ".." / "shared" / "data"))
    folder = data / "perfusion" / "internal"
    by_patient: dict[str, list[TimeSeries]] = {}
    for path in sorted(folder.rglob("*.nii*")) if folder.is_dir() else []:
        if "label" in str(path.relative_to(folder)).lower():
            continue
        for candidate in take_inventory([path]).candidates:
            if candidate.n_beats > 1:
                series = candidate.load()
                assert isinstance(series, InputSeries)  # noqa: S101 - an image, as it has beats
                by_patient.setdefault(path.name.split("_")[0], []).append(series.image)
    return sorted(by_patient.items())


def real(repetitions: int) -> dict[str, object] | None:
    """Split real patients at random, a third as the window, as it is and changed."""
    patients = real_patients()
    if not patients:
        return None
    sound = _patients(patients, None)
    size = len(sound) // 3
    made = {"as it is": sound} | {n: _patients(patients, c) for n, c in CHANGES.items()}
    counts = {}
    for name, points in made.items():
        rng = np.random.default_rng(3)
        counts[name] = 0
        for _ in range(repetitions):
            order = rng.permutation(len(sound))
            reference = [sound[i] for i in order[size:]]
            window = [points[i] for i in order[:size]]
            counts[name] += bool(alarms(compared(reference, window, LIMITS)))
    return {
        "patients": len(sound),
        "series": sum(len(images) for _, images in patients),
        "window": size,
        "splits": repetitions,
        "windows_that_alarm": counts,
    }


def _patients(
    patients: Sequence[tuple[str, Sequence[TimeSeries]]], change: Change | None
) -> list[Point]:
    """Return patients as studies, each with the median of its series."""
    rng = np.random.default_rng(4)
    jobs = []
    for name, images in patients:
        for image in images:
            seen = image if change is None else change(image, rng)
            described = Described(numbers=image_numbers(seen), categories={})
            jobs.append(Recorded(row=len(jobs), study=name, done_at=BEGINNING, described=described))
    return list(points_of(jobs))


def main() -> None:
    """Run the trials and print what was found."""
    parser = ArgumentParser(prog="benchmarks.drift", description=__doc__)
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--repetitions", type=int, default=100)
    call = parser.parse_args()
    if call.studies < REFERENCE + WINDOW + LONGEST:
        parser.error(f"--studies: {REFERENCE + WINDOW + LONGEST} or more")
    images = phantoms(call.studies)
    began = perf_counter()
    for image in images:
        image_numbers(image)
    cost_ms = 1000.0 * (perf_counter() - began) / len(images)
    made = pools(images)
    found = {
        "studies": call.studies,
        "reference": REFERENCE,
        "window": WINDOW,
        "false_alarms": LIMITS.false_alarms,
        "least_effect": LIMITS.least_effect,
        "statistics_ms_a_series": cost_ms,
        "quiet": quiet(made.sound, call.repetitions),
        "all_scanners_change": {n: found_after(made, n, call.repetitions) for n in CHANGES},
        "one_of_two_scanners_changes": {
            n: found_after(made, n, call.repetitions, STATIONS[1]) for n in CHANGES
        },
        "real": real(call.repetitions),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "drift.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
