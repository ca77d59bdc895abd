"""A volume through the steps that a bundle declares, and its labels back on the volume's grid."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.bundled import discrete, intensity, spatial
from pipeline.analyses.bundled.declaration import Declaration, Step
from pipeline.analyses.bundled.grid import Image, from_volume, grid_of, to_array
from pipeline.analyses.bundled.sliding import Network, slide
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.errors import AnalysisFailed, ModelContractBroken
from pipeline.imaging.volume import Volume

Array = NDArray[np.float32]

LARGEST_LABEL = 255
"""Labels are uint8."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BundledResult:
    """What was made of a volume."""

    labels: Volume
    """uint8 on the grid of the volume: 0 is background."""

    prepared: Image
    """What the network was given."""

    given: Array
    """What the network gave, windows joined. Shape ``(channels, i, j, k)``."""

    final: Image | None
    """Values on the volume's grid before they were made discrete; None where discrete labels were
    brought back to it."""

    stage_seconds: Mapping[str, float]
    """Wall time of each stage [s]."""


def analyse(
    volume: Volume,
    network: Network,
    declaration: Declaration,
    progress: Callable[[float], None],
) -> BundledResult:
    """Take a volume through the declared steps.

    Parameters
    ----------
    volume
        The volume, in its modality's values.
    network
        From ``(1, channels, i, j, k)`` to an array of the same voxels.
    declaration
        What is done.
    progress
        Called with the share of the windows that is done, 0 to 1.

    Raises
    ------
    AnalysisFailed
        If a step cannot be done with this volume.
    ModelContractBroken
        If the network's result has channels that the declaration does not make labels of.
    """
    watch = Stopwatch()
    with watch.stage("prepare"):
        prepared, undo = prepare(volume, declaration)
    with watch.stage("infer"):
        given = slide(prepared.array, network, declaration.windows, progress)
    final = None
    with watch.stage("label"):
        found = Image(array=given, affine=prepared.affine)
        inverted = False
        for step in declaration.postprocessing:
            if step.name == "AsDiscrete" and inverted:
                final = found
            found = _after(found, step, undo)
            inverted = inverted or step.name == "Invert"
        labels = _labels(found, volume)
    return BundledResult(
        labels=labels, prepared=prepared, given=given, final=final, stage_seconds=watch.seconds
    )


def prepare(volume: Volume, declaration: Declaration) -> tuple[Image, list[spatial.Undo]]:
    """Return a volume as the network takes it, and what undoes each step that moved voxels.

    Raises
    ------
    AnalysisFailed
        If there is no foreground to crop to.
    """
    image, undo = from_volume(volume), []
    for step in declaration.preprocessing:
        if step.name in _MOVES:
            image, back = _MOVES[step.name](image, step)
            undo.append(back)
        else:
            image = Image(array=_CHANGES[step.name](image.array, step), affine=image.affine)
    return image, undo


def _after(image: Image, step: Step, undo: list[spatial.Undo]) -> Image:
    """Do one step behind the network."""
    if step.name == "Invert":
        for back in reversed(undo):
            image = back(image, bool(step.options["nearest_interp"]))
        return image
    array = _ENDS[step.name](image.array, step)
    if step.name != "Activations" and len(array) != 1:
        raise ModelContractBroken(
            f"{len(array)} channels after {step.name}: one label a voxel is needed"
        )
    return Image(array=array, affine=image.affine)


def _labels(image: Image, volume: Volume) -> Volume:
    """Return labels on the volume's grid, once it is proven to be theirs."""
    expected = grid_of(volume)
    away = np.abs(image.affine - expected.affine).max()
    if image.grid.shape != expected.shape or away > 1e-3:
        raise ModelContractBroken(
            f"labels on a grid of {image.grid.shape}, {away:.3g} mm off, and not on that of their "
            f"source, {expected.shape}"
        )
    array = np.rint(to_array(image))
    if array.min() < 0 or array.max() > LARGEST_LABEL:
        raise AnalysisFailed(
            f"labels from {array.min():g} to {array.max():g}, possible is 0 to 255"
        )
    return volume.with_array(array.astype(np.uint8))


def _orientation(image: Image, step: Step) -> spatial.Moved:
    return spatial.orient(image, str(step.options["axcodes"]))


def _spacing(image: Image, step: Step) -> spatial.Moved:
    how = spatial.Resampling(
        mode=cast("spatial.Interpolation", step.options["mode"]),
        zeros_outside=step.options["padding_mode"] == "zeros",
    )
    return spatial.respace(image, cast("tuple[float, ...]", step.options["pixdim"]), how)


def _crop_foreground(image: Image, step: Step) -> spatial.Moved:
    widths = spatial.foreground_widths(
        image,
        margin=_wholes(step, "margin"),
        divisor=_wholes(step, "k_divisible"),
        inside=bool(step.options["allow_smaller"]),
    )
    return spatial.pad(image, widths, 0.0)


def _spatial_pad(image: Image, step: Step) -> spatial.Moved:
    return _padded(image, step, _wholes(step, "spatial_size"))


def _divisible_pad(image: Image, step: Step) -> spatial.Moved:
    divisors = _wholes(step, "k")
    size = [-(-n // k) * k if k > 0 else n for n, k in zip(image.grid.shape, divisors, strict=True)]
    return _padded(image, step, size)


def _padded(image: Image, step: Step, size: Sequence[int]) -> spatial.Moved:
    at_end = step.options["method"] == "end"
    widths = spatial.widths_to(image.grid.shape, size, at_end=at_end)
    return spatial.pad(image, widths, cast("float", step.options["value"]))


def _scale_range(array: Array, step: Step) -> Array:
    source = (cast("float", step.options["a_min"]), cast("float", step.options["a_max"]))
    return intensity.scale_range(array, source, _target(step), clip=bool(step.options["clip"]))


def _scale_percentiles(array: Array, step: Step) -> Array:
    ends = (cast("float", step.options["lower"]), cast("float", step.options["upper"]))
    return intensity.scale_percentiles(array, ends, _target(step), clip=bool(step.options["clip"]))


def _scale_extremes(array: Array, step: Step) -> Array:
    ends = (cast("float", step.options["minv"]), cast("float", step.options["maxv"]))
    return intensity.scale_extremes(array, ends)


def _normalise(array: Array, step: Step) -> Array:
    return intensity.normalise(
        array,
        cast("float | None", step.options["subtrahend"]),
        cast("float | None", step.options["divisor"]),
        nonzero=bool(step.options["nonzero"]),
    )


def _activations(array: Array, step: Step) -> Array:
    if step.options["sigmoid"]:
        array = discrete.sigmoid(array)
    return discrete.softmax(array) if step.options["softmax"] else array


def _as_discrete(array: Array, step: Step) -> Array:
    if step.options["argmax"]:
        array = discrete.argmax(array)
    limit = cast("float | None", step.options["threshold"])
    return array if limit is None else discrete.threshold(array, limit)


def _largest(array: Array, step: Step) -> Array:
    return discrete.largest_components(
        array,
        cast("tuple[int, ...] | None", step.options["applied_labels"]),
        independent=bool(step.options["independent"]),
        connectivity=cast("int", step.options["connectivity"]),
        n=cast("int", step.options["num_components"]),
    )


def _fill_holes(array: Array, step: Step) -> Array:
    return discrete.fill_holes(
        array,
        cast("tuple[int, ...] | None", step.options["applied_labels"]),
        connectivity=cast("int", step.options["connectivity"]),
    )


def _target(step: Step) -> tuple[float, float] | None:
    """Return the range that values are mapped to; None where it is not stated."""
    ends = step.options["b_min"], step.options["b_max"]
    return None if None in ends else cast("tuple[float, float]", ends)


def _wholes(step: Step, key: str) -> tuple[int, ...]:
    return cast("tuple[int, ...]", step.options[key])


_MOVES: Mapping[str, Callable[[Image, Step], spatial.Moved]] = {
    "Orientation": _orientation,
    "Spacing": _spacing,
    "CropForeground": _crop_foreground,
    "SpatialPad": _spatial_pad,
    "DivisiblePad": _divisible_pad,
}

_CHANGES: Mapping[str, Callable[[Array, Step], Array]] = {
    "ScaleIntensityRange": _scale_range,
    "ScaleIntensityRangePercentiles": _scale_percentiles,
    "ScaleIntensity": _scale_extremes,
    "NormalizeIntensity": _normalise,
}

_ENDS: Mapping[str, Callable[[Array, Step], Array]] = {
    "Activations": _activations,
    "AsDiscrete": _as_discrete,
    "KeepLargestConnectedComponent": _largest,
    "FillHoles": _fill_holes,
}
