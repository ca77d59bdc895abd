"""The unrolled reconstruction of one slice: graphs, with Fourier transforms in between.

``models.reconstruction.network.Unrolled`` is the same in torch; a test holds the two together.

The steps, with sensitivities S, centred transform F, mask M, measured samples y, A = M F S::

    S   = normalised(S0 + NO_S(S0, brightness))          learned on the coarse estimate S0
    x   = argmin |A x - y|^2 + s eta_0 |x|^2             where the cascades begin
    x  <- F^-1 (c + NO_K(c)),  c = F x                   the operator in k-space; not in varnet
    x  <- argmin |A x - y|^2 + s eta |x - (x' - NO(x', noise))|^2     each cascade

s grows with the power of the noise.

Each argmin is a few steps of conjugate gradients: data consistency as soft as the learned eta says.

A centred transform is the plain one between two diagonal phases. They are multiplied into the
sensitivities and into y once, so that no step moves memory to centre anything.

References
----------
Jatyani AS et al., "A unified model for compressed sensing MRI across undersampling patterns", CVPR
2025, arXiv 2410.16290: the operators and their order.
Aggarwal HK et al., "MoDL: model-based deep learning architecture for inverse problems", IEEE Trans
Med Imaging 2019;38:394, arXiv 1712.02862: conjugate gradients within a cascade.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.discfourier import DiscGraph
from pipeline.analyses.reconstruction.networks import UnrolledNetworks
from pipeline.analyses.reconstruction.prepare import Geometry, Prepared
from pipeline.analyses.reconstruction.sensitivities import CoarseCoils
from pipeline.analyses.reconstruction.settings import (
    FLOOR,
    ITERATIONS,
    START_ETA,
    START_ITERATIONS,
    TINY,
)
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.infer.graph import Graph
from pipeline.mr.fourier import fft2c, ifft2c

GROUP = 4
"""Coils that one thread works on, one after the other."""


def _share(stopwatch: Stopwatch, seconds: float, laps: Sequence["_Lap"]) -> None:
    """Add the time of work that ran side by side, by what it was spent on."""
    fft = sum(lap.of_fft for lap in laps)
    whole = fft + sum(lap.of_consistency for lap in laps)
    for name, part in (("fft", fft / whole), ("consistency", 1 - fft / whole)):
        stopwatch.add(name, seconds * part)


class _Lap:
    """Adds up what one thread spends on transforms, and on all else."""

    def __init__(self) -> None:
        self.of_fft = self.of_consistency = 0.0
        self._last = perf_counter()

    def fft(self) -> None:
        """Count the time since the last call as a transform's."""
        self.of_fft += self._since()

    def consistency(self) -> None:
        """Count the time since the last call as all else."""
        self.of_consistency += self._since()

    def _since(self) -> float:
        now = perf_counter()
        self._last, passed = now, now - self._last
        return passed


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconstructed:
    """One slice, in the units of the raw data."""

    image: NDArray[np.complex64]
    """The image. Shape ``(rows, columns)``."""

    sensitivities: NDArray[np.complex64]
    """Coil sensitivities that belong to it. Shape ``(coils, rows, columns)``."""


def unroll(prepared: Prepared, networks: UnrolledNetworks, stopwatch: Stopwatch) -> Reconstructed:
    """Reconstruct one slice.

    Parameters
    ----------
    prepared
        The slice.
    networks
        The model.
    stopwatch
        Takes the time of the stages ``networks``, ``fft`` and ``consistency``.

    Raises
    ------
    ModelContractBroken
        If a graph gives a value that is not finite.
    """
    operators = _Operators(prepared.geometry, networks, stopwatch)
    maps = operators.sensitivities(prepared.coarse)
    with ThreadPoolExecutor(networks.threads) as executor:
        data = Measurement(maps, prepared.mask, stopwatch, executor)
        adjoint = data.adjoint(prepared.kspace)
        soft = prepared.softness
        image = data.solved(adjoint, None, soft * START_ETA, START_ITERATIONS)
        if networks.kspace is not None:
            image = operators.filled(networks.kspace, image)
        for learned, cascade in zip(networks.etas, networks.cascades, strict=True):
            prior = image - operators.change(cascade, image, prepared.noise)
            eta = soft * learned
            image = data.solved(adjoint + np.float32(eta) * prior, prior, eta, ITERATIONS)
    return Reconstructed(image=image * np.float32(prepared.scale), sensitivities=maps)


class _Operators:
    """The learned operators on one grid."""

    def __init__(
        self, geometry: Geometry, networks: UnrolledNetworks, stopwatch: Stopwatch
    ) -> None:
        self._geometry, self._networks, self._stopwatch = geometry, networks, stopwatch

    def sensitivities(self, coarse: CoarseCoils) -> NDArray[np.complex64]:
        """Return coil sensitivities: their squares sum to one where there is signal."""
        geometry, maps = self._geometry, coarse.maps
        with self._stopwatch.stage("consistency"):
            brightness = np.broadcast_to(coarse.brightness, maps.shape)
            planes = np.stack((maps.real, maps.imag, brightness), 1)
        change = self._run(self._networks.sensitivity, planes, geometry.coarse_basis)
        with self._stopwatch.stage("consistency"):
            refined = maps + (change[:, 0] + 1j * change[:, 1])
            fine = geometry.to_rows @ refined @ geometry.to_columns.T
            power = np.einsum("cij,cij->ij", fine.real, fine.real)
            power += np.einsum("cij,cij->ij", fine.imag, fine.imag)
            fine /= np.sqrt(power + np.float32(FLOOR**2))
            return np.asarray(fine, dtype=np.complex64)

    def filled(
        self, graph: Graph | DiscGraph, image: NDArray[np.complex64]
    ) -> NDArray[np.complex64]:
        """Return an image after the operator in k-space."""
        weight = self._geometry.kspace_weight
        with self._stopwatch.stage("fft"):
            kspace = fft2c(image)
        change = self._applied(graph, self._padded(kspace * weight), self._geometry.kspace_basis)
        with self._stopwatch.stage("fft"):
            return ifft2c(np.asarray(kspace + change / weight, dtype=np.complex64))

    def change(
        self, graph: Graph | DiscGraph, image: NDArray[np.complex64], noise: float
    ) -> NDArray[np.complex64]:
        """Return what a cascade's operator finds wrong with an image of some noise."""
        planes = self._padded(image, np.float32(noise))
        return self._applied(graph, planes, self._geometry.image_basis)

    def _padded(self, values: NDArray[np.complex64], *constants: np.float32) -> NDArray[np.float32]:
        """Return real planes of the size that networks take, and constant ones after them."""
        rows, columns = self._geometry.shape
        planes = np.zeros((1, 2 + len(constants), *self._geometry.padded), dtype=np.float32)
        planes[0, 0, :rows, :columns] = values.real
        planes[0, 1, :rows, :columns] = values.imag
        for index, constant in enumerate(constants):
            planes[0, 2 + index] = constant
        return planes

    def _applied(
        self, graph: Graph | DiscGraph, planes: NDArray[np.float32], basis: NDArray[np.float32]
    ) -> NDArray[np.complex64]:
        """Apply a graph to planes, and return the grid's part of its answer."""
        rows, columns = self._geometry.shape
        change = self._run(graph, planes, basis)[0, :, :rows, :columns]
        return np.asarray(change[0] + 1j * change[1], dtype=np.complex64)

    def _run(
        self, graph: Graph | DiscGraph, planes: NDArray[np.float32], basis: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Run a graph, with the basis of the grid where it follows the resolution."""
        with self._stopwatch.stage("networks"):
            if self._networks.follows_resolution:
                return graph(planes, basis)
            return graph(planes)


class Measurement:
    """The measurement of one slice, and soft data consistency with it.

    Coils are worked on a few at a time, each from its multiplication to its sum while it is in the
    processor's cache, and the groups side by side. The groups do not depend on the number of
    threads, so that the result does not either.

    Parameters
    ----------
    maps
        Coil sensitivities. Shape ``(coils, rows, columns)``.
    mask
        What was measured. Shape ``(ky, kx)``.
    stopwatch
        Takes the time of the stages ``fft`` and ``consistency``.
    executor
        Runs the groups.
    """

    def __init__(
        self,
        maps: NDArray[np.complex64],
        mask: NDArray[np.bool_],
        stopwatch: Stopwatch,
        executor: ThreadPoolExecutor,
    ) -> None:
        self._stopwatch, self._executor = stopwatch, executor
        self._groups = [range(n, min(n + GROUP, len(maps))) for n in range(0, len(maps), GROUP)]
        image_phase, self._kspace_phase = centring_phases((mask.shape[0], mask.shape[1]))
        with stopwatch.stage("consistency"):
            self._maps = maps * image_phase
            self._conjugate = self._maps.conj()
            self._mask = mask.astype(np.float32)

    def adjoint(self, kspace: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return the image that measured samples give, zeros elsewhere."""
        with self._stopwatch.stage("consistency"):
            weight = self._kspace_phase.conj() * self._mask

        def from_samples(coil: int, _: _Lap) -> NDArray[np.complex64]:
            weighted: NDArray[np.complex64] = kspace[coil] * weight
            return weighted

        return self._summed(from_samples)

    def solved(
        self,
        right: NDArray[np.complex64],
        start: NDArray[np.complex64] | None,
        eta: float,
        iterations: int,
    ) -> NDArray[np.complex64]:
        """Solve ``(A^H A + eta) x = right`` by a few steps of conjugate gradients.

        Parameters
        ----------
        right
            Right side. Shape ``(rows, columns)``.
        start
            Where to begin; None begins at zero.
        eta
            Weight of the second term.
        iterations
            Number of steps.
        """
        image = np.zeros_like(right) if start is None else start
        residual = right if start is None else right - self._normal(start, eta)
        direction, power = residual, _power(residual)
        for _ in range(iterations):
            applied = self._normal(direction, eta)
            with self._stopwatch.stage("consistency"):
                curvature = float(np.vdot(direction, applied).real)
                length = np.float32(power / (curvature + TINY))
                image = image + length * direction
                residual = residual - length * applied
                power, before = _power(residual), power
                direction = residual + np.float32(power / (before + TINY)) * direction
        return image

    def _normal(self, image: NDArray[np.complex64], eta: float) -> NDArray[np.complex64]:
        """Return ``(A^H A + eta) x``."""

        def from_image(coil: int, lap: _Lap) -> NDArray[np.complex64]:
            seen = self._maps[coil] * image
            lap.consistency()
            kspace = scipy.fft.fft2(seen, norm="ortho", overwrite_x=True)
            lap.fft()
            kspace *= self._mask
            measured: NDArray[np.complex64] = kspace
            return measured

        return self._summed(from_image) + np.float32(eta) * image

    def _summed(
        self, measured: Callable[[int, _Lap], NDArray[np.complex64]]
    ) -> NDArray[np.complex64]:
        """Return the k-space of all coils as one image, coil by coil."""

        def of_group(coils: range) -> tuple[NDArray[np.complex64], _Lap]:
            lap = _Lap()
            total = np.zeros(self._mask.shape, dtype=np.complex64)
            for coil in coils:
                kspace = measured(coil, lap)
                lap.consistency()
                image = scipy.fft.ifft2(kspace, norm="ortho", overwrite_x=True)
                lap.fft()
                image *= self._conjugate[coil]
                total += image
            lap.consistency()
            return total, lap

        began = perf_counter()
        parts = list(self._executor.map(of_group, self._groups))
        total: NDArray[np.complex64] = np.sum([part for part, _ in parts], axis=0)
        _share(self._stopwatch, perf_counter() - began, [lap for _, lap in parts])
        return total


@lru_cache(maxsize=32)
def centring_phases(
    shape: tuple[int, int],
) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return the phases of image and k-space between which a plain transform is a centred one.

    With the origin ``c = n // 2`` of an axis, the exponent of the centred transform is
    ``-(k - c) (n' - c) / n = -k n' / n + c n' / n + c (k - c) / n``.
    """
    image, kspace = np.ones(shape), np.ones(shape)
    for axis, n in enumerate(shape):
        origin, index = n // 2, np.arange(n)
        view = (slice(None), None) if axis == 0 else (None, slice(None))
        image = image * np.exp(2j * np.pi * origin * index / n)[view]
        kspace = kspace * np.exp(2j * np.pi * origin * (index - origin) / n)[view]
    return image.astype(np.complex64), kspace.astype(np.complex64)


def _power(image: NDArray[np.complex64]) -> float:
    """Return the sum of squared magnitudes."""
    return float(np.vdot(image, image).real)
