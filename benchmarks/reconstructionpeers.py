"""The other ways to reconstruct a slice: BART, SigPy, and a large network in torch.

Each regulariser's weight is the best of a few on a slice that is kept apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import ENVIRONMENTS, ask, debian, python_of
from benchmarks.reconstructioncases import Case, error_of, scale_of
from pipeline.mr.coils import largest_centre
from pipeline.peers import WEIGHTS, Bart, bart_missing

LONGEST_CENTRE = 24
"""Samples a side of the centre that ESPIRiT takes, by default in both."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solved:
    """What a peer made of a slice."""

    images: tuple[NDArray[np.complex64], ...]
    """One for each weight. Shape ``(rows, columns)``."""

    maps_s: float
    """What the sensitivities took [s]."""

    image_s: float
    """What the last image took, sensitivities apart [s]."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A way to reconstruct with a regulariser, whose weight is chosen once a pattern."""

    name: str
    solve: Callable[[Case, Sequence[float]], Solved]
    weights: dict[str, float] = field(default_factory=dict)

    def tune(self, pattern: str, apart: Case) -> None:
        """Choose the weight for a pattern on a slice that is kept apart."""
        images = self.solve(apart, WEIGHTS).images
        errors = [error_of(image, apart.truth) for image in images]
        self.weights[pattern] = WEIGHTS[int(np.argmin(errors))]


def bart(*, may_install: bool) -> Peer | None:
    """Return BART; None where it is not installed and may not be.

    Raises
    ------
    NotInstalled
        If it cannot be installed.
    """
    if may_install:
        debian("bart", "bart")
    return None if bart_missing() else Peer(name="BART 0.8 pics", solve=_by_bart)


def sigpy(*, may_install: bool) -> Peer | None:
    """Return SigPy; None where it is not installed and may not be.

    Raises
    ------
    NotInstalled
        If it cannot be installed.
    """
    if not may_install and not (ENVIRONMENTS / "sigpy" / ".installed").is_file():
        return None
    python = python_of("sigpy")

    def by_sigpy(case: Case, weights: Sequence[float]) -> Solved:
        centre = min(LONGEST_CENTRE, *largest_centre(case.mask).shape)
        with TemporaryDirectory() as place:
            images, kspace = Path(place, "images.npy"), Path(place, "kspace.npy")
            np.save(kspace, case.kspace / np.float32(scale_of(case)))
            told = ask(python, "sigpyrecon.py", kspace, images, centre, *weights)
            found = tuple(np.load(images))
        return Solved(images=found, maps_s=told["maps_s"], image_s=told["images_s"][-1])

    return Peer(name="SigPy 0.1.27 L1WaveletRecon", solve=by_sigpy)


def _by_bart(case: Case, weights: Sequence[float]) -> Solved:
    """Reconstruct by BART's ecalib and pics, on as many threads as BART likes."""
    with TemporaryDirectory() as place:
        made = Bart(case.kspace, Path(place))
        found = [made.image("bart", weight) for weight in weights]
    return Solved(
        images=tuple(image for image, _ in found),
        maps_s=made.seconds_of_maps,
        image_s=found[-1][1],
    )
