"""The unrolled reconstruction: what serving computes around its ONNX graphs, here all in torch.

One network is either kind: ``operator`` has DISCO convolutions and a learned operator in k-space
(after [JAT2025]_); ``varnet`` has plain convolutions and none in k-space (after [SRI2020]_). All
else, the sensitivities from the two-dimensional centre, the cascades and the soft data consistency,
is the same.

References
----------
.. [JAT2025] Jatyani AS et al., "A unified model for compressed sensing MRI across undersampling
   patterns", CVPR 2025, arXiv 2410.16290.
.. [SRI2020] Sriram A et al., "End-to-end variational networks for accelerated MRI reconstruction",
   MICCAI 2020, arXiv 2004.06688.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.reconstruction.disco import Operator
from pipeline.analyses.reconstruction.prepare import Geometry, Prepared
from pipeline.analyses.reconstruction.sensitivities import CoarseCoils
from pipeline.analyses.reconstruction.settings import (
    FLOOR,
    ITERATIONS,
    START_ETA,
    START_ITERATIONS,
    TINY,
)

FIRST_ETA = 0.1
"""Weight of the operator's image against the data that training starts from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large a network is."""

    n_cascades: int
    """Cascades, each with its own operator."""

    channels: tuple[int, ...]
    """Channels of each level of a cascade's operator."""

    kspace_channels: tuple[int, ...]
    """The same in k-space; empty for no operator there."""

    sensitivity_channels: tuple[int, ...]
    """The same for the coil sensitivities."""


class Unrolled(nn.Module):
    """From undersampled k-space to one complex image.

    Parameters
    ----------
    kind
        ``operator`` or ``varnet``.
    size
        How large it is.
    """

    def __init__(self, kind: str, size: Size) -> None:
        super().__init__()
        self.sensitivity = Operator(kind, 3, 2, size.sensitivity_channels)
        self.kspace = Operator(kind, 2, 2, size.kspace_channels) if size.kspace_channels else None
        self.cascades = nn.ModuleList(
            Operator(kind, 3, 2, size.channels) for _ in range(size.n_cascades)
        )
        self.log_eta = nn.Parameter(torch.full((size.n_cascades,), math.log(FIRST_ETA)))

    @property
    def etas(self) -> Tensor:
        """How much each cascade holds on to its operator's image against the data."""
        return self.log_eta.exp()

    def forward(self, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """Reconstruct one slice.

        Returns
        -------
            The image, complex, scaled as ``prepared`` is, shape ``(rows, columns)``; and the coil
            sensitivities, shape ``(coils, rows, columns)``.
        """
        geometry = prepared.geometry
        maps = self.sensitivities(prepared.coarse, geometry)
        data = _Data(maps, torch.from_numpy(prepared.mask))
        adjoint = data.adjoint(torch.from_numpy(prepared.kspace))
        with torch.no_grad():
            # Where the cascades begin is no part of what is learned.
            soft = prepared.softness
            nothing = torch.zeros_like(adjoint)
            image = data.solved(adjoint, nothing, soft * START_ETA, START_ITERATIONS)
        if self.kspace is not None:
            image = self._filled(image, geometry)
        basis = torch.from_numpy(geometry.image_basis.copy())
        for learned, cascade in zip(self.etas, self.cascades, strict=True):
            change = _applied(cascade, _planes(image, prepared.noise), basis, geometry)
            prior = image - _complex(change)
            eta = soft * learned
            image = data.solved(adjoint + eta * prior, prior, eta, ITERATIONS)
        return image, maps

    def sensitivities(self, coarse: CoarseCoils, geometry: Geometry) -> Tensor:
        """Return coil sensitivities from their estimate on the coarse grid.

        Their squares sum to one where there is signal.
        """
        maps = torch.from_numpy(coarse.maps)
        brightness = torch.from_numpy(coarse.brightness)
        planes = torch.view_as_real(maps).permute(0, 3, 1, 2)
        planes = torch.cat((planes, brightness.expand(len(maps), 1, *brightness.shape)), dim=1)
        basis = torch.from_numpy(geometry.coarse_basis.copy())
        refined = maps + _complex_batch(self.sensitivity(planes, basis))
        rows = torch.from_numpy(geometry.to_rows).to(refined.dtype)
        columns = torch.from_numpy(geometry.to_columns).to(refined.dtype)
        fine = rows @ refined @ columns.T
        power = (fine.real**2 + fine.imag**2).sum(dim=0)
        return fine / torch.sqrt(power + FLOOR**2)

    def _filled(self, image: Tensor, geometry: Geometry) -> Tensor:
        """Return an image after the operator in k-space."""
        weight = torch.from_numpy(geometry.kspace_weight)
        basis = torch.from_numpy(geometry.kspace_basis.copy())
        kspace = fft2c(image)
        change = _applied(self.kspace, _planes(kspace * weight), basis, geometry)
        return ifft2c(kspace + _complex(change) / weight)


class _Data:
    """The measurement of one slice: soft data consistency with it."""

    def __init__(self, maps: Tensor, mask: Tensor) -> None:
        self._maps, self._mask = maps, mask

    def adjoint(self, kspace: Tensor) -> Tensor:
        """Return the image that measured samples give, zeros elsewhere."""
        return (self._maps.conj() * ifft2c(kspace * self._mask)).sum(dim=0)

    def solved(self, right: Tensor, start: Tensor, eta: Tensor | float, iterations: int) -> Tensor:
        """Solve ``(A^H A + eta) x = right`` by a few steps of conjugate gradients."""
        image = start
        residual = right - self._normal(image, eta)
        direction, power = residual, _power(residual)
        for _ in range(iterations):
            applied = self._normal(direction, eta)
            curvature = (direction.conj() * applied).real.sum()
            length = power / (curvature + TINY)
            image = image + length * direction
            residual = residual - length * applied
            power, before = _power(residual), power
            direction = residual + power / (before + TINY) * direction
        return image

    def _normal(self, image: Tensor, eta: Tensor | float) -> Tensor:
        return self.adjoint(fft2c(self._maps * image)) + eta * image


def _power(image: Tensor) -> Tensor:
    """Return the sum of squared magnitudes."""
    return (image.real**2 + image.imag**2).sum()


def n_parameters(network: nn.Module) -> int:
    """Return the number of weights."""
    return sum(p.numel() for p in network.parameters())


def fft2c(images: Tensor) -> Tensor:
    """Return k-space of images: centred and orthonormal."""
    axes: Sequence[int] = (-2, -1)
    shifted = torch.fft.ifftshift(images, dim=axes)
    return torch.fft.fftshift(torch.fft.fft2(shifted, norm="ortho"), dim=axes)


def ifft2c(kspace: Tensor) -> Tensor:
    """Return images of k-space: centred and orthonormal."""
    axes: Sequence[int] = (-2, -1)
    shifted = torch.fft.ifftshift(kspace, dim=axes)
    return torch.fft.fftshift(torch.fft.ifft2(shifted, norm="ortho"), dim=axes)


def _applied(operator: nn.Module, planes: Tensor, basis: Tensor, geometry: Geometry) -> Tensor:
    """Apply an operator to planes that are padded to the size that it takes."""
    rows, columns = geometry.shape
    below, right = geometry.padded[0] - rows, geometry.padded[1] - columns
    padded = functional.pad(planes[:, :2], (0, right, 0, below))
    constant = planes[:, 2:, :1, :1].expand(-1, -1, *geometry.padded)
    found: Tensor = operator(torch.cat((padded, constant), dim=1), basis)
    return found[:, :, :rows, :columns]


def _planes(image: Tensor, *constants: float) -> Tensor:
    """Return a complex image as two real planes, and constant ones after them."""
    planes = torch.view_as_real(image).permute(2, 0, 1)
    constant = [torch.full_like(planes[:1], value) for value in constants]
    return torch.cat((planes, *constant))[None]


def _complex(planes: Tensor) -> Tensor:
    """Return real planes as a complex image. Shape ``(rows, columns)``."""
    return torch.view_as_complex(planes[0].permute(1, 2, 0).contiguous())


def _complex_batch(planes: Tensor) -> Tensor:
    """Return real planes of several images as complex ones. Shape ``(n, rows, columns)``."""
    return torch.view_as_complex(planes.permute(0, 2, 3, 1).contiguous())
