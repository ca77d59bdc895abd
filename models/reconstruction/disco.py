"""DISCO convolutions and the U-shaped operator made of them; the same shape of plain convolutions.

Both kinds carry nine weights for each pair of channels and have no bias, so that they have the same
number of parameters, and scaling the input scales the output: nothing needs to be normalised by a
standard deviation that can be zero.

References
----------
Jatyani AS et al., "A unified model for compressed sensing MRI across undersampling patterns", CVPR
2025, arXiv 2410.16290.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.analyses.reconstruction.basis import N_BASIS

SLOPE = 0.2
"""Slope of the leaky rectifiers for negative values, as in the paper."""


class Disco(nn.Module):
    """A discrete-continuous convolution: the kernel is a sum of basis functions of the disc."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, N_BASIS) * (2 / (9 * n_in)) ** 0.5)

    def forward(self, image: Tensor, basis: Tensor) -> Tensor:
        """Convolve, zero outside.

        Parameters
        ----------
        image
            Shape ``(batch, channels, rows, columns)``.
        basis
            The basis on the image's grid. Shape ``(9, odd, odd)``.
        """
        n_out, n_in, _ = self.weight.shape
        rows, columns = basis.shape[1], basis.shape[2]
        kernel = self.weight.reshape(n_out * n_in, N_BASIS) @ basis.reshape(N_BASIS, -1)
        half_rows, half_columns = rows // 2, columns // 2
        padded = functional.pad(image, (half_columns, half_columns, half_rows, half_rows))
        return functional.conv2d(padded, kernel.reshape(n_out, n_in, rows, columns))


class Plain(nn.Module):
    """An ordinary convolution of three by three pixels, whatever a pixel is."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, 3, 3) * (2 / (9 * n_in)) ** 0.5)

    def forward(self, image: Tensor, basis: Tensor) -> Tensor:  # noqa: ARG002 - see ``Disco``
        """Convolve, zero outside; the basis is not used."""
        return functional.conv2d(image, self.weight, padding=1)


KINDS = {"operator": Disco, "varnet": Plain}
"""The kind of convolution that a network of each name is made of."""


class Block(nn.Module):
    """Two convolutions, each followed by a leaky rectifier."""

    def __init__(self, kind: str, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first, self.second = KINDS[kind](n_in, n_out), KINDS[kind](n_out, n_out)

    def forward(self, image: Tensor, basis: Tensor) -> Tensor:
        """Return features. Shape ``(batch, channels, rows, columns)`` in and out."""
        image = functional.leaky_relu(self.first(image, basis), SLOPE)
        return functional.leaky_relu(self.second(image, basis), SLOPE)


class Operator(nn.Module):
    """U-shaped operator: the disc's radius doubles at each level while the grid halves.

    So the kernel has the same size in pixels at every level, and one basis serves all.

    Parameters
    ----------
    kind
        A key of ``KINDS``.
    n_in, n_out
        Channels of the input and of the output.
    channels
        Channels of each level, the finest first.
    """

    def __init__(self, kind: str, n_in: int, n_out: int, channels: Sequence[int]) -> None:
        super().__init__()
        inputs = (n_in, *channels[:-1])
        self.down = nn.ModuleList(Block(kind, a, b) for a, b in zip(inputs, channels, strict=True))
        levels = list(channels)
        self.up = nn.ModuleList(
            Block(kind, coarse + fine, fine)
            for coarse, fine in zip(levels[:0:-1], levels[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(channels[0], n_out, 1, bias=False)
        # The operator begins as almost nothing: cascades begin as plain data consistency.
        nn.init.normal_(self.head.weight, std=1e-2)

    def forward(self, image: Tensor, basis: Tensor) -> Tensor:
        """Apply the operator.

        Parameters
        ----------
        image
            Sides are multiples of ``2 ** (levels - 1)``. Shape ``(batch, channels, rows,
            columns)``.
        basis
            The basis on the image's grid. Shape ``(9, odd, odd)``.
        """
        kept = []
        for index, block in enumerate(self.down):
            if index:
                image = functional.avg_pool2d(image, 2)
            image = block(image, basis)
            kept.append(image)
        kept.pop()
        for block in self.up:
            image = functional.interpolate(image, scale_factor=2.0, mode="bilinear")
            image = block(torch.cat((image, kept.pop()), dim=1), basis)
        found: Tensor = self.head(image)
        return found
