"""Soft-edged shapes on a plane: what anatomy is drawn with."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.draws import Draws


@dataclass(frozen=True, kw_only=True, slots=True)
class Lobes:
    """Relative deviation of a closed curve from its mean radius: a Fourier series of the angle."""

    amplitudes: tuple[float, ...]
    """Amplitude of the harmonics 1, 2, 3, ..."""

    phases: tuple[float, ...]
    """Their phases [rad]."""

    def at(self, angle: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``1 + sum a_k cos(k (angle - p_k))``, in the shape of ``angle``."""
        value = np.ones_like(angle)
        for order, (amplitude, phase) in enumerate(
            zip(self.amplitudes, self.phases, strict=True), start=1
        ):
            value += np.float32(amplitude) * np.cos(np.float32(order) * (angle - np.float32(phase)))
        return value


def draw_lobes(draws: Draws, largest: tuple[float, ...]) -> Lobes:
    """Draw a deviation whose harmonics have at most these amplitudes."""
    return Lobes(
        amplitudes=tuple(draws.between(0.0, amplitude) for amplitude in largest),
        phases=tuple(draws.rng.uniform(-np.pi, np.pi) for _ in largest),
    )


ROUND = Lobes(amplitudes=(), phases=())
"""No deviation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """A lobed ellipse."""

    centre: tuple[float, float]
    """Centre (x, y) [mm]."""

    semi_axes: tuple[float, float]
    """Half-lengths along its own axes [mm]."""

    angle: float = 0.0
    """Angle of the first axis against x [rad]."""

    lobes: Lobes = ROUND
    """Deviation from the ellipse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """The points of an image, in the heart's own axes: x towards the lateral wall, y inferior."""

    x: NDArray[np.float32]
    """[mm], shape ``(rows, columns)``."""

    y: NDArray[np.float32]
    """[mm], shape ``(rows, columns)``."""

    edge_mm: float
    """Width over which a border fades, one pixel of the image: its partial volume [mm]."""

    def around(self, centre: tuple[float, float]) -> Self:
        """Return the plane with its origin moved."""
        return type(self)(
            x=self.x - np.float32(centre[0]), y=self.y - np.float32(centre[1]), edge_mm=self.edge_mm
        )

    def radius(self) -> NDArray[np.float32]:
        """Return the distance from the origin [mm]."""
        return np.asarray(np.sqrt(self.x**2 + self.y**2))

    def inside(self, distance_mm: NDArray[np.float32], softer: float = 1.0) -> NDArray[np.float32]:
        """Return the coverage of pixels by what lies at negative distance from a border [mm]."""
        fade = np.float32(1.0 / (softer * self.edge_mm))
        return np.asarray(np.clip(np.float32(0.5) - distance_mm * fade, 0.0, 1.0))

    def covered_by(self, blob: Blob, grown_mm: float = 0.0) -> NDArray[np.float32]:
        """Return the coverage of pixels by a blob, enlarged by a margin [mm]."""
        here = self.around(blob.centre)
        cos, sin = np.float32(np.cos(blob.angle)), np.float32(np.sin(blob.angle))
        first, second = blob.semi_axes[0] + grown_mm, blob.semi_axes[1] + grown_mm
        along = (here.x * cos + here.y * sin) / np.float32(first)
        across = (here.y * cos - here.x * sin) / np.float32(second)
        radius = np.sqrt(along**2 + across**2)
        border = blob.lobes.at(np.arctan2(across, along)) if blob.lobes.phases else np.float32(1.0)
        return self.inside((radius - border) * np.float32(np.sqrt(first * second)))
