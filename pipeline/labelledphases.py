"""Labelled operations to judge phases on: frame-wise outputs, tools, frames, and their labels.

- Outputs of another encoder, one npz file: ``videoNN_logits`` of shape ``(seconds, phases)`` and
  ``videoNN_phase``.
- Presence of instruments, one npz file: ``videoNN_tools`` of shape ``(seconds, tools)``.
- Labels: an npz file with ``videoNN_phase``, or a CSV file with the columns ``video``, ``second``,
  ``phase`` and, for frames, ``file``. The labels of a video file are those whose ``video`` is the
  file's name, with its ending or without.

Numbers of phases and instruments are understood by name where a file names them (``phase_names``,
``tool_names``). A file without names is taken to use the order of the procedure's file, which for
cholecystectomy is the usual one of Cholec80: packaging 4, cleaning 5, retraction 6. One public
loader swaps 4 and 6; its files must name their phases.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline.analyses.phases.ontology import Procedure, same_name
from pipeline.analyses.phases.scores import Truth
from pipeline.analyses.phases.settings import ModelSettings
from pipeline.errors import StudyRejected, UnreadableFile, UnusableCall
from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.inventory import take_inventory
from pipeline.study import VideoSeries

MOST_SECONDS_APART = 2
"""Difference in length of outputs and labels that is cut off: rounding of a video's end [s]."""

_ARRAY = re.compile(r"video(\d+)_(logits|phase|tools)")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledOutputs:
    """One operation, as somebody else's networks saw it."""

    name: str
    """``video65``."""

    logits: NDArray[np.float64] | None
    """Frame-wise outputs. Shape ``(seconds, phases)``."""

    tools: NDArray[np.float64] | None
    """Presence of each instrument. Shape ``(seconds, tools)``."""

    truth: Truth
    """The labels, one a second."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledFrames:
    """One operation as frames."""

    name: str
    """``video68``."""

    truth: Truth
    """The labels of some of its seconds."""

    frames: Callable[[], Iterable[TimedFrame]] = field(repr=False)
    """Decodes the frames, in order of time. Raises ``StudyRejected`` where one cannot be read."""


Labelled = LabelledOutputs | LabelledFrames
"""An operation to judge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledSource:
    """What a call names: frames or videos with their labels, or outputs."""

    frames: Path | None = None
    """Folder of frames."""

    videos: tuple[Path, ...] = ()
    """Video files."""

    outputs: tuple[Path, ...] = ()
    """Files of logits or tools."""

    labels: Path | None = None
    """File of labels; outputs may hold their own."""

    only: tuple[str, ...] = ()
    """Names of the operations to judge; all if empty."""


def read_labelled(
    source: LabelledSource, procedure: Procedure, model: ModelSettings
) -> tuple[Labelled, ...]:
    """Return the operations that a call names.

    Parameters
    ----------
    source
        What it names.
    procedure
        Whose phases are meant.
    model
        Its instruments and its rate.

    Raises
    ------
    UnusableCall
        If it names several kinds or none, or if something cannot be read.
    """
    read = _read(source, procedure, model)
    missing = set(source.only) - {operation.name for operation in read}
    if missing:
        raise UnusableCall(f"no operation {', '.join(sorted(missing))}")
    return tuple(o for o in read if not source.only or o.name in source.only)


def _read(source: LabelledSource, procedure: Procedure, model: ModelSettings) -> Sequence[Labelled]:
    """Return all operations of a source."""
    kinds = (source.outputs, source.frames, source.videos)
    if sum(bool(kind) for kind in kinds) == 1:
        if source.outputs:
            return read_outputs(source.outputs, source.labels, procedure, model.tools)
        if source.frames is not None and source.labels is not None:
            return read_frames(source.frames, source.labels, procedure)
        if source.labels is not None:
            return read_videos(source.videos, source.labels, procedure, model.rate_hz)
    raise UnusableCall("give --frames or --video with --labels, or --logits or --features")


def read_outputs(
    files: tuple[Path, ...], labels: Path | None, procedure: Procedure, tools: tuple[str, ...]
) -> tuple[LabelledOutputs, ...]:
    """Return the operations of which files hold logits, tools or both.

    Parameters
    ----------
    files
        Files with ``videoNN_logits`` or ``videoNN_tools``.
    labels
        File with ``videoNN_phase``; None where the others hold it.
    procedure
        Whose phases are meant.
    tools
        Instruments in the order of the model.

    Raises
    ------
    UnusableCall
        If a file cannot be read, an array has the wrong shape, a name is unknown, or an operation
        has no labels.
    """
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for place, path in enumerate((*files, *([labels] if labels else []))):
        for name, kind, array in _arrays(path, procedure, tools):
            if place < len(files) or (kind == "phase" and name in found):
                found.setdefault(name, {})[kind] = array
    wanted = {n: a for n, a in found.items() if "logits" in a or "tools" in a}
    if not wanted:
        raise UnusableCall(f"{files[0]}: no array videoNN_logits or videoNN_tools")
    return tuple(_outputs(name, arrays) for name, arrays in sorted(wanted.items()))


def read_frames(folder: Path, labels: Path, procedure: Procedure) -> tuple[LabelledFrames, ...]:
    """Return the operations whose frames lie in a folder.

    Parameters
    ----------
    folder
        Holds the files that the labels name.
    labels
        CSV file with the columns ``video``, ``second``, ``phase`` and ``file``.
    procedure
        Whose phases are meant.

    Raises
    ------
    UnusableCall
        If the labels cannot be read, or name a file that is not there.
    """
    rows = _rows(labels, ("video", "second", "phase", "file"))
    operations = []
    for video in sorted({row["video"] for row in rows}):
        own = sorted((row for row in rows if row["video"] == video), key=_second)
        files = tuple((_second(row), folder / row["file"]) for row in own)
        for _, path in files:
            if not path.is_file():
                raise UnusableCall(f"{path}: named in {labels.name}, and missing")
        operations.append(
            LabelledFrames(
                name=f"video{video}",
                truth=_truth(own, procedure),
                frames=partial(_decoded, files),
            )
        )
    return tuple(operations)


def read_videos(
    files: tuple[Path, ...], labels: Path, procedure: Procedure, rate_hz: float
) -> tuple[LabelledFrames, ...]:
    """Return video files with their labels.

    Parameters
    ----------
    files
        Videos of any format that is read.
    labels
        CSV file with the columns ``video``, ``second`` and ``phase``.
    procedure
        Whose phases are meant.
    rate_hz
        Pictures for each second.

    Raises
    ------
    UnusableCall
        If the labels cannot be read, or hold none of a file.
    """
    rows = _rows(labels, ("video", "second", "phase"))
    operations = []
    for path in files:
        own = sorted((row for row in rows if row["video"] in (path.name, path.stem)), key=_second)
        if not own:
            raise UnusableCall(f"{labels}: no row whose video is {path.stem}")
        operations.append(
            LabelledFrames(
                name=path.stem,
                truth=_truth(own, procedure),
                frames=partial(_pictures, path, rate_hz),
            )
        )
    return tuple(operations)


def _decoded(files: Sequence[tuple[int, Path]]) -> Iterator[TimedFrame]:
    """Yield frames of files, each with its second."""
    for second, path in files:
        try:
            with Image.open(path) as picture:
                rgb = np.asarray(picture.convert("RGB"))
        except (OSError, UnidentifiedImageError) as problem:
            raise UnreadableFile(f"{path.name}: no picture that can be read") from problem
        yield TimedFrame(t_seconds=float(second), rgb=rgb)


def _pictures(path: Path, rate_hz: float) -> Iterable[TimedFrame]:
    """Return the pictures of a video file, by the door that studies come through."""
    inventory = take_inventory([path])
    if not inventory.candidates:
        reasons = "; ".join(refusal.reason for refusal in inventory.refusals)
        raise StudyRejected(reasons or f"{path.name}: no video")
    series = inventory.candidates[0].load()
    if not isinstance(series, VideoSeries):
        raise StudyRejected(f"{path.name}: no video")
    return series.pictures(rate_hz)


def _arrays(
    path: Path, procedure: Procedure, tools: tuple[str, ...]
) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Yield name, kind and values of a file's arrays, in the order of procedure and model."""
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile) as problem:
        raise UnusableCall(f"{path}: no npz file that can be read") from problem
    phases = _phase_columns(stored, procedure)
    order = _tool_columns(stored, tools)
    for key, array in stored.items():
        named = _ARRAY.fullmatch(key)
        if named is None:
            continue
        name, kind = f"video{named[1]}", named[2]
        if kind == "phase":
            yield name, kind, _phase_numbers(path, key, array, phases)
        elif kind == "logits":
            yield name, kind, _table(path, key, array, len(phases))[:, np.argsort(phases)]
        else:
            yield name, kind, _table(path, key, array, len(order))[:, order]


def _phase_columns(stored: Mapping[str, NDArray[np.generic]], procedure: Procedure) -> list[int]:
    """Return the column of each number that a file uses."""
    if "phase_names" not in stored:
        return list(range(len(procedure.phases)))
    columns = [procedure.column_of(str(name)) for name in stored["phase_names"]]
    if sorted(columns) != list(range(len(procedure.phases))):
        raise UnusableCall(f"phase_names are not the phases of {procedure.name}")
    return columns


def _tool_columns(stored: Mapping[str, NDArray[np.generic]], tools: tuple[str, ...]) -> list[int]:
    """Return the file's column of each instrument of the model."""
    if "tool_names" not in stored:
        return list(range(len(tools)))
    names = [str(name) for name in stored["tool_names"]]
    order = []
    for tool in tools:
        places = [place for place, name in enumerate(names) if same_name(name, tool)]
        if len(places) != 1:
            raise UnusableCall(f"tool_names lack {tool}; they are {', '.join(names)}")
        order.append(places[0])
    return order


def _phase_numbers(
    path: Path, key: str, array: NDArray[np.generic], columns: list[int]
) -> NDArray[np.float64]:
    """Return phases as columns of the procedure."""
    if array.ndim != 1 or array.dtype.kind not in "iu" or not array.size:
        raise UnusableCall(f"{path}: {key} is {array.dtype} {array.shape}, not a row of numbers")
    numbers = array.astype(np.int64)
    if numbers.min() < 0 or numbers.max() >= len(columns):
        raise UnusableCall(f"{path}: {key} holds numbers beyond {len(columns)} phases")
    return np.array(columns, dtype=np.float64)[numbers]


def _table(path: Path, key: str, array: NDArray[np.generic], width: int) -> NDArray[np.float64]:
    """Return a table of a number of columns, as floating point."""
    if array.ndim != 2 or array.shape[1] != width or array.dtype.kind not in "fiub":
        raise UnusableCall(f"{path}: {key} is {array.dtype} {array.shape}, not (seconds, {width})")
    values = array.astype(np.float64)
    if not values.size or not np.isfinite(values).all():
        raise UnusableCall(f"{path}: {key} is empty or not finite")
    return values


def _outputs(name: str, arrays: Mapping[str, NDArray[np.float64]]) -> LabelledOutputs:
    """Return an operation whose arrays have one length."""
    if "phase" not in arrays:
        raise UnusableCall(f"{name}: no labels; give a file with {name}_phase as --labels")
    lengths = [len(array) for array in arrays.values()]
    shortest = min(lengths)
    if max(lengths) - shortest > MOST_SECONDS_APART:
        raise UnusableCall(f"{name}: arrays of {min(lengths)} to {max(lengths)} seconds")
    cut = {kind: array[:shortest] for kind, array in arrays.items()}
    phase = cut["phase"].astype(np.int64)
    return LabelledOutputs(
        name=name,
        logits=cut.get("logits"),
        tools=cut.get("tools"),
        truth=Truth(seconds=np.arange(shortest), phase=phase),
    )


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a CSV file that has some columns."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise UnusableCall(f"{path}: no CSV file that can be read") from problem
    if not rows or not set(columns) <= set(rows[0]):
        raise UnusableCall(f"{path}: needs rows with the columns {', '.join(columns)}")
    for row in rows:
        if not (row["second"] or "").isdecimal():
            raise UnusableCall(f"{path}: second {row['second']!r} is no whole number")
    return rows


def _truth(rows: list[dict[str, str]], procedure: Procedure) -> Truth:
    """Return the labels of one operation's rows, which are in order."""
    seconds = np.array([_second(row) for row in rows], dtype=np.int64)
    if (np.diff(seconds) <= 0).any():
        raise UnusableCall(f"labels of video {rows[0]['video']}: a second is there twice")
    phase = np.array([procedure.column_of(row["phase"]) for row in rows], dtype=np.int64)
    return Truth(seconds=seconds, phase=phase)


def _second(row: Mapping[str, str]) -> int:
    """Return a row's second."""
    return int(row["second"])
