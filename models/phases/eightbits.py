"""The encoder in eight bits: what of it is rounded to what, and the same arithmetic in torch.

Activations are whole numbers from 0 to 255 and weights up to 63 either way; sums are exact in 32
bits. Each convolution is rounded on what the rounded ones before it give for pictures of
operations, so that it makes good part of their errors.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from models.phases.encoder import MIDDLE, RANGE, Convolution, Encoder, walk
from models.phases.rounding import rounded_weights

LEVELS = 255
"""Largest whole number of an activation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """What the whole numbers of a place stand for: ``scale * (whole - zero)``."""

    scale: float
    """Distance of two neighbours; a number of single precision."""

    zero: int
    """Which stands for zero."""

    @classmethod
    def over(cls, lowest: float, highest: float) -> "Grid":
        """Return the grid of values in a range; zero is on it."""
        lowest, highest = min(lowest, 0.0), max(highest, 1e-3)
        scale = float(np.float32((highest - lowest) / LEVELS))
        return cls(scale=scale, zero=round(-lowest / scale))

    def whole(self, values: Tensor) -> Tensor:
        """Return the whole numbers that are nearest to values."""
        return (values / self.scale).round().add(self.zero).clamp(0, LEVELS)

    def values(self, whole: Tensor) -> Tensor:
        """Return what whole numbers stand for."""
        return (whole - self.zero) * self.scale


PICTURE = Grid(scale=1 / RANGE, zero=MIDDLE)
"""Grid of a picture's channels as the stem takes them: nothing is rounded."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Place:
    """A convolution in eight bits."""

    weight: Tensor
    """Whole numbers, in the shape of the convolution's weights."""

    scale: Tensor
    """What they are multiplied by. Shape ``(channels,)``."""

    bias: Tensor
    """Whole numbers, in units of a weight's scale times an input's. Shape ``(channels,)``."""

    grid: Grid
    """What its outputs stand for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EightBits:
    """All convolutions and sums of an encoder by the names of their places."""

    encoder: Encoder
    """Says how places hang together; its weights are not looked at."""

    places: dict[str, Place] = field(default_factory=dict)
    """The convolutions."""

    sums: dict[str, Grid] = field(default_factory=dict)
    """Grids of what blocks add up."""

    def features(self, pictures: Tensor) -> Tensor:
        """Return the features of pictures, with sums in whole numbers.

        Parameters
        ----------
        pictures
            Whole numbers from 0 to 255. Shape ``(n, 3, side, side)``.
        """
        whole, grid = walk(self.encoder, _Exact(self), (pictures.double(), PICTURE))
        return grid.values(whole).mean(dim=(2, 3)).float()


Levels = tuple[Tensor, Grid]
"""Whole numbers, and what they stand for."""


class _Exact:
    """Takes whole numbers through an encoder."""

    def __init__(self, eight: EightBits) -> None:
        self._eight = eight

    def convolve(self, name: str, layer: Convolution, value: Levels) -> Levels:
        """Multiply, add, and round what comes out."""
        (whole, grid), place = value, self._eight.places[name]
        stride, groups = layer.convolution.stride, layer.convolution.groups
        # Double precision holds sums of 32 bits.
        inputs = layer.padded(whole - grid.zero)
        sums = functional.conv2d(inputs, place.weight.double(), place.bias, stride, groups=groups)
        share = (place.scale * grid.scale / place.grid.scale)[:, None, None]
        found = (sums.float() * share).round() + place.grid.zero
        return found.clamp(0, LEVELS).double(), place.grid

    def add(self, name: str, value: Levels, changed: Levels) -> Levels:
        """Add, and round the sum."""
        grid = self._eight.sums[name]
        (before, its), (after, theirs) = value, changed
        return grid.whole(its.values(before) + theirs.values(after)), grid


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Both:
    """A value as it should be, and rounded."""

    exact: Tensor
    rounded: Tensor
    grid: Grid


class _Calibration:
    """Rounds an encoder, place by place."""

    def __init__(self, encoder: Encoder) -> None:
        self.eight = EightBits(encoder=encoder)

    def convolve(self, name: str, layer: Convolution, value: _Both) -> _Both:
        """Round a convolution, and give its output on average what it should be."""
        convolution = layer.convolution
        assert convolution.bias is not None  # noqa: S101 - batch norms are fused
        made = rounded_weights(layer, value.rounded)
        weight = made.whole.reshape(convolution.weight.shape)
        exact = convolution(layer.padded(value.exact))
        found = functional.conv2d(
            layer.padded(value.rounded),
            weight * made.scale[:, None, None, None],
            stride=convolution.stride,
            groups=convolution.groups,
        )
        bias_scale = made.scale * value.grid.scale
        bias = ((exact - found).mean(dim=(0, 2, 3)).double() / bias_scale).round()
        found += (bias * bias_scale).float()[:, None, None]
        if not layer.linear:
            exact, found = functional.relu6(exact), functional.relu6(found)
        grid = Grid.over(float(found.min()), float(found.max()))
        self.eight.places[name] = Place(weight=weight, scale=made.scale, bias=bias, grid=grid)
        return _Both(exact=exact, rounded=grid.values(grid.whole(found)), grid=grid)

    def add(self, name: str, value: _Both, changed: _Both) -> _Both:
        """Choose the grid of a sum."""
        found = value.rounded + changed.rounded
        grid = Grid.over(float(found.min()), float(found.max()))
        self.eight.sums[name] = grid
        exact = value.exact + changed.exact
        return _Both(exact=exact, rounded=grid.values(grid.whole(found)), grid=grid)


@torch.inference_mode()
def calibrated(encoder: Encoder, pictures: NDArray[np.uint8]) -> EightBits:
    """Return an encoder in eight bits.

    Parameters
    ----------
    encoder
        Its batch norms are part of its convolutions (``fused``).
    pictures
        Pictures such as it will see. Shape ``(n, side, side, 3)``.
    """
    whole = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    value = PICTURE.values(whole)
    calibration = _Calibration(encoder)
    walk(encoder, calibration, _Both(exact=value, rounded=value, grid=PICTURE))
    return calibration.eight


def read_eight_bits(path: Path) -> EightBits:
    """Return the encoder that a graph of ``eightgraph`` holds."""
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    tensors = {name: torch.from_numpy(values.copy()) for name, values in stored.items()}
    eight = EightBits(encoder=Encoder().eval())

    def grid_of(name: str) -> Grid:
        return Grid(scale=float(stored[f"{name}.scale"]), zero=int(stored[f"{name}.zero"]))

    for name in stored:
        place, _, what = name.rpartition(".")
        if what == "weight":
            eight.places[place] = Place(
                weight=tensors[name].float(),
                scale=tensors[f"{place}.weight_scale"],
                bias=tensors[f"{place}.bias"].double(),
                grid=grid_of(place),
            )
        elif what == "scale" and place.endswith(".sum"):
            eight.sums[place] = grid_of(place)
    return eight
