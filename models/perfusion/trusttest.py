"""The bundle's calibration held against cases that it has not seen."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from models.perfusion.trustrows import Row
from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.trust import TrustModel
from pipeline.analyses.perfusion.verdict import Verdict
from pipeline.evaluate.report import write_risk_coverage
from pipeline.evaluate.warning import Warned, warned


def judged(cohorts: Mapping[str, Sequence[Row]], pool: Pool, folder: Path) -> str:
    """Write figures and numbers of cohorts, and return them as text.

    Parameters
    ----------
    cohorts
        Cases by the names of their cohorts.
    pool
        The networks, with their calibration.
    folder
        Where the files go.
    """
    model = pool.trust
    if model is None:
        return "the bundle has no calibration"
    folder.mkdir(parents=True, exist_ok=True)
    scores = {name: _scores(rows, model) for name, rows in cohorts.items()}
    write_risk_coverage(scores, folder / "trust_risk_coverage.png")
    document = {name: [asdict(w) for w in found] for name, found in scores.items()}
    (folder / "trust.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    lines: list[str] = []
    for name, rows in cohorts.items():
        lines += [f"{name}:", *_told(rows, model, scores[name])]
    return "\n".join(lines)


def _scores(rows: Sequence[Row], model: TrustModel) -> tuple[Warned, ...]:
    """Return how well trust and U_pp warn, on the cases that have a segmentation."""
    kept = [(row, row.signs) for row in rows if row.signs is not None]
    failed = [row.dice < model.failed_below for row, _ in kept]
    groups = [row.group for row, _ in kept]
    trust = [model.failure_probability(signs) for _, signs in kept]
    return (
        warned("trust", trust, failed, groups),
        warned("u_pp", [signs.u_pp for _, signs in kept], failed, groups),
    )


def _told(rows: Sequence[Row], model: TrustModel, scores: Sequence[Warned]) -> Iterator[str]:
    """Yield what a cohort amounts to, as lines."""
    without = sum(row.signs is None for row in rows)
    yield f"  {len(rows)} slices, {without} of them without a plausible myocardium"
    for score in scores:
        if score.auroc is None or score.auroc_limits is None:
            yield f"  {score.score}: {score.n_failed} of {score.n_cases} failed, no AUROC"
            continue
        low, high = score.auroc_limits
        yield (
            f"  {score.score}: AUROC {score.auroc:.3f} ({low:.3f} to {high:.3f}), mean risk "
            f"{score.mean_risk:.3f}, {score.n_failed} of {score.n_cases} failed"
        )
    for kind in ("sound", "spoilt"):
        chosen = [r for r in rows if (r.spoilt == "sound") == (kind == "sound")]
        yield f"  {kind}: {_verdicts(chosen, model)}"
    for way in sorted({row.spoilt for row in rows} - {"sound"}):
        chosen = [r for r in rows if r.spoilt == way]
        dice = float(np.mean([r.dice for r in chosen]))
        yield f"    {way:12} Dice {dice:.3f}; {_verdicts(chosen, model)}"


def _verdicts(rows: Sequence[Row], model: TrustModel) -> str:
    """Return how many cases have which verdict, and how many of these failed."""
    counts = {verdict.value: [0, 0] for verdict in Verdict if verdict != Verdict.NOT_CALIBRATED}
    counts["no segmentation"] = [0, 0]
    for row in rows:
        verdict = "no segmentation"
        if row.signs is not None:
            verdict = model.verdict(model.failure_probability(row.signs)).value
        counts[verdict][0] += 1
        counts[verdict][1] += row.dice < model.failed_below
    return ", ".join(f"{name} {n} ({bad} failed)" for name, (n, bad) in counts.items() if n)
