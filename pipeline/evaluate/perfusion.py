"""Judge the perfusion analysis on labelled series: how a site accepts a model before it goes live.

Each series runs through the same ingest and analysis as a study does. The whole pool runs, whatever
``stop_below_u_pp`` says: the chosen member is compared with every single member and with the pool's
average, the two obvious alternatives to choosing. What is chosen is chosen as the site has set.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass

from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.oneslice import (
    SliceAnalysis,
    analyse_slice,
    signs_on,
    with_first_members,
)
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.perfusion.trust import assess
from pipeline.analyses.perfusion.verdict import SeriesTrust
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.errors import StudyRejected, UnusableCall
from pipeline.evaluate.bybeat import by_beat_dice, label_agreement
from pipeline.evaluate.cohort import Evaluation, SeriesRow
from pipeline.evaluate.labelled import (
    labelled_paths,
    labelled_series,
    patient_of,
    read_truth,
    stem,
)
from pipeline.imaging.overlap import dice
from pipeline.study import InputSeries


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
    paths = list(labelled_paths(images))
    rows: list[SeriesRow] = []
    not_judged: dict[str, str] = {}
    for done, path in enumerate(paths):
        progress(done, len(paths))
        try:
            rows.append(_judge(path, labels, pool, settings))
        except StudyRejected as reason:
            not_judged[path.name] = str(reason)
    if not rows:
        reasons = "; ".join(f"{name}: {why}" for name, why in not_judged.items())
        raise UnusableCall(f"no series in {images} can be judged; {reasons or 'no NIfTI files'}")
    progress(len(paths), len(paths))
    return Evaluation(rows=tuple(rows), not_judged=not_judged, flag_u_pp=settings.flag_u_pp)


def _judge(path: Path, labels: Path, pool: Pool, settings: PerfusionSettings) -> SeriesRow:
    """Analyse one series and compare it with its label."""
    series = labelled_series(path)
    truth, stored = read_truth(path, labels, series.image.array.shape[1:])
    stopwatch = Stopwatch()
    all_members = replace(settings, stop_below_u_pp=0.0)
    whole = [
        analyse_slice(series, index, (pool, all_members), stopwatch)
        for index in range(series.image.n_slices)
    ]
    found = [with_first_members(f, settings, None) for f in whole]
    chosen = np.stack([_chosen_segmentation(f) for f in found])
    u_pp = max(f.u_pp for f in found)
    average = [np.mean([m.probabilities for m in f.maps], axis=0) for f in whole]
    has_blood = bool((truth == BLOOD_POOL).any())
    trust = assess(signs_on(found), pool.trust)
    pixel_mm2 = float(np.prod(series.image.spacing_mm[1:]))
    return SeriesRow(
        name=stem(path),
        patient=patient_of(stem(path)),
        myocardium_dice=dice(chosen == MYOCARDIUM, truth == MYOCARDIUM),
        by_beat_dice=by_beat_dice(found, chosen, stored, series.image.spacing_mm[1:]),
        label_agreement=label_agreement(truth, stored),
        blood_pool_dice=dice(chosen == BLOOD_POOL, truth == BLOOD_POOL) if has_blood else None,
        u_pp=u_pp,
        chosen_members=tuple(None if f.chosen is None else pool.names[f.chosen] for f in found),
        members_run=float(np.mean([len(f.maps) for f in found])),
        member_dice={
            name: _myocardium_dice(whole, [f.maps[i].probabilities for f in whole], truth)
            for i, name in enumerate(pool.names)
        },
        pool_average_dice=_myocardium_dice(whole, average, truth),
        flagged=u_pp > settings.flag_u_pp,
        verdict=None if trust is None else trust.verdict.value,
        failure_probability=_failure_probability(
            trust, len(found), calibrated=pool.trust is not None
        ),
        areas_mm2=(
            float((chosen == MYOCARDIUM).sum()) * pixel_mm2,
            float((truth == MYOCARDIUM).sum()) * pixel_mm2,
        ),
        centre_error_mm=_centre_error_mm(series, found, truth),
        seconds=sum(stopwatch.seconds.values()),
    )


def _failure_probability(
    trust: SeriesTrust | None, n_slices: int, *, calibrated: bool
) -> float | None:
    """Return the highest probability of failure; 1 where a slice has no segmentation."""
    if not calibrated:
        return None
    if trust is None or len(trust.slices) < n_slices:
        return 1.0
    return max(s.failure_probability or 0.0 for s in trust.slices)


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


def _chosen_segmentation(found: SliceAnalysis) -> NDArray[np.uint8]:
    """Return the segmentation of a slice; empty where no member was chosen."""
    if found.final is None:
        return np.zeros(found.shape, dtype=np.uint8)
    return found.segmentation(found.final.probabilities)


def _myocardium_dice(
    found: Sequence[SliceAnalysis],
    probabilities: Sequence[NDArray[np.float32]],
    truth: NDArray[np.uint8],
) -> float:
    """Return the myocardial Dice of one set of probabilities a slice."""
    classes = np.stack([f.segmentation(p) for f, p in zip(found, probabilities, strict=True)])
    return dice(classes == MYOCARDIUM, truth == MYOCARDIUM)
