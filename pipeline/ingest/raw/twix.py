"""Siemens twix files (.dat), read by twixtools after a walk that shows them to be whole.

The last measurement of a file is read; those before it are adjustments. Echo-planar and
non-Cartesian data are refused. Places are not taken from the file: no data with a known place show
the signs of its axes to be right, so an image is placed by a reference series.

References
----------
.. [TWIX] twixtools, P. Ehses, https://github.com/pehses/twixtools (MIT): headers and flags.
"""

import math
import re
import struct
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, NotApplicable, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.content import silent_coils
from pipeline.ingest.raw.lines import Line, LineGrid, put_on_grid
from pipeline.ingest.raw.part import RawContent, RawPart, RawShape
from pipeline.ingest.raw.twixwalk import check_whole
from pipeline.mr.kspace import CalibrationScan, KSpace, Readout, uncounted_times
from pipeline.mr.noise import noise_covariance
from pipeline.mr.prewhiten import prewhiten

READ_ERRORS = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    NameError,
    RuntimeError,
    EOFError,
    OSError,
    OverflowError,
    struct.error,
    re.error,
)
"""What twixtools raises on a damaged file."""

CARTESIAN = 1
"""Value of sKSpace.ucTrajectory for Cartesian data."""

READOUT_OVERSAMPLING = 2

NO_PLACE = "the position in a twix file is not used: without a reference series the image has none"


class Block(Protocol):
    """A measurement data block, as twixtools has it."""

    mdh: Any
    """Its header, with the fields of the scanner."""

    data: object
    """Its samples, read when they are asked for. Shape ``(coils, samples)``."""

    def is_flag_set(self, flag: str) -> bool:
        """Tell whether it has a flag."""
        ...

    def is_image_scan(self) -> bool:
        """Tell whether it is a line of an image."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """The blocks of a measurement, by what they are for."""

    images: list[Block]
    """Lines of the images."""

    coils: list[Block]
    """Lines for the coil sensitivities only, of the slices that have images."""

    noise: list[Block]
    """Noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """What the protocol says of the grid."""

    rows: int
    """Phase-encoding lines, with oversampling."""

    columns: int
    """Samples of a line, with oversampling."""

    partitions: int
    """Second phase encodings; 1 for two-dimensional encoding."""

    kept_rows: int
    """Rows without phase oversampling."""

    spacing_mm: tuple[float, float] | None
    """Distance between rows and between columns [mm]."""


def twix_parts(path: Path, name: str, limits: Limits) -> tuple[RawPart, ...]:
    """Return what a file holds; no samples are read.

    Raises
    ------
    UnreadableFile, InconsistentSeries, NotApplicable
        As ``read_twix``, as far as headers show it.
    """
    protocol, blocks = _opened(path, name, limits)
    grid, _, _ = _grid(protocol, blocks.images)
    shape = RawShape(
        n_frames=grid.n_frames,
        n_slices=grid.n_slices * grid.encoded[0],
        n_coils=int(blocks.images[0].mdh.UsedChannels),
        rows=protocol.kept_rows,
        columns=grid.columns,
    )
    return (RawPart(name="", shape=shape, study_instance_uid=None),)


def read_twix(path: Path, name: str, limits: Limits) -> RawContent:
    """Read the last measurement of a file.

    Raises
    ------
    UnreadableFile
        If it is truncated or damaged, or holds samples that are no numbers.
    InconsistentSeries
        If lines contradict the protocol or each other, hold zeros only, or are none.
    NotApplicable
        If it is echo-planar, not Cartesian, has several echoes or sets, or undersamples partitions.
    """
    protocol, blocks = _opened(path, name, limits)
    grid, frames, slices = _grid(protocol, blocks.images)
    target = (protocol, frames, slices)
    lines = [_line(m, i, target, name) for i, m in enumerate(blocks.images)]
    gridded = put_on_grid(lines, grid, name, limits)
    white = _whitening(blocks.noise, name)
    calibration = None
    if {m.mdh.Counter.Sli for m in blocks.coils} == set(slices):
        lines = [_line(m, i, target, name) for i, m in enumerate(blocks.coils)]
        once = [replace(line, place=(0, *line.place[1:])) for line in lines]
        coils = put_on_grid(once, replace(grid, n_frames=1), name, limits)
        calibration = CalibrationScan(array=white(coils.array)[0], mask=coils.mask[0])
    array = white(gridded.array)
    return RawContent(
        kspace=KSpace(
            array=array,
            mask=gridded.mask,
            image_shape=(protocol.kept_rows, grid.columns),
            readout=Readout.COLUMNS,
            affine=None,
            pixel_spacing_mm=protocol.spacing_mm,
            times_s=uncounted_times(array.shape[0], array.shape[1]),
            times_are_estimated=True,
            noise_sigma=float(1 / np.sqrt(gridded.n_averages)) if blocks.noise else None,
            calibration=calibration,
        ),
        header=None,
        notes=(NO_PLACE, *gridded.notes, *silent_coils(array)),
    )


def _whitening(
    noise: list[Block], name: str
) -> Callable[[NDArray[np.complex64]], NDArray[np.complex64]]:
    """Return what gives samples unit noise, where the file has noise blocks."""
    if not noise:
        return lambda array: array
    covariance = noise_covariance(np.concatenate([_samples(m, name) for m in noise], axis=1))
    return lambda array: prewhiten(array, covariance, axis=2)


def _opened(path: Path, name: str, limits: Limits) -> tuple[Grid, Blocks]:
    """Return the protocol and the blocks of the last measurement."""
    check_whole(path, name, limits)
    # Imported where there is a file for it: it brings pyplot, which takes longer than all else.
    import twixtools

    try:
        # The library prints its warnings, and standard output is the result's.
        with redirect_stdout(StringIO()):
            found = twixtools.read_twix(
                str(path),
                include_scans=[-1],
                parse_pmu=False,
                parse_geometry=False,
                keep_syncdata=False,
                verbose=False,
            )[-1]
        protocol = _protocol(found["hdr"]["MeasYaps"], name)
    except READ_ERRORS as error:
        raise UnreadableFile(f"{name}: twix headers are damaged or incomplete") from error
    blocks = found["mdb"]
    if any(m.is_flag_set("PHASCOR") or m.is_flag_set("REFLECT") for m in blocks):
        raise NotApplicable(
            f"{name}: echo-planar data (EPI): lines run both ways and need phase correction, "
            "which is not done here"
        )
    images = [m for m in blocks if m.is_image_scan()]
    if not images:
        raise InconsistentSeries(f"{name}: nothing was measured: it holds no imaging line")
    for what, of_block in (("echoes", "Eco"), ("sets", "Set")):
        n = len({getattr(m.mdh.Counter, of_block) for m in images})
        if n > 1:
            raise NotApplicable(f"{name}: {n} {what}; twix files of one are read")
    return protocol, Blocks(
        images=images,
        coils=[
            m
            for m in blocks
            if m.is_flag_set("PATREFSCAN") and not m.is_flag_set("PATREFANDIMASCAN")
        ],
        noise=[m for m in blocks if m.is_flag_set("NOISEADJSCAN")],
    )


def _protocol(yaps: Mapping[str, Mapping[str, object]], name: str) -> Grid:
    """Return what the protocol says of the grid."""
    space = yaps["sKSpace"]
    if int(str(space.get("ucTrajectory", CARTESIAN))) != CARTESIAN:
        raise NotApplicable(
            f"{name}: trajectory {space['ucTrajectory']} of the protocol is not Cartesian; only "
            "Cartesian data can be read"
        )
    rows, base = int(str(space["lPhaseEncodingLines"])), int(str(space["lBaseResolution"]))
    oversampling = 1.0 + float(str(space.get("dPhaseOversamplingForDialog", 0.0)))
    slab = yaps["sSliceArray"]["asSlice"]
    view = slab[0] if isinstance(slab, list) else {}
    read_mm, phase_mm = (float(view.get(k, 0.0)) for k in ("dReadoutFOV", "dPhaseFOV"))
    known = read_mm > 0 and phase_mm > 0
    partitions = int(str(space["lPartitions"])) if space.get("ucDimension") == 4 else 1
    if min(rows, base, partitions) < 1 or not 0 < oversampling < math.inf:
        raise UnreadableFile(f"{name}: the twix protocol states an impossible matrix")
    return Grid(
        rows=rows,
        columns=READOUT_OVERSAMPLING * base,
        partitions=partitions,
        kept_rows=max(1, min(rows, round(rows / oversampling))),
        spacing_mm=(phase_mm * oversampling / rows, read_mm / base) if known else None,
    )


def _grid(
    protocol: Grid, images: list[Block]
) -> tuple[LineGrid, dict[tuple[int, int], int], dict[int, int]]:
    """Return the grid, and the places of frames and slices by their counters."""
    pairs = sorted({(m.mdh.Counter.Rep, m.mdh.Counter.Phs) for m in images})
    counters = sorted({m.mdh.Counter.Sli for m in images})
    grid = LineGrid(
        n_frames=len(pairs),
        n_slices=len(counters),
        encoded=(protocol.partitions, protocol.rows, protocol.columns),
        columns=protocol.columns // READOUT_OVERSAMPLING,
        partitions=protocol.partitions,
    )
    frames = {pair: i for i, pair in enumerate(pairs)}
    return grid, frames, {counter: i for i, counter in enumerate(counters)}


def _line(
    block: Block,
    index: int,
    target: tuple[Grid, dict[tuple[int, int], int], dict[int, int]],
    name: str,
) -> Line:
    """Return a block as a line of the grid."""
    protocol, frames, slices = target
    head, at = block.mdh, block.mdh.Counter
    samples = _samples(block, name)
    kz = protocol.partitions // 2 + at.Par - head.CenterPar if protocol.partitions > 1 else 0
    whole = samples.shape[1] == protocol.columns
    return Line(
        place=(
            frames.get((at.Rep, at.Phs), 0),
            slices[at.Sli],
            kz,
            protocol.rows // 2 + at.Lin - head.CenterLin,
        ),
        first_sample=0 if whole else protocol.columns // 2 - (head.CenterCol - head.CutOff.Pre),
        samples=samples,
        label=f"line {index}",
    )


def _samples(block: Block, name: str) -> NDArray[np.complex64]:
    """Return the samples of a block without those to be cut off. Shape ``(coils, samples)``."""
    try:
        data = np.atleast_2d(np.asarray(block.data, dtype=np.complex64))
    except READ_ERRORS as error:
        raise UnreadableFile(f"{name}: samples are damaged") from error
    cut = block.mdh.CutOff
    return data[:, cut.Pre : data.shape[1] - cut.Post]
