"""The report of an evaluation: figures and a JSON file in a folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.evaluate.cohort import FAILED_BELOW, Evaluation
from pipeline.evaluate.warning import Warned
from pipeline.manifest import finite_object, serialised

LIMITS = 1.96
"""Standard deviations of the limits of agreement."""


def write_report(cohorts: Mapping[str, Evaluation], folder: Path) -> tuple[str, ...]:
    """Write figures and numbers of cohorts, and return the names of the files.

    Parameters
    ----------
    cohorts
        Evaluations by the names of their cohorts.
    folder
        Where they go; it is made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = {name: found.to_json() for name, found in cohorts.items()}
    (folder / "evaluation.json").write_text(
        serialised(finite_object({"cohorts": document})), encoding="utf-8"
    )
    panels: dict[str, Callable[[Axes, Evaluation], None]] = {
        "dice_and_u_pp.png": _dice_against_u_pp,
        "risk_coverage.png": _risk_of,
        "areas.png": _areas,
    }
    for name, draw in panels.items():
        _write_panels(cohorts, draw, folder / name)
    return ("evaluation.json", *panels)


def write_risk_coverage(found: Mapping[str, tuple[Warned, ...]], path: Path) -> None:
    """Write the risk-coverage curves of cohorts as one figure.

    Parameters
    ----------
    found
        Scores of each cohort, by its name.
    path
        The file.
    """
    figure, all_axes = _figure(len(found))
    for (name, scores), axes in zip(found.items(), all_axes, strict=True):
        risk_coverage(axes, scores)
        axes.set_title(name, fontsize=9)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def risk_coverage(axes: Axes, scores: tuple[Warned, ...]) -> None:
    """Draw the share of failures against the share of cases that are let through."""
    for score in scores:
        area = "" if score.auroc is None else f", AUROC {score.auroc:.3f}"
        axes.plot(score.coverage, score.risk, drawstyle="steps-post", label=f"{score.score}{area}")
    axes.set(xlabel="share let through", ylabel="share of failures in it", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)


def _write_panels(
    cohorts: Mapping[str, Evaluation], draw: Callable[[Axes, Evaluation], None], path: Path
) -> None:
    """Write one figure with a panel for each cohort."""
    figure, all_axes = _figure(len(cohorts))
    for (name, found), axes in zip(cohorts.items(), all_axes, strict=True):
        draw(axes, found)
        axes.set_title(f"{name}, {len(found.rows)} series", fontsize=9)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _figure(n_panels: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels side by side."""
    figure = Figure(figsize=(4.5 * n_panels, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, n_panels, squeeze=False)[0])


def _dice_against_u_pp(axes: Axes, found: Evaluation) -> None:
    """Draw Dice against U_pp; series without a segmentation have none."""
    shown = [r for r in found.rows if np.isfinite(r.u_pp)]
    axes.scatter([r.u_pp for r in shown], [r.myocardium_dice for r in shown], s=14)
    axes.axhline(FAILED_BELOW, color="tab:red", linewidth=0.8)
    axes.axvline(found.flag_u_pp, color="tab:grey", linewidth=0.8)
    axes.set(xscale="log", xlabel="U_pp", ylabel="Dice of the myocardium", ylim=(0, 1))


def _risk_of(axes: Axes, found: Evaluation) -> None:
    """Draw the risk-coverage curves of a cohort."""
    risk_coverage(axes, found.warnings())


def _areas(axes: Axes, found: Evaluation) -> None:
    """Draw how areas differ from the labels' [Bland, Altman, Lancet 327 (1986), 307-310]."""
    pairs = np.array([r.areas_mm2 for r in found.rows])
    difference = pairs[:, 0] - pairs[:, 1]
    axes.scatter(pairs.mean(axis=1), difference, s=14)
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    for height in (-LIMITS * spread, 0.0, LIMITS * spread):
        axes.axhline(difference.mean() + height, color="tab:grey", linewidth=0.8)
    axes.set(xlabel="mean area of the myocardium [mm2]", ylabel="found less labelled [mm2]")
