"""Labelled series: a file ``NAME.nii.gz`` with its labels ``NAME_label.nii.gz``."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.errors import StudyRejected
from pipeline.ingest.inventory import take_inventory
from pipeline.study import InputSeries

ENDINGS = (".nii.gz", ".nii")
"""File name endings of NIfTI."""

PATIENT = re.compile(r"^(.*?\d+)(?=_|$)")
"""The part of a series' name that is its patient's: up to the first number, ``patient05`` of
``patient05_rest_mid``."""


def labelled_paths(images: Path) -> Iterator[Path]:
    """Yield the series of a folder, in order, without labels that lie beside them."""
    for path in sorted(images.iterdir()):
        if path.name.endswith(ENDINGS) and not stem(path).endswith("_label"):
            yield path


def read_truth(
    path: Path, labels: Path, shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
    """Return the label of a series as one, and as it is in its file.

    Parameters
    ----------
    path
        The series.
    labels
        Folder of labels.
    shape
        Slices, rows and columns of the series.

    Raises
    ------
    StudyRejected
        If there is none, if it does not fit, or if it has no myocardium.
    """
    label_path = _label_of(path, labels)
    stored = _stored_labels(label_path)
    truth = majority(stored)
    if truth.shape != shape:
        raise StudyRejected(f"{label_path.name} has shape {truth.shape}, the series {shape}")
    if not (truth == MYOCARDIUM).any():
        raise StudyRejected(f"{label_path.name} has no myocardium (value {MYOCARDIUM})")
    return truth, stored


def labelled_series(path: Path) -> InputSeries:
    """Read a series by the door that studies come through.

    Raises
    ------
    StudyRejected
        If it cannot be read, or holds no images.
    """
    inventory = take_inventory([path])
    if not inventory.candidates:
        raise StudyRejected("; ".join(r.reason for r in inventory.refusals) or "not a NIfTI file")
    series = inventory.candidates[0].load()
    if not isinstance(series, InputSeries):
        raise StudyRejected(f"{series.label}: raw data, images are judged")
    return series


def _stored_labels(path: Path) -> NDArray[np.int16]:
    """Read labels by the same door; a scaled header stores 1 as 0.99998, so they are rounded.

    Shape ``(slices, rows, columns)``, or ``(beats, slices, rows, columns)`` where there are beats.
    """
    labels: NDArray[np.int16] = np.rint(labelled_series(path).image.array).astype(np.int16)
    return labels if len(labels) > 1 else labels[0]


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


def stem(path: Path) -> str:
    """Return a file's name without the ending of NIfTI."""
    for ending in ENDINGS:
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return path.name


def patient_of(name: str) -> str:
    """Return what of a series' name tells its patient; all of it where nothing does."""
    found = PATIENT.match(name)
    return found[1] if found else name


def _label_of(image: Path, labels: Path) -> Path:
    """Return the label file of a series."""
    for ending in ENDINGS:
        path = labels / f"{stem(image)}_label{ending}"
        if path.exists():
            return path
    raise StudyRejected(f"no {stem(image)}_label.nii.gz in {labels}")
