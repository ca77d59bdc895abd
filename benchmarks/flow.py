"""How well flow is recovered where it is known: ``python -m benchmarks.flow``.

Curves are generated with four models of tissue, each with inputs, delays and sampling of their
own. ``--repetitions`` sets how many of each kind. Whole inputs and inputs that are cut off are
shown to the checks. Where the real concentration series is (VESALIUS_DATA), its flow is told, too.
"""

import json
import os
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.ndimage import binary_closing, binary_fill_holes, distance_transform_edt, label

from benchmarks.table import RESULTS
from pipeline.analyses.perfusion.flow.fermi import FermiModel
from pipeline.analyses.perfusion.flow.inputfunction import InputFunction, input_function
from pipeline.analyses.perfusion.flow.modelfree import ModelFree
from pipeline.analyses.perfusion.flow.response import Deconvolved
from pipeline.phantom.flowcurves import (
    RESIDUES,
    arterial_course,
    drawn_bolus,
    fine_times,
    tissue_course,
)

ROOT = Path(__file__).parents[1]
FLOWS = (0.5, 1.0, 2.0, 3.0, 4.0)
"""True flows [ml/min/g]."""
NOISES = (0.1, 0.05, 0.02)
"""Standard deviation of noise, relative to the tissue's largest concentration."""
OF_BLOOD = 1 / 3
"""Noise of the blood over that of the tissue: its pool is larger."""
DURATION_S = 50.0
CUTS = (0.9, 0.8, 0.7, 0.6)
"""Shares of the peak at which inputs are cut off."""
SATURATION_PER_MMOL = 0.3
"""Rate at which a signal that is taken for a concentration bends [l/mmol]: a third at 3 mmol/l."""
RING = (2.5, 5.0)
"""Nearest and farthest pixels of the real series' wall from its blood."""
EVERY = 10
"""One in so many pixels of it is fitted alone."""
METHODS: dict[str, Callable[[InputFunction, NDArray[np.float64]], FermiModel | ModelFree]] = {
    "fermi": FermiModel,
    "model_free": ModelFree,
}


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """Blood and tissue as they are sampled, without noise."""

    times_s: NDArray[np.float64]
    blood: NDArray[np.float64]
    tissue: NDArray[np.float64]


def sampled(rng: np.random.Generator, model: str, flow: float) -> Sampled:
    """Return courses of an injection, a delay and a sampling that are drawn."""
    fine = fine_times(DURATION_S)
    arterial = arterial_course(drawn_bolus(rng), fine)
    tissue = tissue_course(arterial, RESIDUES[model], flow, rng.uniform(0.0, 1.5))
    times = np.arange(0.0, DURATION_S - 1.0, rng.uniform(0.5, 1.0))
    return Sampled(
        times_s=times,
        blood=np.interp(times, fine, arterial),
        tissue=np.interp(times, fine, tissue),
    )


def noisy(
    rng: np.random.Generator, curve: NDArray[np.float64], deviation: float
) -> NDArray[np.float64]:
    """Return a curve with noise."""
    return curve + rng.normal(0.0, deviation, len(curve))


def recovered(
    model: str, flow: float, noise: float, repetitions: int
) -> Iterator[dict[str, object]]:
    """Yield how well each method recovers one flow at one noise."""
    seed = [list(RESIDUES).index(model), round(10 * flow), round(1e3 * noise)]
    rng = np.random.default_rng(seed)
    found: dict[str, list[Deconvolved]] = {name: [] for name in METHODS}
    for _ in range(repetitions):
        made = sampled(rng, model, flow)
        deviation = noise * float(made.tissue.max())
        blood = noisy(rng, made.blood, OF_BLOOD * deviation)
        tissue = noisy(rng, made.tissue, deviation)
        source = input_function(made.times_s, blood, in_mmol_l=True)
        if isinstance(source, str):
            continue
        for name, method in METHODS.items():
            found[name].append(method(source, made.times_s).fit(tissue))
    for name, estimates in found.items():
        flows = np.array([e.flow for e in estimates])
        yield {
            "model": model,
            "flow": flow,
            "noise": noise,
            "method": name,
            "n": len(flows),
            "bias": float(flows.mean() - flow),
            "spread": float(flows.std(ddof=1)),
            "covered": float(np.mean([e.low <= flow <= e.high for e in estimates])),
            "width": median(e.high - e.low for e in estimates),
        }


def checked(repetitions: int) -> dict[str, object]:
    """Show whole inputs and such that are cut off to the checks, and count refusals by reason."""
    rng = np.random.default_rng(7)
    refused: dict[str, Counter[str]] = {}
    for _ in range(repetitions):
        made = sampled(rng, "fermi", 1.0)
        deviation = rng.uniform(0.005, 0.03) * float(made.blood.max())
        kinds = {
            f"cut off at {cut}": np.minimum(made.blood, cut * made.blood.max()) for cut in CUTS
        }
        kinds["bent"] = (1 - np.exp(-SATURATION_PER_MMOL * made.blood)) / SATURATION_PER_MMOL
        kinds["whole"] = made.blood
        for name, blood in kinds.items():
            checked_one = input_function(made.times_s, noisy(rng, blood, deviation), in_mmol_l=True)
            reason = checked_one.split(":")[0] if isinstance(checked_one, str) else "taken"
            refused.setdefault(name, Counter())[reason] += 1
    return {"inputs": repetitions, "refused": {name: dict(c) for name, c in refused.items()}}


def real() -> dict[str, object] | None:
    """Return the flow of the real concentration series; None where it is not."""
    data = Path(os.environ.get("VESALIUS_DATA", ROOT / ".." / "shared" / "data"))
    path = data / "perfusion" / "quantification" / "perf_data.mat"
    if not path.is_file():
        return None
    held = loadmat(path)
    blood = held["aif"].ravel().astype(np.float64)
    times = np.arange(len(blood), dtype=np.float64) * float(held["deltaT"].ravel()[0])
    source = input_function(times, blood, in_mmol_l=True)
    if isinstance(source, str):
        return {"refused": source}
    pixels = held["data"][wall_beside(held["data"], source)].T
    methods = {name: method(source, times) for name, method in METHODS.items()}
    whole = {name: method.fit(pixels.mean(axis=1)) for name, method in methods.items()}
    some = pixels.T[::EVERY]
    return {
        "pixels": int(pixels.shape[1]),
        "mean_curve": {name: [e.flow, e.low, e.high] for name, e in whole.items()},
        "pixels_of_quartiles": len(some),
        "quartiles": {
            name: quartiles([method.fit(curve).flow for curve in some])
            for name, method in methods.items()
        },
        "input_peak": float(source.blood[source.peak]),
        "top_ratio": source.top_ratio,
    }


def wall_beside(series: NDArray[np.float64], source: InputFunction) -> NDArray[np.bool_]:
    """Return the ring around the left ventricle's blood, without what the right one lights up.

    Shape of the series ``(rows, columns, samples)``.
    """
    most = float(source.blood.max())
    bright = series[:, :, source.peak] > 0.25 * most
    pieces, _ = label(binary_fill_holes(binary_closing(bright, iterations=3)))
    pool = pieces == np.bincount(pieces[pieces > 0]).argmax()
    away = distance_transform_edt(~pool)
    early = series[:, :, : source.arrival + 4].max(axis=2) > 0.3 * most
    found: NDArray[np.bool_] = (away >= RING[0]) & (away <= RING[1]) & ~early
    return found


def quartiles(values: list[float]) -> list[float]:
    """Return the three quartiles."""
    return [float(q) for q in np.quantile(values, (0.25, 0.5, 0.75))]


def table(rows: list[dict[str, object]]) -> str:
    """Return what was recovered as a table."""
    lines = [
        f"{'model':17}{'method':12}{'flow':>5}{'noise':>7}{'bias':>7}{'spread':>8}{'covered':>9}"
    ]
    lines += [
        f"{r['model']:17}{r['method']:12}{r['flow']:5.1f}{r['noise']:7.0%}{r['bias']:+7.2f}"
        f"{r['spread']:8.2f}{r['covered']:9.0%}"
        for r in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Recover flows and print how well."""
    parser = ArgumentParser(prog="benchmarks.flow", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=12)
    parser.add_argument("--inputs", type=int, default=400)
    parser.add_argument("--models", nargs="+", default=list(RESIDUES), choices=list(RESIDUES))
    call = parser.parse_args()
    rows = [
        row
        for model in call.models
        for noise in NOISES
        for flow in FLOWS
        for row in recovered(model, flow, noise, call.repetitions)
    ]
    found = {"recovered": rows, "inputs": checked(call.inputs), "real": real()}
    print(table(rows))
    print(json.dumps({key: found[key] for key in ("inputs", "real")}, indent=2))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "flow.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
