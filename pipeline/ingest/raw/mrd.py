"""MRD (ISMRMRD) files: acquisitions with a header each, and an XML header for all.

Lines are placed by the centre that the encoding limits state, so partial Fourier falls where it
was measured. Readout oversampling is removed, repeated lines are averaged, repetitions and cardiac
phases become frames, and noise acquisitions whiten the coils. Each encoding space, contrast and set
is a part of its own. Non-Cartesian data and echo-planar data are refused by name.

References
----------
.. [MRD] ISMRM Raw Data format, https://ismrmrd.readthedocs.io/en/latest/mrd_raw_data.html
"""

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, NotApplicable, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.content import silent_coils
from pipeline.ingest.raw.hdf5 import dataset, opened
from pipeline.ingest.raw.heap import text_of
from pipeline.ingest.raw.lines import Gridded, Line, LineGrid, put_on_grid
from pipeline.ingest.raw.mrdacquisitions import (
    NO_IMAGE,
    Acquisitions,
    Heads,
    Readouts,
    flagged,
)
from pipeline.ingest.raw.mrdheader import Encoding, MrdHeader, parse_header
from pipeline.ingest.raw.mrdidentity import dicom_header, uid_text
from pipeline.ingest.raw.mrdnoise import covariance_of, whitened
from pipeline.ingest.raw.mrdplace import (
    Placed,
    frame_times,
    image_grid,
    of_single_slices,
    place,
)
from pipeline.ingest.raw.part import RawContent, RawPart, RawShape
from pipeline.mr.kspace import CalibrationScan, KSpace, Readout

GROUP = "dataset"
"""Name of the group that an MRD file keeps everything in, unless its writer chose another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What was read of one part."""

    gridded: Gridded
    """Its lines."""

    coils: Gridded | None
    """Lines for the coil sensitivities only, as one frame."""

    placed: Placed
    """Where they lie in the patient."""

    noise: Readouts
    """The file's noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The acquisitions that make one part of a file."""

    name: str
    """How the part is told from others; empty where it is the only one."""

    encoding: Encoding
    """Its encoding space."""

    wanted: NDArray[np.bool_]
    """Which acquisitions are its lines. Shape ``(acquisitions,)``."""

    calibration: NDArray[np.bool_]
    """Which were measured for the coil sensitivities only. Shape ``(acquisitions,)``."""

    frames: dict[tuple[int, int], int]
    """Frame of each repetition and phase."""

    slices: dict[int, int]
    """Place in the file's order of each slice counter."""

    notes: tuple[str, ...]
    """What was left out."""


def is_mrd(file: h5py.File, name: str) -> bool:
    """Tell whether an HDF5 file has what an MRD file has, or a part of it."""
    return _group(file, name) is not None


def _group(file: h5py.File, name: str) -> str | None:
    """Return the group with a header or acquisitions; None if there is none."""
    own = [n for n in sorted(file.keys()) if type(file.get(n, getlink=True)) is h5py.HardLink]
    for group in dict.fromkeys((GROUP, *own)):
        xml, data = (dataset(file, f"{group}/{part}", name) for part in ("xml", "data"))
        # Other formats have groups with data too, but not acquisitions with a header each.
        is_acquired = data is not None and "head" in (data.dtype.names or ())
        if (group == GROUP and (xml is not None or data is not None)) or (
            xml is not None and is_acquired
        ):
            return str(group)
    return None


def mrd_parts(path: Path, name: str, limits: Limits) -> tuple[RawPart, ...]:
    """Return the parts of a file; no samples are read.

    Raises
    ------
    UnreadableFile, InconsistentSeries, NotApplicable
        As ``read_mrd``, as far as headers show it.
    """
    with opened(path, name) as file:
        header, heads, _ = _opened_headers(file, name, limits)
    parts = []
    for selection in _selections(header, heads, name):
        grid = image_grid(selection.encoding)
        line_grid = _line_grid(selection, heads)
        shape = RawShape(
            n_frames=len(selection.frames),
            n_slices=max(len(selection.slices), line_grid.partitions),
            n_coils=int(heads["active_channels"][selection.wanted][0]),
            rows=grid.rows,
            columns=grid.columns,
        )
        uid = uid_text(header.texts.get("studyInstanceUID"))
        parts.append(RawPart(name=selection.name, shape=shape, study_instance_uid=uid))
    return tuple(parts)


def read_mrd(path: Path, name: str, part: str, limits: Limits) -> RawContent:
    """Read a part of a file.

    Parameters
    ----------
    path
        The file.
    name
        Its name, for messages.
    part
        Name of the part.
    limits
        What a file may hold.

    Raises
    ------
    UnreadableFile
        If it is truncated, has no header, or holds samples that are no numbers.
    InconsistentSeries
        If acquisitions contradict the header or each other, hold zeros only, or are none.
    NotApplicable
        If it is not Cartesian, echo-planar, or undersampled along partitions.
    """
    with opened(path, name) as file:
        header, heads, acquisitions = _opened_headers(file, name, limits)
        selection = next((s for s in _selections(header, heads, name) if s.name == part), None)
        if selection is None:
            raise InconsistentSeries(f"{name}: the file has changed since it was checked")
        readouts = acquisitions.samples(selection.wanted)
        of_coils = acquisitions.samples(selection.calibration)
        noise = acquisitions.samples(flagged(heads, "ACQ_IS_NOISE_MEASUREMENT"))
    grid = _line_grid(selection, heads)
    gridded = put_on_grid(_lines(selection, heads, readouts), grid, name, limits)
    coils = None
    if of_coils.samples:
        lines = [_of_first_frame(line) for line in _lines(selection, heads, of_coils)]
        coils = put_on_grid(lines, replace(grid, n_frames=1), name, limits)
    found = _Found(
        gridded=gridded,
        coils=coils,
        placed=place(selection.encoding, _first_heads(selection, heads), name),
        noise=noise,
    )
    return _content(selection, (header, heads), found, name)


def _opened_headers(
    file: h5py.File, name: str, limits: Limits
) -> tuple[MrdHeader, Heads, Acquisitions]:
    """Return the XML header, the acquisitions' headers, and the acquisitions."""
    group = _group(file, name) or GROUP
    xml, data = dataset(file, f"{group}/xml", name), dataset(file, f"{group}/data", name)
    if xml is None or xml.size != 1:
        raise UnreadableFile(f"{name}: the MRD header ({group}/xml) is missing")
    if data is None:
        raise UnreadableFile(f"{name}: the MRD acquisitions ({group}/data) are missing")
    header = parse_header(text_of(xml, name, limits), name, limits)
    acquisitions = Acquisitions(data, name, limits)
    return header, acquisitions.heads, acquisitions


def _selections(header: MrdHeader, heads: Heads, name: str) -> list[Selection]:
    """Return the parts of a file that make images."""
    imaging = ~flagged(heads, *NO_IMAGE)
    keys = np.stack(
        [heads["encoding_space_ref"], heads["idx"]["contrast"], heads["idx"]["set"]], axis=1
    )
    found = []
    for key in np.unique(keys[imaging], axis=0):
        space, contrast, number = (int(k) for k in key)
        if space >= len(header.encodings):
            raise InconsistentSeries(f"{name}: encoding space {space} is not in the MRD header")
        chosen = imaging & (keys == key).all(axis=1)
        title = f"encoding {space}, contrast {contrast}, set {number}"
        selection = _selection(header.encodings[space], heads, chosen, (title, name))
        if selection is not None:
            found.append(selection)
    if not found:
        raise InconsistentSeries(f"{name}: nothing was measured: it holds no imaging line")
    if len(found) == 1:
        return [replace(found[0], name="")]
    return found


def _selection(
    encoding: Encoding, heads: Heads, chosen: NDArray[np.bool_], names: tuple[str, str]
) -> Selection | None:
    """Return one part; None if it holds nothing but separate calibration lines."""
    title, name = names
    calibration = flagged(heads, "ACQ_IS_PARALLEL_CALIBRATION") & ~flagged(
        heads, "ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING"
    )
    left_out = chosen & calibration & (encoding.calibration not in ("", "embedded"))
    wanted = chosen & ~left_out
    if not wanted.any():
        return None
    _check_trajectory(encoding, heads, wanted, name)
    counters = heads["idx"]
    pairs = {
        (int(r), int(p))
        for r, p in zip(counters["repetition"][wanted], counters["phase"][wanted], strict=True)
    }
    slices = np.unique(counters["slice"][wanted])
    frames, late = _complete_frames(sorted(pairs), counters, wanted, slices.size)
    notes = [f"{late.sum()} lines of an incomplete last frame left out"] if late.any() else []
    of_coils = left_out & np.isin(counters["slice"], slices)
    if of_coils.any() and np.unique(counters["slice"][of_coils]).size < slices.size:
        notes.append("separate calibration lines left out: not every slice has some")
        of_coils = np.zeros_like(of_coils)
    if not counters["kspace_encode_step_2"][wanted].any():
        encoding = of_single_slices(encoding)
    return Selection(
        name=title,
        encoding=encoding,
        wanted=wanted & ~late,
        calibration=of_coils,
        frames=frames,
        slices={int(s): i for i, s in enumerate(slices)},
        notes=tuple(notes),
    )


def _complete_frames(
    pairs: list[tuple[int, int]], counters: NDArray[np.void], wanted: NDArray[np.bool_], n: int
) -> tuple[dict[tuple[int, int], int], NDArray[np.bool_]]:
    """Return the frames, and the lines of a last one that has not all slices: a scan cut short."""
    last = pairs[-1]
    of_last = wanted & (counters["repetition"] == last[0]) & (counters["phase"] == last[1])
    cut_short = len(pairs) > 1 and np.unique(counters["slice"][of_last]).size < n
    kept = pairs[:-1] if cut_short else pairs
    return {pair: i for i, pair in enumerate(kept)}, of_last & cut_short


def _check_trajectory(
    encoding: Encoding, heads: Heads, wanted: NDArray[np.bool_], name: str
) -> None:
    """Refuse what does not lie on a Cartesian grid as it is."""
    if encoding.trajectory == "epi" or flagged(heads, "ACQ_IS_REVERSE")[wanted].any():
        raise NotApplicable(
            f"{name}: echo-planar data (EPI): lines run both ways and need phase correction, "
            "which is not done here"
        )
    if encoding.trajectory != "cartesian":
        raise NotApplicable(
            f"{name}: the trajectory is {encoding.trajectory[:40]}; only Cartesian data can be read"
        )


def _line_grid(selection: Selection, heads: Heads) -> LineGrid:
    """Return the grid of a part.

    Some files state the oversampled matrix and hold lines without oversampling.
    """
    columns, rows, partitions = selection.encoding.encoded.matrix
    grid = image_grid(selection.encoding)
    first = heads[int(np.flatnonzero(selection.wanted)[0])]
    n_samples = int(first["number_of_samples"]) - int(first["discard_pre"] + first["discard_post"])
    is_cut = n_samples == grid.columns and _centre(first) == grid.columns // 2
    return LineGrid(
        n_frames=len(selection.frames),
        n_slices=len(selection.slices),
        encoded=(partitions, rows, grid.columns if is_cut else columns),
        columns=grid.columns,
        partitions=grid.partitions,
    )


def _lines(selection: Selection, heads: Heads, readouts: Readouts) -> list[Line]:
    """Return the acquisitions of a part as lines on its grid."""
    partitions, rows, columns = _line_grid(selection, heads).encoded
    # Without a stated centre, counters are taken to count from the grid's first line.
    ky = rows // 2 - _or_middle(selection.encoding.centre_1, rows)
    kz = partitions // 2 - _or_middle(selection.encoding.centre_2, partitions)
    lines = []
    for index, samples in zip(readouts.indices, readouts.samples, strict=True):
        head, at = heads[index], heads[index]["idx"]
        where = (
            selection.frames.get((int(at["repetition"]), int(at["phase"])), 0),
            selection.slices[int(at["slice"])],
            kz + int(at["kspace_encode_step_2"]),
            ky + int(at["kspace_encode_step_1"]),
        )
        label = f"acquisition {index}"
        first = 0 if samples.shape[1] == columns else columns // 2 - _centre(head)
        lines.append(Line(place=where, first_sample=first, samples=samples, label=label))
    return lines


def _of_first_frame(line: Line) -> Line:
    """Return a line as one of the first frame: a calibration is measured once for all."""
    return replace(line, place=(0, *line.place[1:]))


def _or_middle(centre: int | None, n: int) -> int:
    """Return a stated centre, or the middle of the grid."""
    return n // 2 if centre is None else centre


def _centre(head: np.void) -> int:
    """Return which of the samples that are kept lies at the origin."""
    return int(head["center_sample"]) - int(head["discard_pre"])


def _first_heads(selection: Selection, heads: Heads) -> list[np.void]:
    """Return the header of the first line of each slice."""
    found = []
    for counter in selection.slices:
        of_slice = selection.wanted & (heads["idx"]["slice"] == counter)
        found.append(heads[int(np.flatnonzero(of_slice)[0])])
    return found


def _content(
    selection: Selection, source: tuple[MrdHeader, Heads], found: _Found, name: str
) -> RawContent:
    """Put together what was read."""
    (header, heads), placed = source, found.placed
    covariance = covariance_of(found.noise, heads, selection.wanted, name)
    array = whitened(found.gridded.array, covariance, name)
    calibration = None
    if found.coils is not None:
        calibration = CalibrationScan(
            array=whitened(found.coils.array, covariance, name)[0, placed.order],
            mask=found.coils.mask[0, placed.order],
        )
    times, estimated = frame_times(
        heads[selection.wanted], selection.frames, selection.slices, header
    )
    if times.shape[1] == 1:
        times = np.repeat(times, len(placed.order), axis=1)
    grid = image_grid(selection.encoding)
    kspace = KSpace(
        array=np.ascontiguousarray(array[:, placed.order]),
        mask=found.gridded.mask[:, placed.order],
        image_shape=(grid.rows, grid.columns),
        readout=Readout.COLUMNS,
        affine=placed.affine,
        pixel_spacing_mm=grid.spacing_mm and grid.spacing_mm[1:],
        times_s=times[:, placed.order],
        times_are_estimated=estimated,
        slice_thickness_mm=grid.thickness_mm,
        noise_sigma=None if covariance is None else float(1 / np.sqrt(found.gridded.n_averages)),
        calibration=calibration,
        frame_of_reference_uid=uid_text(header.texts.get("frameOfReferenceUID")),
    )
    stated, said = dicom_header(header.texts)
    notes = (*selection.notes, *found.gridded.notes, *placed.notes, *said, *silent_coils(array))
    return RawContent(kspace=kspace, header=stated, notes=notes)
