"""The reconstruction analysis: from raw data to images, their uncertainty and their residual."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.evidence import (
    ReconstructionEvidence,
    SliceEvidence,
    classical_iterations,
    slice_evidence,
)
from pipeline.analyses.reconstruction.networks import UnrolledNetworks
from pipeline.analyses.reconstruction.rawslice import CalibrationSource, RawSlice, slice_of
from pipeline.analyses.reconstruction.result import ReconstructionResult, SliceQuality
from pipeline.analyses.reconstruction.settings import ReconstructionSettings
from pipeline.analyses.reconstruction.slices import reconstruct_slice, residual, zero_filled
from pipeline.analyses.reconstruction.uncertainty import deviation_over_draws
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.errors import NotApplicable
from pipeline.mr.coils import SMALLEST_CALIBRATION
from pipeline.mr.fourier import crop
from pipeline.mr.kspace import KSpace
from pipeline.study import Measurement

ALGORITHMS = {
    "operator": "unrolled U-shaped DISCO neural operator with soft data consistency",
    "varnet": "unrolled convolutional variational network with soft data consistency",
    "zero-filled": "zero-filled inverse Fourier transform, root sum of squares over coils",
}
"""What made an image, for a derivation description."""

SIGNAL = 0.1
"""Pixels above this share of the 99th percentile count as signal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a reviewer is to see beside the images."""

    classical: bool = True
    """Whether a classical reconstruction, if it does not take too long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Image:
    """One slice of one frame, reconstructed."""

    image: NDArray[np.complex64]
    uncertainty: NDArray[np.float32] | None
    zero_filled: NDArray[np.float32]
    residual: float
    zero_filled_residual: float
    raw: RawSlice
    evidence: SliceEvidence | None


def reconstruct(
    kspace: KSpace,
    networks: UnrolledNetworks | None,
    settings: ReconstructionSettings,
    progress: Callable[[float], None] = lambda _: None,
    evidence: Evidence | None = None,
) -> ReconstructionResult:
    """Reconstruct raw data.

    Parameters
    ----------
    kspace
        The raw data.
    networks
        The model of ``settings.method``; None for zero-filled images.
    settings
        What the site has set.
    progress
        Called with the share of the work that is done, 0 to 1.
    evidence
        What a reviewer is to see besides; None for nothing. It changes nothing in the result.

    Raises
    ------
    NotApplicable
        If a slice has no fully sampled centre or no signal in it, or the matrix is too small.
    ModelContractBroken
        If a network gives a value that is not finite.
    """
    stopwatch = Stopwatch()
    steps = None
    if evidence is not None:
        steps = classical_iterations(kspace, asked=evidence.classical)
    found: list[list[_Image]] = []
    n_all = kspace.n_frames * kspace.n_slices
    for frame in range(kspace.n_frames):
        found.append([])
        for index in range(kspace.n_slices):
            raw = _slice_of(kspace, frame, index, needs_centre=networks is not None)
            found[-1].append(_one_image(raw, networks, settings, stopwatch, steps))
            progress((frame * kspace.n_slices + index + 1) / n_all)
    return _assembled(kspace, found, settings, stopwatch)


def _slice_of(kspace: KSpace, frame: int, index: int, *, needs_centre: bool) -> RawSlice:
    """Return the samples of a slice of a frame."""
    raw = slice_of(kspace, frame, index)
    rows, columns = raw.calibration.shape
    if needs_centre and min(rows, columns) < SMALLEST_CALIBRATION:
        raise NotApplicable(
            f"frame {frame}, slice {index}: the fully sampled centre of k-space has {rows} x "
            f"{columns} samples, coil sensitivities need at least {SMALLEST_CALIBRATION} x "
            f"{SMALLEST_CALIBRATION}; the method zero-filled needs none"
        )
    return raw


def _one_image(
    raw: RawSlice,
    networks: UnrolledNetworks | None,
    settings: ReconstructionSettings,
    stopwatch: Stopwatch,
    steps: int | None,
) -> _Image:
    """Reconstruct one slice of one frame, with its uncertainty and its evidence."""
    # Where all samples were measured there is nothing for a network to fill in.
    used = None if raw.mask.all() else networks
    hard = settings.hard_data_consistency
    plain = zero_filled(raw, stopwatch)
    found = reconstruct_slice(raw, used, stopwatch, hard_data_consistency=hard)
    spread = None
    if settings.uncertainty_draws:
        threads = 1 if used is None else used.threads

        def image_of(draw: RawSlice) -> NDArray[np.complex64]:
            lap = Stopwatch()
            return reconstruct_slice(draw, used, lap, hard_data_consistency=hard).image

        with stopwatch.stage("uncertainty"):
            spread = deviation_over_draws(raw, image_of, settings.uncertainty_draws, threads)
    seen = None
    if steps is not None:
        with stopwatch.stage("evidence"):
            seen = slice_evidence(raw, found, plain.image, steps)
    with stopwatch.stage("residual"):
        return _Image(
            image=found.image,
            uncertainty=spread,
            zero_filled=np.abs(plain.image),
            residual=residual(raw, found),
            zero_filled_residual=residual(raw, plain),
            raw=raw,
            evidence=seen,
        )


def _assembled(
    kspace: KSpace,
    found: Sequence[Sequence[_Image]],
    settings: ReconstructionSettings,
    stopwatch: Stopwatch,
) -> ReconstructionResult:
    """Put frames and slices together on the grid of the image."""
    image = _stacked([[i.image for i in frame] for frame in found], kspace)
    plain = _stacked([[i.zero_filled for i in frame] for frame in found], kspace)
    spread = None
    if settings.uncertainty_draws:
        maps = [[i.uncertainty for i in frame if i.uncertainty is not None] for frame in found]
        spread = _stacked(maps, kspace).astype(np.float32, copy=False)
    slices = tuple(
        _quality(index, [frame[index] for frame in found], image[:, index], spread)
        for index in range(kspace.n_slices)
    )
    return ReconstructionResult(
        image=image.astype(np.complex64, copy=False),
        uncertainty=spread,
        zero_filled=plain.astype(np.float32, copy=False),
        method=settings.method,
        algorithm=ALGORITHMS[settings.method],
        hard_data_consistency=settings.hard_data_consistency,
        acceleration=kspace.acceleration,
        slices=slices,
        measurements=tuple(_measurements(kspace, slices)),
        notes=tuple(_notes(kspace, settings, found)),
        stage_seconds=stopwatch.seconds,
        evidence=_evidence(kspace, found),
    )


def _evidence(kspace: KSpace, found: Sequence[Sequence[_Image]]) -> ReconstructionEvidence | None:
    """Return what there is to see beside all images; None where it was not asked for."""
    seen = [[i.evidence for i in frame if i.evidence is not None] for frame in found]
    if not all(seen):
        return None
    classical = [[e.classical for e in frame if e.classical is not None] for frame in seen]
    whole = None
    if all(len(frame) == kspace.n_slices for frame in classical):
        whole = _stacked(classical, kspace).astype(np.float32, copy=False)
    return ReconstructionEvidence(
        classical=whole,
        misfit=np.stack([np.stack([e.misfit for e in frame]) for frame in seen]),
        coverage=kspace.mask,
    )


def _stacked(
    images: Sequence[Sequence[NDArray[np.generic]]], kspace: KSpace
) -> NDArray[np.generic]:
    """Return images as one array, cropped to the image. Shape ``(frames, slices, ...)``."""
    whole = np.stack([np.stack(list(frame)) for frame in images])
    return np.ascontiguousarray(crop(whole, kspace.image_shape))


def _quality(
    index: int,
    images: Sequence[_Image],
    shown: NDArray[np.generic],
    spread: NDArray[np.float32] | None,
) -> SliceQuality:
    """Return how one slice came out over its frames."""
    relative = None
    if spread is not None:
        magnitude = np.abs(shown)
        signal = magnitude > SIGNAL * np.percentile(magnitude, 99)
        if signal.any():
            relative = float(spread[:, index][signal].mean() / magnitude[signal].mean())
    masks = [i.raw.mask for i in images]
    return SliceQuality(
        slice_index=index,
        kspace_residual=float(np.mean([i.residual for i in images])),
        zero_filled_residual=float(np.mean([i.zero_filled_residual for i in images])),
        measured_acceleration=sum(m.size for m in masks)
        / sum(int(np.count_nonzero(m)) for m in masks),
        calibration=images[0].raw.calibration.shape,
        mean_relative_uncertainty=relative,
    )


def _measurements(kspace: KSpace, slices: Sequence[SliceQuality]) -> Iterator[Measurement]:
    """Yield the numbers of the manifest."""
    yield Measurement(name="acceleration", value=kspace.acceleration, unit="1")
    for quality in slices:
        named = {
            "kspace_residual": quality.kspace_residual,
            "zero_filled_kspace_residual": quality.zero_filled_residual,
            "mean_relative_uncertainty": quality.mean_relative_uncertainty,
        }
        for name, value in named.items():
            if value is not None:
                yield Measurement(name=name, value=value, unit="1", slice_index=quality.slice_index)


def _notes(
    kspace: KSpace, settings: ReconstructionSettings, found: Sequence[Sequence[_Image]]
) -> Iterator[str]:
    """Yield what a reader should know."""
    if kspace.pixel_spacing_mm is None:
        yield "the source gives no field of view: pixels are taken to be square"
    if kspace.mask.all() and settings.method != "zero-filled":
        yield "fully sampled: the images are the inverse Fourier transform, no network was used"
    if kspace.noise_sigma is None:
        yield "noise was not measured: it is estimated from the edge of k-space"
    images = [image for frame in found for image in frame]
    for source in (CalibrationSource.SCAN, CalibrationSource.TIME):
        n = sum(image.raw.calibration_source is source for image in images)
        if n:
            yield f"coil sensitivities of {n} of {len(images)} images come from {source.value}"
    smallest = min(min(image.raw.calibration.shape) for image in images)
    if smallest < FEW_CENTRE_LINES and not kspace.mask.all():
        yield (
            f"the fully sampled centre is only {smallest} samples wide: coil sensitivities are "
            "uncertain"
        )


FEW_CENTRE_LINES = 8
"""A narrower centre carries a note: networks were trained with more."""
