"""The two networks: a space-time U-Net that segments, a small U-Net that finds the heart.

Time enters as channels: the thirty beats of the first pass are the thirty input channels, so that
the first convolution sees each pixel's whole course, and everything after it is two-dimensional.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

N_BEATS = 30
"""Beats that a member of the pool sees (DAUGS: 64 x 64 x 30 patches)."""

N_CLASSES = 3
"""Background, left ventricular myocardium, left ventricular blood pool."""

MEMBER_CHANNELS = (32, 64, 96, 128)
"""Channels of a member at each resolution."""

LOCATOR_CHANNELS = (16, 24, 32, 48)
"""Channels of the locator at each resolution."""

N_MAPS = 6
"""Maps over time that the locator reads."""


class Block(nn.Sequential):
    """Two convolutions, each followed by instance normalisation and a leaky rectifier."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.InstanceNorm2d(n_out, affine=True),
            nn.LeakyReLU(0.01),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.InstanceNorm2d(n_out, affine=True),
            nn.LeakyReLU(0.01),
        )


class UNet(nn.Module):
    """A U-Net that halves its grid once for each level after the first.

    Parameters
    ----------
    n_in
        Input channels.
    n_out
        Output channels; the output holds logits.
    channels
        Channels at each level, finest first.
    """

    def __init__(self, n_in: int, n_out: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            Block(a, b) for a, b in zip((n_in, *channels[:-1]), channels, strict=True)
        )
        self.up = nn.ModuleList(
            Block(coarse + fine, fine)
            for coarse, fine in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(channels[0], n_out, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits. Shapes ``(batch, n_in, h, w)`` and ``(batch, n_out, h, w)``."""
        kept: list[Tensor] = []
        for level, block in enumerate(self.down):
            image = block(functional.max_pool2d(image, 2) if level else image)
            kept.append(image)
        kept.pop()
        for block in self.up:
            image = functional.interpolate(image, scale_factor=2.0, mode="nearest")
            image = block(torch.cat((image, kept.pop()), dim=1))
        logits: Tensor = self.head(image)
        return logits


class Member(nn.Module):
    """One member of the pool: beats in, probabilities of the three classes out."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet(N_BEATS, N_CLASSES, MEMBER_CHANNELS)

    def forward(self, beats: Tensor) -> Tensor:
        """Return probabilities. Shapes ``(batch, 30, 64, 64)`` and ``(batch, 3, 64, 64)``."""
        return self.unet(beats).softmax(dim=1)


class Locator(nn.Module):
    """Finds the left ventricle: maps over time in, likelihood of its centre out."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet(N_MAPS, 1, LOCATOR_CHANNELS)

    def forward(self, maps: Tensor) -> Tensor:
        """Return likelihoods. Shapes ``(1, 6, h, w)``, ``(1, 1, h, w)``; sides multiples of 8."""
        return self.unet(maps).sigmoid()
