"""Labelled frames of real operations, and the views of them that the head learns from.

Three videos are few, and each has its own light and colour: a head that sees them as they are
learns the video. So each frame is also seen cropped, mirrored, and in other colours.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.color import hsv2rgb, rgb2hsv

from models.phases.encoder import PICTURE_SIDE, Encoder
from pipeline.analyses.phases.ontology import Procedure
from pipeline.analyses.phases.picture import small_picture


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledFeatures:
    """Features of labelled frames."""

    features: NDArray[np.float32]
    """Shape ``(views, frames, features)``; the first view is the frame as it is."""

    phase: NDArray[np.int64]
    """Column of each frame's phase. Shape ``(frames,)``."""

    video: NDArray[np.int64]
    """Number of each frame's video. Shape ``(frames,)``."""


def encoded_frames(
    folder: Path, procedure: Procedure, encoder: Encoder, n_views: int
) -> LabelledFeatures:
    """Encode the frames of a folder.

    Parameters
    ----------
    folder
        Holds ``labels.csv`` with the columns ``video``, ``phase`` and ``file``.
    procedure
        Whose phases are labelled.
    encoder
        What encodes them.
    n_views
        Views of each frame, the frame itself included.
    """
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    encoded = []
    for place, row in enumerate(rows):
        rgb = np.asarray(Image.open(folder / row["file"]).convert("RGB"))
        views = [small_picture(rgb, PICTURE_SIDE)]
        views += [view_of(rgb, np.random.default_rng((place, n))) for n in range(1, n_views)]
        pictures = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            encoded.append(encoder(pictures).numpy())
    features = np.stack(encoded, axis=1)
    return LabelledFeatures(
        features=features,
        phase=np.array([procedure.column_of(r["phase"]) for r in rows]),
        video=np.array([int(r["video"]) for r in rows]),
    )


def view_of(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a view of a frame: cropped, mirrored or not, in another light and other colours."""
    rows, columns = rgb.shape[:2]
    share = rng.uniform(0.7, 1)
    height, width = int(rows * share), int(columns * min(1, share * rng.uniform(0.9, 1.1)))
    top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
    cropped = np.ascontiguousarray(rgb[top : top + height, left : left + width])
    picture = small_picture(cropped, PICTURE_SIDE).astype(np.float32) / 255
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    hsv = rgb2hsv(picture)
    hsv[..., 0] = (hsv[..., 0] + rng.normal(0, 0.03)) % 1
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.5, 1.5), 0, 1)
    lit = hsv2rgb(hsv) * rng.uniform(0.7, 1.3, 3) * rng.uniform(0.7, 1.3)
    return np.asarray(255 * np.clip(lit, 0, 1) ** rng.uniform(0.6, 1.6), dtype=np.uint8)
