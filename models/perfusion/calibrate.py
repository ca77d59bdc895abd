"""Calibrate trust: from labelled and generated series to the numbers that ship in the bundle.

    python -m models.perfusion.calibrate --data ../shared/data/perfusion

Weights come from one half of the generated series and two of the three patients that watched over
training, thresholds from the other half and the third: neither sees a patient that is kept out for
tests. The table of cases is kept, and ``--reuse`` starts from it. Everything is written to
``trust.json`` and put into the bundle. ``--test`` does not calibrate: it judges the bundle's
calibration on the patients that were kept out, on the external series and on the DICOM series, all
spoilt in the same ways. What the ways are: ``models/perfusion/trustcases.py``.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.perfusion.series import label_path, series_paths
from models.perfusion.trustbundle import BUNDLE, TRUST, put_trust
from models.perfusion.trustcases import (
    WAYS,
    Case,
    dicom_cases,
    generated_case,
    generated_neighbours,
    real_cases,
)
from models.perfusion.trustfit import fitted
from models.perfusion.trustrows import Row, read_rows, rows_of, write_rows
from models.perfusion.trusttest import judged
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.settings import UNCERTAINTY_STRIDES, PerfusionSettings
from pipeline.analyses.perfusion.trust import trust_document
from pipeline.infer.bundle import load_bundle
from pipeline.infer.terms import Compute

RUNS = Path(__file__).parent / "runs"
"""Where tables of cases are kept."""

FIRST_GENERATED = 50_000
"""Seed of the first generated series; those of the training begin at 10,000."""

FIRST_WITH_NEIGHBOURS = 60_000
"""Seed of the first of those that have several slices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """How much is made."""

    alone: int
    """Generated series of one slice."""

    with_neighbours: int
    """Generated series of several slices."""

    ways: int
    """Ways, drawn, in which each real series is spoilt."""

    @property
    def text(self) -> str:
        """The extent as a part of a file's name."""
        return f"{self.alone}_{self.with_neighbours}_{self.ways}"


def calibration_cases(data: Path, extent: Extent) -> Iterator[Case]:
    """Yield what is calibrated on."""
    for seed in range(FIRST_GENERATED, FIRST_GENERATED + extent.alone):
        yield generated_case(seed)
    for seed in range(FIRST_WITH_NEIGHBOURS, FIRST_WITH_NEIGHBOURS + extent.with_neighbours):
        yield generated_neighbours(seed)
    for number, path in enumerate(series_paths(data / "internal", "validation")):
        group = path.name.split("_")[0]
        yield from real_cases(path, label_path(path), group, number, extent.ways)


def held_out_cases(data: Path, ways: int) -> dict[str, Iterator[Case]]:
    """Return what is tested on, by the name of the cohort."""

    def internal() -> Iterator[Case]:
        for number, path in enumerate(series_paths(data / "internal", "test")):
            group = path.name.split("_")[0]
            yield from real_cases(path, label_path(path), group, 1000 + number, ways)

    def external() -> Iterator[Case]:
        paths = sorted((data / "external").glob("*.nii.gz"))
        images = [p for p in paths if not p.name.endswith("_label.nii.gz")]
        for number, path in enumerate(images):
            yield from real_cases(path, label_path(path), "exD-1", 2000 + number, ways)

    return {
        "internal": internal(),
        "external": external(),
        "ge": dicom_cases(data / "ge_dicom", 3000, ways),
    }


def table(name: str, cases: Iterator[Case], made_by: tuple[Pool, int], *, reuse: bool) -> list[Row]:
    """Return the rows of some cases, and keep them under a name that tells pool and stride."""
    pool, stride = made_by
    path = RUNS / f"trust_{name}_{stride}_{pool.digest[:12]}.csv"
    if reuse and path.is_file():
        return read_rows(path)
    settings = PerfusionSettings(uncertainty_stride=stride)
    rows: list[Row] = []
    for number, case in enumerate(cases, start=1):
        rows += rows_of(case, pool, settings)
        if number % 20 == 0:
            print(f"{name}: {number} cases, {len(rows)} slices", flush=True)
    write_rows(rows, path)
    return rows


def calibrate(data: Path, extent: Extent, stride: int, *, reuse: bool) -> None:
    """Make the calibration, and put it into the bundle."""
    pool = open_pool(load_bundle(BUNDLE), Compute(threads=1))
    cases = calibration_cases(data, extent)
    rows = table(f"calibration_{extent.text}", cases, (pool, stride), reuse=reuse)
    model = fitted(rows, pool.digest, stride)
    TRUST.write_text(json.dumps(trust_document(model), indent=2) + "\n", encoding="utf-8")
    put_trust(BUNDLE)
    failed = np.mean([r.dice < model.failed_below for r in rows if r.signs is not None])
    print(f"{len(rows)} slices, {failed:.1%} of those with a segmentation have failed")
    for doubt in model.doubts:
        print(f"  {doubt.name:22} {doubt.weight:6.2f}")
    print(f"trusted up to {model.trusted_up_to}; {model.guarantee}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Calibrate or test as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the perfusion data")
    parser.add_argument("--stride", type=int, default=8, choices=UNCERTAINTY_STRIDES)
    parser.add_argument("--alone", type=int, default=240, help="generated series of one slice")
    parser.add_argument("--with-neighbours", type=int, default=40, help="and of three")
    parser.add_argument("--ways", type=int, default=len(WAYS), help="ways to spoil a real series")
    parser.add_argument("--reuse", action="store_true", help="start from the tables that are kept")
    parser.add_argument("--test", type=Path, metavar="DIR", help="test, and write figures there")
    options = parser.parse_args(arguments)
    if options.test is None:
        extent = Extent(
            alone=options.alone, with_neighbours=options.with_neighbours, ways=options.ways
        )
        calibrate(options.data, extent, options.stride, reuse=options.reuse)
        return
    pool = open_pool(load_bundle(BUNDLE), Compute(threads=1))
    made_by = (pool, options.stride)
    rows = {
        name: table(f"{name}_{options.ways}", cases, made_by, reuse=options.reuse)
        for name, cases in held_out_cases(options.data, options.ways).items()
    }
    print(judged(rows, pool, options.test))


if __name__ == "__main__":
    main()
