"""What the default limits say of harmless and damaged versions: ``python -m benchmarks.versions``.

The shipped perfusion pool is compared with copies of itself over the real internal series
(VESALIUS_DATA): without one of its members, and with noise on one convolution of each member.
``--series`` takes so many of them, evenly; ``--stride`` is the uncertainty's. Reports, tables and
verdicts stay in ``--output``.
"""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.table import RESULTS
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.compare.comparison import compare
from pipeline.compare.labels import labels_in
from pipeline.compare.pairs import fitting, pairs_of_cohort, sampled
from pipeline.compare.report import write_comparison
from pipeline.compare.verdict import Verdict, compared_version, judge
from pipeline.config import Configuration
from pipeline.infer.bundle import Bundle, find_bundle, load_bundle
from pipeline.infer.terms import Compute
from pipeline.perform import kind_of
from tests.support.versions import version_of

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A version that is compared with the shipped one."""

    name: str
    passes: bool
    """Whether it ought to pass."""
    noise: float = 0.0
    """Relative to the standard deviation of the layer's own weights."""
    layer: int = 0
    without: str | None = None


VARIANTS = (
    Variant(name="without member_3", passes=True, without="member_3"),
    Variant(name="first layer, noise 0.01", passes=True, noise=0.01),
    Variant(name="first layer, noise 0.5", passes=True, noise=0.5),
    Variant(name="first layer, noise 1", passes=True, noise=1.0),
    Variant(name="middle layer, noise 2", passes=True, noise=2.0, layer=7),
    Variant(name="last but one, noise 2", passes=False, noise=2.0, layer=-2),
    Variant(name="last layer, noise 1", passes=False, noise=1.0, layer=-1),
    Variant(name="last layer, noise 2", passes=False, noise=2.0, layer=-1),
)
"""Those that ought to pass cost nothing against the labels, however much was done to them."""


def main() -> None:
    """Compare each variant, and print what the limits say."""
    parser = ArgumentParser(prog="benchmarks.versions", description=__doc__)
    parser.add_argument("--series", type=int, default=123)
    parser.add_argument("--stride", type=int, default=PerfusionSettings().uncertainty_stride)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only", help="variants whose names hold this text")
    parser.add_argument("--output", type=Path, default=RESULTS / "versions")
    call = parser.parse_args()
    data = Path(os.environ.get("VESALIUS_DATA", ROOT / ".." / "shared" / "data"))
    cohort = data / "perfusion" / "internal"
    if not cohort.is_dir():
        raise SystemExit(f"no real series: {cohort} is missing")
    series = sorted(p for p in cohort.glob("*.nii.gz") if not p.name.endswith("_label.nii.gz"))
    lines = list(told(call, sampled(series, call.series), cohort))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "versions.md").write_text("\n".join(lines) + "\n")


def told(call: Namespace, series: tuple[Path, ...], labels: Path) -> Iterator[str]:
    """Yield and print the lines of the result."""
    yield said("# Versions compared", "")
    yield said(f"{len(series)} series, stride {call.stride}.", "")
    for variant in (v for v in VARIANTS if (call.only or "") in v.name):
        began = perf_counter()
        verdict = judged(variant, call, series, labels)
        seconds = perf_counter() - began
        as_it_ought = "as it ought" if verdict.passes == variant.passes else "NOT as it ought"
        word = "passes" if verdict.passes else "does not pass"
        yield said(f"## {variant.name}: {word}, {as_it_ought}; {seconds:.0f} s", "")
        yield said(*(f"    {check.told}" for check in verdict.checks), "")


def judged(variant: Variant, call: Namespace, series: tuple[Path, ...], labels: Path) -> Verdict:
    """Return the verdict on a variant, and keep its report."""
    settings = Configuration(perfusion=PerfusionSettings(uncertainty_stride=call.stride))
    compute = Compute(threads=call.threads)

    def opened(bundle: Bundle):  # noqa: ANN202 - an analysis
        return kind_of(bundle)(bundle, settings, compute)

    with TemporaryDirectory(prefix="vesalius-bench-") as folder:
        root = Path(folder)
        shipped = load_bundle(find_bundle("perfusion"))
        other = version_of(
            shipped.folder,
            root / "bundle",
            "0.1.1",
            noise=variant.noise,
            layer=variant.layer,
            without=variant.without,
        )
        versions = opened(shipped), opened(other)
        candidates = fitting(series, versions[0])
        pairs = pairs_of_cohort(candidates, versions, root, lambda _done, _all: None)
        found = compare(pairs, "perfusion", labels_in(labels))
    both = compared_version(shipped), compared_version(other)
    verdict = judge(found, both, settings.compare)
    write_comparison(found, verdict, call.output / variant.name.replace(",", "").replace(" ", "-"))
    return verdict


def said(*lines: str) -> str:
    """Print lines, and return them as one text."""
    text = "\n".join(lines)
    print(text, flush=True)
    return text


if __name__ == "__main__":
    main()
