"""An operator with large kernels, its convolutions done by Fourier transforms.

Kernels are discs of a share of the field of view: 7 by 7 points at 320 rows, 13 by 13 at 640. Done
directly, a convolution then takes time with the square of the pixels; by transforms, n log n. The
steps are the graph's (``discgraph``), and what comes out is the same but for rounding.

A kernel is a sum of basis functions, so that its spectrum is never made: the image's spectrum is
multiplied by that of each function, and one product of matrices with the weights sums over
functions and channels. A function's even part has a real spectrum and its odd part an imaginary
one, and the parts of nine functions are sums of five even and four odd ones: all factors are real.
Points of the spectrum are worked on a few at a time while they are in the processor's cache, and
channels a few at a time, so that beside images no more spectra are held than those of a few
channels, of the result and of the basis. The pieces do not depend on the number of threads, so that
the result does not either.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.discgraph import Convolve, Join, Mix, Pool, Step
from pipeline.infer.graph import Graph
from pipeline.infer.interrupt import current
from pipeline.infer.session import checked_output

LEAST_POINTS = 49
"""Points of the smallest kernel that is worth it. With 25, at 256 rows, transforms take longer."""

CHANNELS = 12
"""Channels whose spectra are held at once."""

CACHED = 2**18
"""Values that one piece of work multiplies: a mebibyte, which a core's cache holds."""

SAME = 1e-6
"""Singular values below this share of the basis's norm are rounding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Channels of an image."""

    channels: NDArray[np.float32]
    """Shape ``(channels, rows, columns)``."""

    is_small: bool = False
    """Whether they stand for channels twice as large, which are made one by one where needed."""

    def channel(self, index: int) -> NDArray[np.float32]:
        """Return one channel in its size."""
        found: NDArray[np.float32] = self.channels[index]
        return grown(grown(found, 0), 1) if self.is_small else found


Image = tuple[Part, ...]
"""Channels one after another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscGraph:
    """A graph whose large kernels are done by Fourier transforms, and small ones as it says."""

    graph: Graph
    """The graph."""

    steps: tuple[Step, ...]
    """What it computes."""

    threads: int
    """Threads that may work at once."""

    def __call__(self, *arrays: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the graph.

        Parameters
        ----------
        arrays
            Image and basis.

        Raises
        ------
        ModelContractBroken
            If the output has another shape or type, or holds a value that is not finite.
        """
        image, basis = arrays
        if len(image) != 1 or basis[0].size < LEAST_POINTS:
            return self.graph(image, basis)
        output = run_steps(self.steps, image, basis, self.threads)
        return checked_output(self.graph.name, output, self.graph.contract.output_shape)


class DiscFunctions:
    """The kernel basis, in even and odd functions.

    Parameters
    ----------
    basis
        Shape ``(functions, odd, odd)``.
    """

    def __init__(self, basis: NDArray[np.float32]) -> None:
        flipped = basis[:, ::-1, ::-1]
        floor = SAME * float(np.linalg.norm(basis))
        self._even, of_even = _span(basis + flipped, floor)
        self._odd, of_odd = _span(basis - flipped, floor)
        self._weights = np.concatenate((of_even, of_odd), axis=1)
        self._sides = basis.shape[1:]
        self._spectra: dict[tuple[int, int], tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def weights(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return weights of the basis as a matrix for the functions here, functions outermost.

        Parameters
        ----------
        weights
            Shape ``(out, in, functions)``.
        """
        turned = np.moveaxis(weights @ self._weights, 2, 1)
        return np.ascontiguousarray(turned.reshape(len(weights), -1), dtype=np.float32)

    def size(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the size of transforms that nothing wraps around in."""
        rows, columns = (
            scipy.fft.next_fast_len(max(n + side // 2, side), real=True)
            for n, side in zip(shape, self._sides, strict=True)
        )
        return rows, columns

    def spectra(self, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the real spectra of even functions, and those of odd ones over i.

        They are kept: every level of an operator needs its own several times. Shape ``(functions,
        points)``.
        """
        if size not in self._spectra:
            even, odd = self._spectrum(self._even, size), self._spectrum(self._odd, size)
            self._spectra[size] = (even.real.copy(), odd.imag.copy())
        return self._spectra[size]

    def _spectrum(
        self, functions: NDArray[np.float32], size: tuple[int, int]
    ) -> NDArray[np.complex64]:
        """Return spectra, the origin in the middle. Shape ``(functions, points)``."""
        rows, columns = self._sides
        placed = np.zeros((len(functions), *size), dtype=np.float32)
        placed[:, :rows, :columns] = functions.reshape(-1, rows, columns)
        placed = np.roll(placed, (-(rows // 2), -(columns // 2)), axis=(1, 2))
        found: NDArray[np.complex64] = scipy.fft.rfft2(placed).reshape(len(functions), -1)
        return found


def run_steps(
    steps: Iterable[Step],
    planes: NDArray[np.float32],
    basis: NDArray[np.float32],
    threads: int,
) -> NDArray[np.float32]:
    """Do an operator's steps.

    Parameters
    ----------
    steps
        The graph's.
    planes
        Its ``image``, a batch of one. Shape ``(1, channels, rows, columns)``.
    basis
        Its ``basis``. Shape ``(functions, odd, odd)``.
    threads
        Threads that may work at once.

    Raises
    ------
    Interrupted
        If the job is to end.
    """
    interrupt, functions = current(), DiscFunctions(basis)
    last = {name: step for step in steps for name in _sources(step)}
    values: dict[str, Image] = {"image": (Part(channels=planes[0]),)}
    found = planes[0]
    with ThreadPoolExecutor(threads) as executor:
        for step in steps:
            if interrupt is not None:
                interrupt.check()
            image = values[step.source]
            if isinstance(step, Join):
                (small,) = image
                result = (Part(channels=small.channels, is_small=True), *values[step.kept])
            else:
                found = _done(step, image, functions, executor)
                result = (Part(channels=found),)
            for name in _sources(step):
                if last[name] is step:
                    del values[name]
            values[step.target] = result
    return np.expand_dims(found, 0)


def _sources(step: Step) -> tuple[str, ...]:
    """Return the names of what a step takes."""
    return (step.source, step.kept) if isinstance(step, Join) else (step.source,)


def _done(
    step: Convolve | Pool | Mix, image: Image, functions: DiscFunctions, executor: Executor
) -> NDArray[np.float32]:
    """Return what a step makes of an image."""
    if isinstance(step, Convolve):
        return convolved(image, step.weights, functions, step.slope, executor)
    (part,) = image
    whole = part.channels
    if isinstance(step, Pool):
        return np.float32(0.25) * (
            (whole[:, ::2, ::2] + whole[:, 1::2, ::2])
            + (whole[:, ::2, 1::2] + whole[:, 1::2, 1::2])
        )
    mixed: NDArray[np.float32] = np.tensordot(step.weights, whole, axes=1)
    return mixed


def convolved(
    image: Image,
    weights: NDArray[np.float32],
    functions: DiscFunctions,
    slope: float,
    executor: Executor,
) -> NDArray[np.float32]:
    """Return an image after a convolution, zero outside, and a rectifier.

    Parameters
    ----------
    image
        What is convolved.
    weights
        Of the basis functions. Shape ``(out, in, functions)``.
    functions
        The basis on the image's grid.
    slope
        Of the rectifier for negative values.
    executor
        Runs the pieces.

    Returns
    -------
        Shape ``(out, rows, columns)``.
    """
    channels = [(part, index) for part in image for index in range(len(part.channels))]
    shape = channels[0][0].channel(0).shape
    size = functions.size((shape[0], shape[1]))
    spectrum = (size[0], size[1] // 2 + 1)
    total = np.zeros((len(weights), *spectrum), dtype=np.complex64)

    def transform(into: NDArray[np.complex64], which: tuple[Part, int]) -> None:
        part, index = which
        into[:] = scipy.fft.rfft2(part.channel(index), s=size)

    for first in range(0, len(channels), CHANNELS):
        group = channels[first : first + CHANNELS]
        seen = np.empty((len(group), *spectrum), dtype=np.complex64)
        _all(executor, transform, seen, group)
        matrix = functions.weights(weights[:, first : first + CHANNELS])
        _add_products(matrix, seen, functions.spectra(size), total, executor)
    found = np.empty((len(weights), *shape), dtype=np.float32)

    def transform_back(into: NDArray[np.float32], summed: NDArray[np.complex64]) -> None:
        values = scipy.fft.irfft2(summed, s=size)[: shape[0], : shape[1]]
        np.maximum(values, np.float32(slope) * values, out=into)

    _all(executor, transform_back, found, total)
    return found


def _add_products(
    matrix: NDArray[np.float32],
    seen: NDArray[np.complex64],
    spectra: tuple[NDArray[np.float32], NDArray[np.float32]],
    total: NDArray[np.complex64],
    executor: Executor,
) -> None:
    """Add what channels give to the spectrum of the result.

    Parameters
    ----------
    matrix
        Weights. Shape ``(out, functions x channels)``.
    seen
        Spectra of the channels. Shape ``(channels, rows, columns)``.
    spectra
        Those of the basis. Shape ``(functions, rows x columns)``.
    total
        What is added to. Shape ``(out, rows, columns)``.
    executor
        Runs the pieces.
    """
    even, odd = spectra
    n_channels, n_functions = len(seen), len(even) + len(odd)
    values = seen.reshape(n_channels, -1)
    sums = total.reshape(len(total), -1)
    length = max(1, CACHED // (2 * n_channels * n_functions))

    def add(start: int) -> None:
        piece = slice(start, start + length)
        plain = np.ascontiguousarray(values[:, piece])
        # A convolution of ONNX does not turn the kernel around: its spectrum is conjugated, and
        # with it the i of the odd functions, which is left to the image's spectrum.
        turned = np.complex64(-1j) * plain
        products = np.empty((n_functions, n_channels, 2 * plain.shape[1]), dtype=np.float32)
        for functions, factor, into in (
            (even, plain, products[: len(even)]),
            (odd, turned, products[len(even) :]),
        ):
            # A real factor multiplies both parts of a complex value.
            both = np.repeat(functions[:, None, piece], 2, axis=2)
            np.multiply(both, factor.view(np.float32), out=into)
        added = matrix @ products.reshape(n_functions * n_channels, -1)
        sums[:, piece] += added.view(np.complex64)

    _all(executor, add, range(0, values.shape[1], length))


def grown(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return an image with an axis twice as long, linearly between the middles of the pixels.

    Beyond the outermost middles the outermost values go on.
    """
    along = np.moveaxis(values, axis, -1)
    before = np.concatenate((along[..., :1], along[..., :-1]), axis=-1)
    after = np.concatenate((along[..., 1:], along[..., -1:]), axis=-1)
    near, far = np.float32(0.75) * along, np.float32(0.25)
    both = np.stack((near + far * before, near + far * after), axis=-1)
    return np.moveaxis(both.reshape(*along.shape[:-1], -1), -1, axis)


def _span(
    parts: NDArray[np.float32], floor: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return functions that span the halves of others down to a floor, and what of each they need.

    Shapes ``(fewer, points)`` and ``(functions, fewer)``.
    """
    flat = 0.5 * parts.reshape(len(parts), -1).astype(np.float64)
    needed, sizes, functions = np.linalg.svd(flat, full_matrices=False)
    kept = sizes > floor
    needed = needed[:, kept] * sizes[kept]
    return functions[kept].astype(np.float32), needed.astype(np.float32)


def _all(executor: Executor, task: Callable[..., None], *things: Iterable[object]) -> None:
    """Do a task for each of some things, and wait for all."""
    for _ in executor.map(task, *things):
        pass
