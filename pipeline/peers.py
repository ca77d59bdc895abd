"""BART as an outside peer: what a site may compare with, never part of a run.

``bart ecalib`` estimates the coil sensitivities by ESPIRiT, ``bart pics`` solves for the image with
wavelets or total variation. Files go through a folder of the caller's.

References
----------
Uecker M et al., "Berkeley Advanced Reconstruction Toolbox", ISMRM 2015, p. 2486.
Uecker M et al., "ESPIRiT", Magn Reson Med 2014;71:990, doi:10.1002/mrm.24751.
"""

import shutil
import subprocess
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnusableCall

REGULARISERS = {"bart": "W:3:0:", "bart-tv": "T:3:0:"}
"""Methods of this module, and how ``bart pics -R`` names them: on axes 0 and 1, jointly on none."""

WEIGHTS = (0.0005, 0.002, 0.008, 0.03)
"""Weights of the regulariser to choose from; BART scales the data to about one."""

PLAIN_WEIGHT = 0.002
"""The weight where there is no truth to choose by."""

LONGEST_S = 600
"""A call that takes longer has failed [s]."""


def bart_missing() -> str | None:
    """Return why BART cannot be called, or None if it can."""
    return None if shutil.which("bart") else "the command bart is not installed"


class Bart:
    """The sensitivities of one slice by BART, and its images for weights of the regulariser.

    Parameters
    ----------
    kspace
        Samples, zero where nothing was measured. Shape ``(coils, ky, kx)``.
    folder
        An empty folder that BART may fill.

    Raises
    ------
    UnusableCall
        If BART is not installed or fails.
    """

    def __init__(self, kspace: NDArray[np.complex64], folder: Path) -> None:
        self._kspace, self._folder = kspace, folder
        _write(self._folder / "kspace", kspace.transpose(1, 2, 0)[:, :, None])
        began = perf_counter()
        # Uncropped: with a small centre the default cuts holes into the object.
        self._bart("ecalib", "-m1", "-c0", "kspace", "maps")
        self.seconds_of_maps = perf_counter() - began

    @property
    def sensitivities(self) -> NDArray[np.complex64]:
        """Coil sensitivities. Shape ``(coils, rows, columns)``."""
        rows, columns = self._kspace.shape[1:]
        maps = _read(self._folder / "maps", (rows, columns, len(self._kspace)))
        return _recentred(np.ascontiguousarray(maps.transpose(2, 0, 1)))

    def image(self, method: str, weight: float) -> tuple[NDArray[np.complex64], float]:
        """Return the image for a weight, and the time that it took [s].

        Parameters
        ----------
        method
            A key of ``REGULARISERS``.
        weight
            Weight of the regulariser.
        """
        began = perf_counter()
        self._bart("pics", "-S", "-R", f"{REGULARISERS[method]}{weight}", "kspace", "maps", "image")
        seconds = perf_counter() - began
        rows, columns = self._kspace.shape[1:]
        image = _read(self._folder / "image", (rows, columns))
        return _recentred(image), seconds

    def _bart(self, *words: str) -> None:
        """Call BART in the folder."""
        command = shutil.which("bart")
        if command is None:
            raise UnusableCall("the command bart is not installed")
        try:
            subprocess.run(  # noqa: S603 - words are ours, no shell reads them
                [command, *words],
                cwd=self._folder,
                check=True,
                capture_output=True,
                timeout=LONGEST_S,
            )
        except subprocess.SubprocessError as problem:
            raise UnusableCall(f"bart {words[0]} failed") from problem


def _recentred(images: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return BART's images with the origin where ours is.

    Along an axis of odd length its images lie one pixel further on.
    """
    axes = [axis for axis in (-2, -1) if images.shape[axis] % 2]
    return np.roll(images, [-1] * len(axes), axis=axes)


def _write(path: Path, array: NDArray[np.complex64]) -> None:
    """Write an array as BART does: column-major, with its dimensions beside it."""
    sizes = " ".join(str(n) for n in array.shape)
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{sizes}\n")
    path.with_suffix(".cfl").write_bytes(array.astype(np.complex64).tobytes(order="F"))


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.complex64]:
    """Read an array of a known shape."""
    values = np.fromfile(path.with_suffix(".cfl"), dtype=np.complex64)
    return np.ascontiguousarray(values.reshape(shape, order="F"))
