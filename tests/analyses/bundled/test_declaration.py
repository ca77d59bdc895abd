"""Declarations: read whole, or refused by the name of what is not supported."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from pipeline.analyses.bundled.analysis import analyse
from pipeline.analyses.bundled.declaration import read_declaration
from pipeline.errors import AnalysisFailed, BundleRejected, ModelContractBroken
from pipeline.imaging.volume import Volume

SOUND: dict[str, Any] = {
    "preprocessing": [
        {"name": "Orientation", "axcodes": "RAS"},
        {"name": "Spacing", "pixdim": 2.0},
    ],
    "inferer": {"roi_size": [8, 8, 8]},
    "postprocessing": [
        {"name": "Invert", "nearest_interp": False},
        {"name": "AsDiscrete", "threshold": 0.5},
    ],
}
VOLUME = Volume(
    array=np.random.default_rng(0).normal(size=(6, 9, 7)).astype(np.float32),
    affine=np.diag([3.0, 1.5, 1.5, 1.0])[[1, 2, 0, 3]],
)


def changed(**values: object) -> dict[str, Any]:
    return {**deepcopy(SOUND), **values}


def test_arguments_that_are_not_stated_have_monais_defaults() -> None:
    declaration = read_declaration(SOUND, "bundle")
    assert declaration.preprocessing[1].options == {
        "pixdim": (2.0, 2.0, 2.0),
        "mode": "bilinear",
        "padding_mode": "border",
    }
    assert declaration.windows.overlap == (0.25,) * 3
    assert declaration.windows.mode == "constant"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"preprocessing": None}, "preprocessing is no list"),
        ({"preprocessing": [3]}, "preprocessing is no object"),
        ({"preprocessing": [{"name": "Zoom"}]}, "the transform 'Zoom' is not supported"),
        (
            {"preprocessing": [{"name": "Orientation", "axcodes": "RRS"}]},
            "'axcodes' of Orientation is 'RRS'",
        ),
        ({"preprocessing": [{"name": "Orientation"}]}, "'axcodes' of Orientation is missing"),
        (
            {"preprocessing": list(reversed(SOUND["preprocessing"]))},
            "preprocessing has Spacing before Orientation",
        ),
        ({"inferer": {"roi_size": [8, 8]}}, "'roi_size' of SlidingWindowInferer is"),
        ({"inferer": {"roi_size": 8, "overlap": 1.0}}, "from 0 to less than 1"),
        ({"postprocessing": [{"name": "Invert"}]}, "has 0 AsDiscrete, needed is one"),
        (
            {"postprocessing": [{"name": "FillHoles"}, *SOUND["postprocessing"]]},
            "FillHoles before AsDiscrete",
        ),
        (
            {"postprocessing": [*SOUND["postprocessing"], {"name": "Activations"}]},
            "Activations after AsDiscrete",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BundleRejected, match=reason):
        read_declaration(changed(**change), "bundle")


def test_labels_lie_on_the_grid_of_their_source() -> None:
    shares: list[float] = []
    result = analyse(
        VOLUME, lambda window: window, read_declaration(SOUND, "bundle"), shares.append
    )
    assert result.labels.array.shape == VOLUME.array.shape
    assert np.array_equal(result.labels.affine, VOLUME.affine)
    assert set(np.unique(result.labels.array)) == {0, 1}
    assert shares[-1] == 1.0


def test_several_channels_that_make_no_one_label_are_refused() -> None:
    declaration = read_declaration(SOUND, "bundle")
    with pytest.raises(ModelContractBroken, match="2 channels after AsDiscrete"):
        analyse(VOLUME, lambda w: np.repeat(w, 2, axis=1), declaration, lambda _: None)


def test_labels_beyond_a_byte_are_refused() -> None:
    ends = [{"name": "Invert"}, {"name": "AsDiscrete"}]
    declaration = read_declaration(changed(postprocessing=ends), "bundle")
    with pytest.raises(AnalysisFailed, match=r"labels from .* to .*, possible is 0 to 255"):
        analyse(VOLUME, lambda w: 500 * w, declaration, lambda _: None)
