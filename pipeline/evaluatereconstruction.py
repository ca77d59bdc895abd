"""Judge reconstruction on raw data: how a site accepts a model before it goes live.

Fully sampled data are undersampled by each pattern and acceleration, and each method's image is
compared with the root sum of squares of all samples. All methods get the same mask, and the
acceleration that it really has is reported beside its name. Data that were measured undersampled
have no truth: there the residual in k-space is reported, of each image seen by its method's own
coil sensitivities, and the images are written side by side.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.networks import UnrolledNetworks
from pipeline.analyses.reconstruction.rawslice import RawSlice, raw_slice, slice_of
from pipeline.analyses.reconstruction.slices import reconstruct_slice, residual
from pipeline.analyses.reconstruction.unroll import Reconstructed
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.encode.sidebyside import write_side_by_side
from pipeline.errors import StudyRejected, UnusableCall
from pipeline.ingest.limits import in_force
from pipeline.ingest.raw.files import read_raw
from pipeline.mr.coils import root_sum_of_squares
from pipeline.mr.fourier import fft2c, ifft2c
from pipeline.mr.kspace import KSpace, Readout
from pipeline.mr.patterns import PATTERNS, draw_pattern
from pipeline.mr.quality import nmse, psnr, ssim
from pipeline.peers import PLAIN_WEIGHT, REGULARISERS, WEIGHTS, Bart, bart_missing

OURS = "operator"
"""The method that is always judged."""

PEERS = ("zero-filled", "varnet", *REGULARISERS)
"""What it can be judged against."""

ACCELERATIONS = (2.0, 4.0, 6.0, 8.0)
"""Accelerations that are judged by default."""

SEED = 1
"""Seed of the masks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What is judged."""

    files: tuple[Path, ...]
    """Raw data of any format that is read."""

    patterns: tuple[str, ...] = tuple(PATTERNS)
    """Names of undersampling patterns."""

    accelerations: tuple[float, ...] = ACCELERATIONS
    """Nominal accelerations."""

    against: tuple[str, ...] = ("zero-filled", "varnet")
    """Methods to compare with."""

    output: Path = Path("evaluation")
    """Folder for the images of data without a truth; made if there are any."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If a pattern or a method is unknown, or an acceleration is not above one.
        """
        named = (("pattern", self.patterns, tuple(PATTERNS)), ("method", self.against, PEERS))
        for kind, given, known in named:
            for name in given:
                if name not in known:
                    raise UnusableCall(f"no {kind} {name!r}; known are {', '.join(known)}")
        for acceleration in self.accelerations:
            if not 1 < acceleration <= 64:
                raise UnusableCall(f"acceleration {acceleration:g} is not between 1 and 64")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One method on one undersampled file: means over its slices."""

    file: str
    """File name."""

    method: str
    """``operator``, or one of ``PEERS``."""

    pattern: str
    """Name of the pattern."""

    acceleration: float
    """Nominal acceleration."""

    measured_acceleration: float
    """Samples of the full grid over samples that were kept."""

    psnr_db: float
    """Peak signal-to-noise ratio [dB]; the peak is the truth's largest value."""

    ssim: float
    """Structural similarity."""

    nmse: float
    """Squared error over the squared truth."""

    seconds: float
    """Time of one slice, sensitivities included [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResidualRow:
    """One method on one file without a truth: means over its slices."""

    file: str
    method: str
    measured_acceleration: float
    kspace_residual: float
    """Distance of the image's k-space from the measured samples over their norm."""

    seconds: float
    figure: str
    """Path of the images side by side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All that was judged."""

    rows: tuple[Row, ...]
    """Files with a truth."""

    without_truth: tuple[ResidualRow, ...]
    """Files without."""

    skipped: Mapping[str, str] = field(default_factory=dict)
    """Why a method was left out."""

    not_judged: Mapping[str, str] = field(default_factory=dict)
    """Why a file was not judged."""

    def to_json(self) -> dict[str, object]:
        """Return everything as JSON values."""
        return {
            "rows": [asdict(r) for r in self.rows],
            "without_truth": [asdict(r) for r in self.without_truth],
            "skipped": dict(self.skipped),
            "not_judged": dict(self.not_judged),
        }

    def table(self) -> str:
        """Return tables for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        names = [r.file for r in self.rows] + [r.file for r in self.without_truth]
        width = max((len(name) for name in names), default=4)
        if self.rows:
            yield (
                f"{'file':{width}}  {'method':11}  {'pattern':10}  nominal  measured  PSNR [dB]  "
                f"  SSIM     NMSE  time [s]"
            )
        for r in self.rows:
            yield (
                f"{r.file:{width}}  {r.method:11}  {r.pattern:10}  {r.acceleration:6.3g}x  "
                f"{r.measured_acceleration:7.2f}x  {r.psnr_db:9.2f}  {r.ssim:6.4f}  {r.nmse:7.5f}  "
                f"{r.seconds:8.2f}"
            )
        yield from self._means()
        if self.without_truth:
            yield f"{'file':{width}}  {'method':11}  measured  residual  time [s]  images"
        for w in self.without_truth:
            yield (
                f"{w.file:{width}}  {w.method:11}  {w.measured_acceleration:7.2f}x  "
                f"{w.kspace_residual:8.4f}  {w.seconds:8.2f}  {w.figure}"
            )
        yield from (f"left out: {name}: {why}" for name, why in self.skipped.items())
        yield from (f"not judged: {name}: {why}" for name, why in self.not_judged.items())

    def _means(self) -> Iterator[str]:
        """Yield means over files, for each pattern and acceleration, and for all."""
        methods = list(dict.fromkeys(r.method for r in self.rows))
        if not methods:
            return
        groups: dict[str, list[Row]] = {}
        for r in self.rows:
            for name in (r.pattern, f"{r.acceleration:g}x", "all"):
                groups.setdefault(name, []).append(r)
        yield ""
        yield "means: PSNR [dB] / SSIM / time [s] of " + ", ".join(methods)
        for name, rows in sorted(groups.items(), key=lambda item: len(item[1])):
            shown = []
            for method in methods:
                own = [(r.psnr_db, r.ssim, r.seconds) for r in rows if r.method == method]
                psnr_db, similarity, seconds = np.mean(own, axis=0)
                shown.append(f"{psnr_db:.2f} / {similarity:.4f} / {seconds:.2f}")
            yield f"{name:12}  " + "   ".join(shown)
        yield ""


_Answer = tuple[Reconstructed, float]
"""An image and the time that it took [s]."""


def evaluate_reconstruction(
    task: Task,
    networks: Mapping[str, UnrolledNetworks],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Evaluation:
    """Judge every file.

    Parameters
    ----------
    task
        What is judged.
    networks
        The models of ``operator``, and of ``varnet`` if it is compared with.
    progress
        Called with the number of files that are done, and of all.

    Raises
    ------
    UnusableCall
        If no file can be judged.
    """
    missing = bart_missing()
    skipped = {m: missing for m in task.against if m in REGULARISERS and missing}
    methods = (OURS, *(m for m in task.against if m not in skipped))
    judge = _Judge(task, methods, networks)
    not_judged: dict[str, str] = {}
    for done, path in enumerate(task.files):
        progress(done, len(task.files))
        try:
            judge.add(path)
        except StudyRejected as reason:
            not_judged[path.name] = str(reason)
    progress(len(task.files), len(task.files))
    if not judge.rows and not judge.without_truth:
        reasons = "; ".join(not_judged.values()) or "no file was given"
        raise UnusableCall(f"no file can be judged; {reasons}")
    return Evaluation(
        rows=tuple(judge.rows),
        without_truth=tuple(judge.without_truth),
        skipped=skipped,
        not_judged=not_judged,
    )


class _Judge:
    """Collects the rows of all files."""

    def __init__(
        self, task: Task, methods: Sequence[str], networks: Mapping[str, UnrolledNetworks]
    ) -> None:
        self._task, self._methods, self._networks = task, methods, networks
        self.rows: list[Row] = []
        self.without_truth: list[ResidualRow] = []

    def add(self, path: Path) -> None:
        """Judge a file by the slices of its first frame."""
        kspace = read_raw(path, path.name, in_force()).kspace
        if not kspace.mask[0].all():
            self._add_without_truth(path, kspace)
            return
        truths = root_sum_of_squares(ifft2c(kspace.array[0]))
        for pattern in self._task.patterns:
            for acceleration in self._task.accelerations:
                self._add_undersampled(path.name, kspace, truths, (pattern, acceleration))

    def _add_undersampled(
        self,
        name: str,
        kspace: KSpace,
        truths: NDArray[np.float32],
        way: tuple[str, float],
    ) -> None:
        """Judge all methods on one mask."""
        mask = mask_for(kspace, *way)
        raws = [
            raw_slice((samples * mask).astype(np.complex64), mask, kspace.pixel_spacing_mm)
            for samples in kspace.array[0]
        ]
        for method in self._methods:
            figures, seconds = [], []
            for raw, truth in zip(raws, truths, strict=True):
                found, took = self._answer(method, raw, truth)
                image = np.abs(found.image)
                figures.append((psnr(truth, image), ssim(truth, image), nmse(truth, image)))
                seconds.append(took)
            mean = np.mean(figures, axis=0)
            self.rows.append(
                Row(
                    file=name,
                    method=method,
                    pattern=way[0],
                    acceleration=way[1],
                    measured_acceleration=mask.size / int(np.count_nonzero(mask)),
                    psnr_db=float(mean[0]),
                    ssim=float(mean[1]),
                    nmse=float(mean[2]),
                    seconds=float(np.mean(seconds)),
                )
            )

    def _add_without_truth(self, path: Path, kspace: KSpace) -> None:
        """Report residuals, and write the images of the middle slice side by side."""
        raws = [slice_of(kspace, 0, index) for index in range(kspace.n_slices)]
        figure = self._task.output / f"{path.stem}_side_by_side.png"
        shown: dict[str, NDArray[np.float32]] = {}
        for method in self._methods:
            answers = [self._answer(method, raw, None) for raw in raws]
            residuals = [residual(r, a[0]) for r, a in zip(raws, answers, strict=True)]
            shown[method] = np.abs(answers[len(answers) // 2][0].image)
            self.without_truth.append(
                ResidualRow(
                    file=path.name,
                    method=method,
                    measured_acceleration=kspace.acceleration,
                    kspace_residual=float(np.mean(residuals)),
                    seconds=float(np.mean([took for _, took in answers])),
                    figure=figure.as_posix(),
                )
            )
        write_side_by_side(shown, figure)

    def _answer(self, method: str, raw: RawSlice, truth: NDArray[np.float32] | None) -> _Answer:
        """Return one method's image and the time that it took [s]."""
        if method in REGULARISERS:
            return _of_bart(method, raw, truth)
        began = perf_counter()
        found = reconstruct_slice(raw, self._networks.get(method), Stopwatch())
        return found, perf_counter() - began


def mask_for(kspace: KSpace, pattern: str, acceleration: float) -> NDArray[np.bool_]:
    """Return the mask of a pattern for raw data: its lines run along the readout."""
    if kspace.readout is Readout.ROWS:
        turned = draw_pattern(pattern, kspace.grid[::-1], acceleration, SEED).mask
        return np.ascontiguousarray(turned.T)
    return draw_pattern(pattern, kspace.grid, acceleration, SEED).mask


def _of_bart(method: str, raw: RawSlice, truth: NDArray[np.float32] | None) -> _Answer:
    """Return BART's image, by the best of several weights where there is a truth to tell by.

    The time is that of the sensitivities and of one image.
    """
    weights = (PLAIN_WEIGHT,) if truth is None else WEIGHTS
    with TemporaryDirectory() as place:
        bart = Bart(raw.kspace, Path(place))
        images = [bart.image(method, weight) for weight in weights]
        maps = bart.sensitivities
    best = 0
    if truth is not None:
        best = int(np.argmax([psnr(truth, np.abs(image)) for image, _ in images]))
    image, seconds = images[best]
    # BART's transform differs from ours by a constant phase, which only the residual would notice.
    phase = np.angle(np.vdot(fft2c(maps * image) * raw.mask, raw.kspace))
    image = np.asarray(image * np.exp(1j * phase), dtype=np.complex64)
    return Reconstructed(image=image, sensitivities=maps), bart.seconds_of_maps + seconds
