"""Two versions over series: a harmless one passes the default limits, a damaged one does not."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.compare.comparison import Case, Comparison, compare
from pipeline.compare.labels import labels_in
from pipeline.compare.likeness import likeness
from pipeline.compare.pairs import fitting, pairs_of_cohort, sampled
from pipeline.compare.report import PAIRS, REPORT, VERDICT, write_comparison
from pipeline.compare.verdict import Compared, Verdict, check_evidence, compared_version, judge
from pipeline.comparesettings import CompareSettings
from pipeline.config import Configuration
from pipeline.errors import UnreadableFile, UnusableCall
from pipeline.imaging.nifti import write_time_series, write_volume
from pipeline.imaging.volume import TimeSeries, Volume
from pipeline.infer.bundle import Bundle, load_bundle
from pipeline.infer.terms import Compute
from pipeline.perform import kind_of
from pipeline.phantom import PhantomSettings, perfusion_phantom
from tests.support.versions import version_of

N_SERIES = 3
LIMITS = CompareSettings(least_studies=N_SERIES)
NOBODY = Compared(name="n", version="1.0.0", digest="0" * 64)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of generated series and their labels."""
    folder = tmp_path_factory.mktemp("cohort")
    for seed in range(N_SERIES):
        phantom = perfusion_phantom(
            seed + 30, PhantomSettings(n_slices=1, n_beats=40, rows=96, columns=96)
        )
        write_time_series(phantom.image, folder / f"s{seed}.nii.gz", 1.0)
        truth = phantom.image.volume_like(phantom.labels.astype(np.uint8))
        write_volume(truth, folder / f"s{seed}_label.nii.gz")
    return folder


def compared(first: Bundle, second: Bundle, cohort: Path, scratch: Path) -> Comparison:
    settings = Configuration(perfusion=PerfusionSettings(uncertainty_stride=8))
    a, b = (kind_of(bundle)(bundle, settings, Compute(threads=1)) for bundle in (first, second))
    series = [path for path in sorted(cohort.glob("*.nii.gz")) if "label" not in path.name]
    pairs = pairs_of_cohort(fitting(series, a), (a, b), scratch, lambda _done, _all: None)
    return compare(pairs, "perfusion", labels_in(cohort))


@pytest.fixture(scope="module")
def verdicts(
    tiny_bundle: Path, cohort: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Comparison, Verdict, Path]]:
    """Return what is said of a version that hardly differs, and of a damaged one."""
    folder = tmp_path_factory.mktemp("versions")
    shipped = load_bundle(tiny_bundle)
    others = {
        "harmless": version_of(tiny_bundle, folder / "a", "0.0.2", noise=0.01),
        "damaged": version_of(tiny_bundle, folder / "b", "0.0.3", noise=1.0),
    }
    found = {}
    for name, other in others.items():
        comparison = compared(shipped, other, cohort, folder / "scratch")
        both = compared_version(shipped), compared_version(other)
        verdict = judge(comparison, both, LIMITS)
        write_comparison(comparison, verdict, folder / name)
        found[name] = comparison, verdict, folder / name
    return found


def test_a_harmless_version_passes_and_a_damaged_one_does_not(
    verdicts: dict[str, tuple[Comparison, Verdict, Path]],
) -> None:
    _, harmless, _ = verdicts["harmless"]
    assert harmless.passes, [check.told for check in harmless.checks if not check.passes]
    _, damaged, _ = verdicts["damaged"]
    failed = {check.figure for check in damaged.checks if not check.passes}
    assert failed & {
        "mean dice myocardium",
        "share that only the new version fails",
        "loss of dice against labels myocardium",
    }


def test_a_verdict_is_evidence_for_its_two_versions_under_its_limits(
    verdicts: dict[str, tuple[Comparison, Verdict, Path]],
) -> None:
    _, verdict, folder = verdicts["harmless"]
    digests = verdict.first.digest, verdict.second.digest
    kept = check_evidence(folder / VERDICT, digests, LIMITS)
    assert kept["studies"] == N_SERIES
    assert re.fullmatch("[0-9a-f]{64}", str(kept["evidence_sha256"]))
    with pytest.raises(UnusableCall, match="by other limits"):
        check_evidence(folder / VERDICT, digests, CompareSettings())
    with pytest.raises(UnusableCall, match="needed is one on"):
        check_evidence(folder / VERDICT, digests[::-1], LIMITS)
    _, worse, folder = verdicts["damaged"]
    with pytest.raises(UnusableCall, match="does not pass: "):
        check_evidence(folder / VERDICT, (worse.first.digest, worse.second.digest), LIMITS)


def test_a_verdict_that_was_edited_to_pass_does_not(
    verdicts: dict[str, tuple[Comparison, Verdict, Path]], tmp_path: Path
) -> None:
    _, worse, folder = verdicts["damaged"]
    document = json.loads((folder / VERDICT).read_text())
    document["passes"] = True
    for check in document["checks"]:
        check["passes"] = True
    (tmp_path / VERDICT).write_text(json.dumps(document))
    with pytest.raises(UnusableCall, match="does not pass: "):
        check_evidence(tmp_path / VERDICT, (worse.first.digest, worse.second.digest), LIMITS)


def test_the_report_needs_nothing_from_elsewhere(
    verdicts: dict[str, tuple[Comparison, Verdict, Path]],
) -> None:
    for _, verdict, folder in verdicts.values():
        text = (folder / REPORT).read_text()
        assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', text) == []
        # The letters of a picture may spell anything.
        text = re.sub(r'"data:image/png;base64,[^"]*"', "", text)
        assert "<script" not in text
        assert "http" not in text
        assert "Verdict: " in text
        assert verdict.second.digest in text
        assert text.count("<figure>") == N_SERIES
        assert text.count("<img") == N_SERIES
        assert "Bland and Altman" in text or not verdict.passes


def test_the_table_has_a_row_for_each_series(
    verdicts: dict[str, tuple[Comparison, Verdict, Path]],
) -> None:
    comparison, _, folder = verdicts["harmless"]
    with (folder / PAIRS).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["series"] for row in rows] == [f"s{n}.nii.gz" for n in range(N_SERIES)]
    for row, case in zip(rows, comparison.cases, strict=True):
        assert float(row["dice myocardium"]) == pytest.approx(case.likeness["dice myocardium"])
        assert row["myocardium_area_mm2 [mm2] first"]
        assert row["dice against label myocardium second"]


def test_a_version_is_no_other_than_itself(tiny_bundle: Path, cohort: Path, tmp_path: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    found = compared(bundle, bundle, cohort, tmp_path)
    assert [case.difference for case in found.cases] == [0.0] * N_SERIES
    assert all(a.bias == 0.0 for a in found.agreements().values())
    assert found.uncertainty_ratio() == 1.0
    both = compared_version(bundle), compared_version(bundle)
    assert judge(found, both, LIMITS).passes
    too_few = judge(found, both, CompareSettings())
    assert [c.figure for c in too_few.checks if not c.passes] == ["series with two results"]


def test_a_series_that_only_the_new_version_fails_counts_against_it() -> None:
    def case(number: int, *failures: str | None) -> Case:
        return Case(
            name=f"s{number}",
            input_digest=f"{number}",
            failures=(failures[0], failures[1]),
            likeness={} if any(failures) else {"dice myocardium": 0.9},
        )

    cases = (*(case(n, None, None) for n in range(8)), case(8, None, "no"), case(9, "no", None))
    found = Comparison(analysis="perfusion", cases=cases, pictures={})
    shares = {
        c.figure: c.value
        for c in judge(found, (NOBODY, NOBODY), replace(LIMITS, most_failures=0.2)).checks
    }
    assert shares["share that only the new version fails"] == pytest.approx(1 / 9)
    assert shares["series with two results"] == 8
    assert [c.name for c in found.shown[:2]] == ["s8", "s9"]


def test_images_and_phases_are_compared_by_their_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    image = rng.uniform(1, 2, (2, 1, 24, 24)).astype(np.float32)
    for name, factor in (("a", 1.0), ("b", 1.1)):
        (tmp_path / name).mkdir()
        series = TimeSeries(
            array=image * np.float32(factor),
            affine=np.eye(4),
            times_s=np.arange(2.0)[:, None],
            times_are_estimated=False,
        )
        write_time_series(series, tmp_path / name / "magnitude.nii.gz", 1.0)
        seconds = {"phase": ["one", "one", "two" if name == "a" else None, None]}
        (tmp_path / name / "phases.json").write_text(json.dumps({"seconds": seconds}))
    found = likeness("other", tmp_path / "a", tmp_path / "b")
    assert found["nrmse"] == pytest.approx(0.1, rel=1e-3)
    assert found["ssim"] > 0.9
    assert found["agreement"] == 0.75


def test_results_that_cannot_be_compared_are_told(tmp_path: Path) -> None:
    for name, shape in (("a", (1, 8, 8)), ("b", (1, 8, 9))):
        (tmp_path / name).mkdir()
        labels = np.ones(shape, np.uint8)
        write_volume(
            Volume(array=labels, affine=np.eye(4)), tmp_path / name / "segmentation.nii.gz"
        )
    with pytest.raises(UnreadableFile, match=r"shapes \(1, 8, 8\) and \(1, 8, 9\)"):
        likeness("other", tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "segmentation.nii.gz").unlink()
    with pytest.raises(UnreadableFile, match="only one of the results has it"):
        likeness("other", tmp_path / "a", tmp_path / "b")


def test_a_label_of_another_grid_ends_the_comparison(
    tiny_bundle: Path, cohort: Path, tmp_path: Path
) -> None:
    shutil.copy(cohort / "s0.nii.gz", tmp_path)
    label = Volume(array=np.ones((1, 8, 8), np.uint8), affine=np.eye(4))
    write_volume(label, tmp_path / "s0_label.nii.gz")
    bundle = load_bundle(tiny_bundle)
    with pytest.raises(UnreadableFile, match=r"shapes \(1, 96, 96\) and \(1, 8, 8\)"):
        compared(bundle, bundle, tmp_path, tmp_path / "scratch")


def test_a_sample_is_spread_over_all() -> None:
    assert sampled(range(10), 3) == (0, 3, 6)
    assert sampled(range(3), 5) == sampled(range(3), None) == (0, 1, 2)
