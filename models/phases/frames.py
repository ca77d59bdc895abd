"""Labelled frames of real operations, and the views of them that the head learns from.

Three videos are few, and each has its own light and colour: a head that sees them as they are
learns the video. So each frame is also seen cropped, mirrored, and in other colours.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import hsv2rgb, rgb2hsv

from models.phases.encoder import N_FEATURES, PICTURE_SIDE
from pipeline.analyses.phases.ontology import Procedure
from pipeline.analyses.phases.picture import small_picture
from pipeline.identity import digest_file
from pipeline.infer.bundle import Member
from pipeline.infer.session import open_network
from pipeline.infer.terms import Contract

CALIBRATION_STEP = 12
"""Every so manieth frame calibrates the encoder."""

Encode = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From a small picture, shape ``(side, side, 3)``, to its features, ``(features,)``."""


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
    folder: Path, procedure: Procedure, encode: Encode, n_views: int
) -> LabelledFeatures:
    """Encode the frames of a folder.

    Parameters
    ----------
    folder
        Holds ``labels.csv`` with the columns ``video``, ``phase`` and ``file``.
    procedure
        Whose phases are labelled.
    encode
        What encodes them.
    n_views
        Views of each frame, the frame itself included.
    """
    rows = _rows(folder)
    encoded = []
    for place, rgb in enumerate(_pictures(folder, rows)):
        views = [small_picture(rgb, PICTURE_SIDE)]
        views += [view_of(rgb, np.random.default_rng((place, n))) for n in range(1, n_views)]
        encoded.append([encode(view) for view in views])
    return LabelledFeatures(
        features=np.array(encoded, dtype=np.float32).swapaxes(0, 1),
        phase=np.array([procedure.column_of(r["phase"]) for r in rows]),
        video=np.array([int(r["video"]) for r in rows]),
    )


def calibration_pictures(folder: Path) -> NDArray[np.uint8]:
    """Return pictures that tell an encoder's ranges: frames of a folder, every other one a view.

    Parameters
    ----------
    folder
        As for ``encoded_frames``.

    Returns
    -------
        Shape ``(pictures, side, side, 3)``.
    """
    found = []
    for place, rgb in enumerate(_pictures(folder, _rows(folder)[::CALIBRATION_STEP])):
        is_view = place % 2 == 1
        drawn = np.random.default_rng((place, 0))
        found.append(view_of(rgb, drawn) if is_view else small_picture(rgb, PICTURE_SIDE))
    return np.stack(found)


def opened_encoder(path: Path) -> Encode:
    """Return an exported encoder, on one thread."""
    contract = Contract(
        input_name="image",
        input_shape=(1, 3, PICTURE_SIDE, PICTURE_SIDE),
        output_name="features",
        output_shape=(1, N_FEATURES),
    )
    member = Member(name="encoder", path=path, sha256=digest_file(path))
    network = open_network(member, contract, threads=1)

    def encode(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        return network(np.moveaxis(picture.astype(np.float32), -1, 0)[None])[0]

    return encode


def _rows(folder: Path) -> list[dict[str, str]]:
    """Return the table of a folder."""
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _pictures(folder: Path, rows: list[dict[str, str]]) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of rows."""
    for row in rows:
        yield np.asarray(Image.open(folder / row["file"]).convert("RGB"))


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
