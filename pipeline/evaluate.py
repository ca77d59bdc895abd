"""Judge the perfusion analysis on labelled series: how a site accepts a model before it goes live.

Each series runs through the same ingest and analysis as a study does. The chosen member is compared
with every single member and with the pool's average, the two obvious alternatives to choosing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass

from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.oneslice import SliceAnalysis, analyse_slice
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.errors import StudyRejected, UnusableCall
from pipeline.imaging.nifti import read_labels
from pipeline.ingest.inventory import take_inventory
from pipeline.study import InputSeries

FAILED_BELOW = 0.6
"""A myocardial Dice below this is a failed segmentation."""

FOUND_WITHIN_MM = 20.0
"""A heart is found if its centre is located this near to the label's left ventricle [mm]: the
model's square then holds all of it."""

ENDINGS = (".nii.gz", ".nii")
"""File name endings of NIfTI."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesRow:
    """How one series came out."""

    name: str
    """File name without its ending."""

    myocardium_dice: float
    """Dice of the chosen members' myocardium; 0 where nothing was segmented."""

    blood_pool_dice: float | None
    """Dice of the chosen members' blood pool; None where the label has none."""

    u_pp: float
    """Highest U_pp of the chosen members over the slices; infinite where none was chosen."""

    chosen_members: tuple[str | None, ...]
    """Chosen member of each slice."""

    member_dice: dict[str, float]
    """Myocardial Dice of each single member."""

    pool_average_dice: float
    """Myocardial Dice of the mean of the members' probabilities."""

    flagged: bool
    """Whether U_pp lies above the threshold for a warning."""

    centre_error_mm: float
    """Distance from where the heart was found to the label's left ventricle, the largest over the
    labelled slices [mm]."""

    seconds: float
    """Time of preparation and inference [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All series, and what they amount to."""

    rows: tuple[SeriesRow, ...]
    """One a series."""

    not_judged: dict[str, str]
    """Why a file was not judged."""

    flag_u_pp: float
    """U_pp above which a result is flagged."""

    def summary(self) -> dict[str, object]:
        """Return the figures over all series."""
        dice = np.array([r.myocardium_dice for r in self.rows])
        blood = [r.blood_pool_dice for r in self.rows if r.blood_pool_dice is not None]
        failed = dice < FAILED_BELOW
        flagged = np.array([r.flagged for r in self.rows])
        members = {
            name: float(np.mean([r.member_dice[name] for r in self.rows]))
            for name in self.rows[0].member_dice
        }
        return {
            "n_series": len(self.rows),
            "myocardium_dice_mean": float(dice.mean()),
            "myocardium_dice_median": float(np.median(dice)),
            "blood_pool_dice_mean": float(np.mean(blood)) if blood else None,
            "failed_share": float(failed.mean()),
            "failed_and_flagged_share": float(flagged[failed].mean()) if failed.any() else None,
            "flagged_share": float(flagged.mean()),
            "flag_u_pp": self.flag_u_pp,
            "heart_found_share": float(
                np.mean([r.centre_error_mm <= FOUND_WITHIN_MM for r in self.rows])
            ),
            "centre_error_mm_median": float(np.median([r.centre_error_mm for r in self.rows])),
            "best_single_member_dice_mean": max(members.values()),
            "member_dice_means": members,
            "member_failed_shares": {
                name: float(np.mean([r.member_dice[name] < FAILED_BELOW for r in self.rows]))
                for name in members
            },
            "pool_average_dice_mean": float(np.mean([r.pool_average_dice for r in self.rows])),
            "seconds_mean": float(np.mean([r.seconds for r in self.rows])),
        }

    def to_json(self) -> dict[str, object]:
        """Return rows and summary as JSON values."""
        series = [
            {
                "name": r.name,
                "myocardium_dice": r.myocardium_dice,
                "blood_pool_dice": r.blood_pool_dice,
                "failed": r.myocardium_dice < FAILED_BELOW,
                "u_pp": r.u_pp if np.isfinite(r.u_pp) else None,
                "flagged": r.flagged,
                "centre_error_mm": r.centre_error_mm,
                "chosen_members": list(r.chosen_members),
                "member_dice": r.member_dice,
                "pool_average_dice": r.pool_average_dice,
                "seconds": r.seconds,
            }
            for r in self.rows
        ]
        return {"series": series, "summary": self.summary(), "not_judged": self.not_judged}

    def table(self) -> str:
        """Return a table for people."""
        width = max(len(r.name) for r in self.rows)
        lines = [f"{'series':{width}}  myocardium  blood pool    U_pp  chosen"]
        for r in self.rows:
            blood = "       -" if r.blood_pool_dice is None else f"{r.blood_pool_dice:8.3f}"
            chosen = ", ".join(c or "none" for c in r.chosen_members)
            mark = "  FAILED" if r.myocardium_dice < FAILED_BELOW else ""
            flag = "  flagged" if r.flagged else ""
            lines.append(
                f"{r.name:{width}}  {r.myocardium_dice:10.3f}  {blood:>10}  {r.u_pp:6.4f}  "
                f"{chosen}{mark}{flag}"
            )
        lines.append("")
        lines += [f"{key}: {_shown(value)}" for key, value in self.summary().items()]
        lines += [f"not judged: {name}: {why}" for name, why in self.not_judged.items()]
        return "\n".join(lines)


def evaluate_perfusion(
    images: Path,
    labels: Path,
    pool: Pool,
    settings: PerfusionSettings,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Evaluation:
    """Judge the analysis on a folder of series.

    Parameters
    ----------
    images
        Folder of 4-D NIfTI files.
    labels
        Folder of their labels: ``NAME.nii.gz`` pairs with ``NAME_label.nii.gz``. Values 1
        myocardium, 2 blood pool. A 4-D label counts on its labelled beats, by the majority at each
        pixel.
    pool
        The networks.
    settings
        What the site has set.
    progress
        Called with the number of series that are done, and of all.

    Raises
    ------
    UnusableCall
        If no series can be judged.
    """
    paths = [p for p in sorted(images.iterdir()) if p.name.endswith(ENDINGS)]
    paths = [p for p in paths if not _stem(p).endswith("_label")]
    rows: list[SeriesRow] = []
    not_judged: dict[str, str] = {}
    for done, path in enumerate(paths):
        progress(done, len(paths))
        try:
            rows.append(_judge(path, _label_of(path, labels), pool, settings))
        except StudyRejected as reason:
            not_judged[path.name] = str(reason)
    if not rows:
        reasons = "; ".join(f"{name}: {why}" for name, why in not_judged.items())
        raise UnusableCall(f"no series in {images} can be judged; {reasons or 'no NIfTI files'}")
    progress(len(paths), len(paths))
    return Evaluation(rows=tuple(rows), not_judged=not_judged, flag_u_pp=settings.flag_u_pp)


def majority(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return one label image for a series.

    Parameters
    ----------
    labels
        Shape ``(slices, rows, columns)``, returned as it is, or ``(beats, slices, rows, columns)``:
        a pixel is then of a class where more than half of the beats that have any label say so.

    Returns
    -------
        Shape ``(slices, rows, columns)``.
    """
    if labels.ndim == 3:
        return labels.astype(np.uint8)
    labelled = labels[(labels > 0).any(axis=(1, 2, 3))]
    whole = np.zeros(labels.shape[1:], dtype=np.uint8)
    for value in (MYOCARDIUM, BLOOD_POOL):
        whole[(labelled == value).sum(axis=0) * 2 > len(labelled)] = value
    return whole


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the Dice coefficient of two masks; 1 where both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def _judge(path: Path, label_path: Path, pool: Pool, settings: PerfusionSettings) -> SeriesRow:
    """Analyse one series and compare it with its label."""
    series = _load(path)
    truth = majority(read_labels(label_path))
    if truth.shape != series.image.array.shape[1:]:
        raise StudyRejected(
            f"{label_path.name} has shape {truth.shape}, the series {series.image.array.shape[1:]}"
        )
    if not (truth == MYOCARDIUM).any():
        raise StudyRejected(f"{label_path.name} has no myocardium (value {MYOCARDIUM})")
    stopwatch = Stopwatch()
    found = [
        analyse_slice(series, index, (pool, settings), stopwatch)
        for index in range(series.image.n_slices)
    ]
    chosen = np.stack([_chosen_segmentation(f) for f in found])
    u_pp = max(float("inf") if f.chosen is None else f.scores[f.chosen].u_pp for f in found)
    average = [np.mean([m.probabilities for m in f.maps], axis=0) for f in found]
    has_blood = bool((truth == BLOOD_POOL).any())
    return SeriesRow(
        name=_stem(path),
        myocardium_dice=dice(chosen == MYOCARDIUM, truth == MYOCARDIUM),
        blood_pool_dice=dice(chosen == BLOOD_POOL, truth == BLOOD_POOL) if has_blood else None,
        u_pp=u_pp,
        chosen_members=tuple(None if f.chosen is None else pool.names[f.chosen] for f in found),
        member_dice={
            name: _myocardium_dice(found, [f.maps[i].probabilities for f in found], truth)
            for i, name in enumerate(pool.names)
        },
        pool_average_dice=_myocardium_dice(found, average, truth),
        flagged=u_pp > settings.flag_u_pp,
        centre_error_mm=_centre_error_mm(series, found, truth),
        seconds=sum(stopwatch.seconds.values()),
    )


def _centre_error_mm(
    series: InputSeries, found: Sequence[SliceAnalysis], truth: NDArray[np.uint8]
) -> float:
    """Return the largest distance between where hearts were found and where the label has them."""
    spacing = np.array(series.image.spacing_mm[1:])
    errors = [
        float(np.linalg.norm((np.array(f.prepared.grid.centre) - center_of_mass(t > 0)) * spacing))
        for f, t in zip(found, truth, strict=True)
        if t.any()
    ]
    return max(errors)


def _load(path: Path) -> InputSeries:
    """Read a series by the door that studies come through."""
    inventory = take_inventory([path])
    if not inventory.candidates:
        raise StudyRejected("; ".join(r.reason for r in inventory.refusals) or "not a NIfTI file")
    series = inventory.candidates[0].load()
    if not isinstance(series, InputSeries):
        raise StudyRejected(f"{series.label}: raw data, images are judged")
    return series


def _chosen_segmentation(found: SliceAnalysis) -> NDArray[np.uint8]:
    """Return the chosen member's segmentation of a slice; empty where none was chosen."""
    if found.chosen is None:
        return np.zeros(found.shape, dtype=np.uint8)
    return found.segmentation(found.maps[found.chosen].probabilities)


def _myocardium_dice(
    found: Sequence[SliceAnalysis],
    probabilities: Sequence[NDArray[np.float32]],
    truth: NDArray[np.uint8],
) -> float:
    """Return the myocardial Dice of one set of probabilities a slice."""
    classes = np.stack([f.segmentation(p) for f, p in zip(found, probabilities, strict=True)])
    return dice(classes == MYOCARDIUM, truth == MYOCARDIUM)


def _label_of(image: Path, labels: Path) -> Path:
    """Return the label file of a series."""
    for ending in ENDINGS:
        path = labels / f"{_stem(image)}_label{ending}"
        if path.exists():
            return path
    raise StudyRejected(f"no {_stem(image)}_label.nii.gz in {labels}")


def _stem(path: Path) -> str:
    """Return a file's name without the ending of NIfTI."""
    for ending in ENDINGS:
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return path.name


def _shown(value: object) -> str:
    """Return a figure as text."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(v)}" for name, v in value.items())
    return str(value)
