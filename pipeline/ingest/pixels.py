"""Read the pixels of a series that was placed.

Values are float32 whatever is stored: a type chosen from one frame's content cannot hold the next
frame's. The bytes that are decoded are those that the inventory hashed.

References
----------
.. [C111] DICOM PS3.3, C.11.1 Modality LUT module.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pipeline.errors import UnreadableFile
from pipeline.identity import digest_bytes, digest_set
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.arterial import ArterialFrames
from pipeline.ingest.consistency import grouped
from pipeline.ingest.decoding import Decoder, side_by_side
from pipeline.ingest.dicomfile import DECODE_ERRORS, parse
from pipeline.ingest.frame import Frame, Instance, NativePixels
from pipeline.ingest.pixelmodule import COMPRESSED
from pipeline.ingest.series import NOT_USED, Assembly
from pipeline.quiet import quietly
from pipeline.study import ArterialImages, InputSeries, SourceFrame

LONGEST_VALUE = 4
"""Bytes of the longest stored value that is read."""


def load_series(assembly: Assembly) -> InputSeries:
    """Read the pixels of a series.

    Raises
    ------
    UnreadableFile
        If pixel data is damaged, or a file is no longer what it was.
    """
    image, header = _loaded(assembly)
    series = _input_series(assembly, image, header)
    if assembly.arterial is None:
        return series
    try:
        image, header = _loaded(assembly.arterial)
    except UnreadableFile as error:
        for frame in assembly.arterial.frames:
            # A file that has changed is another input, whatever it is used for.
            _content(frame.instance)
        return replace(series, notes=(*series.notes, f"{NOT_USED}: {error}"))
    frames = _sources(assembly.arterial)
    return replace(series, arterial=ArterialImages(image=image, frames=frames, header=header))


def _loaded(placed: Assembly | ArterialFrames) -> tuple[TimeSeries, Dataset]:
    """Read the pixels of frames that were placed, and the header of the first."""
    array = np.empty(placed.shape, dtype=np.float32)
    places = {
        (frame.instance.sop_instance_uid, frame.number): (beat, index)
        for index, members in enumerate(placed.slices)
        for beat, frame in enumerate(members)
    }
    first = placed.slices[0][0]
    header = Dataset()
    with quietly():
        for frames, content, stored in _read(placed):
            for frame in frames:
                place = places[frame.instance.sop_instance_uid, frame.number]
                array[place] = _modality_values(stored[frame.number - 1], frame)
            if frames[0].instance is first.instance:
                header = _header(content)
    image = TimeSeries(
        array=array,
        affine=placed.affine,
        times_s=placed.times_s,
        times_are_estimated=isinstance(placed, Assembly) and placed.times_are_estimated,
        frame_of_reference_uid=first.plane.frame_of_reference_uid,
        unit=first.unit,
    )
    return image, header


def _read(
    placed: Assembly | ArterialFrames,
) -> Iterator[tuple[list[Frame], bytes, NDArray[np.generic]]]:
    """Yield the frames of each instance with its file and its stored values."""

    def read(
        frames: list[Frame], decoder: Decoder
    ) -> tuple[list[Frame], bytes, NDArray[np.generic]]:
        content = _content(frames[0].instance)
        return frames, content, _stored_values(content, frames, decoder)

    instances = grouped(placed.frames, lambda f: f.instance.sop_instance_uid)
    if any(f.instance.transfer_syntax_uid in COMPRESSED for f in placed.frames):
        yield from side_by_side(read, instances)
        return
    # No other process is waited for: threads would only keep each other waiting.
    with closing(Decoder()) as decoder:
        for frames in instances:
            yield read(frames, decoder)


def _input_series(assembly: Assembly, image: TimeSeries, header: Dataset) -> InputSeries:
    """Return the record that travels on."""
    first = assembly.slices[0][0]
    series_uids = dict.fromkeys(m[0].instance.series_instance_uid for m in assembly.slices)
    return InputSeries(
        label=first.instance.series_instance_uid,
        study_instance_uid=first.instance.study_instance_uid,
        series_instance_uids=tuple(series_uids),
        image=image,
        frames=_sources(assembly),
        header=header,
        input_digest=digest_set(i.sha256 for i in assembly.instances),
        notes=assembly.notes,
    )


def _sources(placed: Assembly | ArterialFrames) -> tuple[tuple[SourceFrame, ...], ...]:
    """Return where each frame comes from, indexed ``[beat][slice]``."""
    return tuple(
        tuple(_source(members[beat]) for members in placed.slices)
        for beat in range(placed.shape[0])
    )


def _content(instance: Instance) -> bytes:
    """Read an instance's file again."""
    try:
        content = instance.path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"{instance.name}: cannot be read again") from error
    if digest_bytes(content) != instance.sha256:
        raise UnreadableFile(f"{instance.name}: the file has changed since it was checked")
    return content


def _header(content: bytes) -> Dataset:
    """Return an instance's header, every value converted.

    What cannot be converted is left out: nobody could copy it into a result.
    """
    header = parse(BytesIO(content), stop_before_pixels=True)
    for tag in list(header.keys()):
        try:
            _convert(header, tag)
        except DECODE_ERRORS:
            del header[tag]
    return header


def _convert(dataset: Dataset, tag: BaseTag) -> None:
    """Convert an element, and all that it holds if it is a sequence."""
    element = dataset[tag]
    for item in element.value if element.VR == "SQ" else ():
        for inner in list(item.keys()):
            _convert(item, inner)


def _stored_values(content: bytes, frames: list[Frame], decoder: Decoder) -> NDArray[np.generic]:
    """Return the stored values of an instance. Shape ``(frames, rows, columns)``."""
    instance, native = frames[0].instance, frames[0].native
    if native is not None:
        return _native_values(content, frames[0], native)
    try:
        if instance.transfer_syntax_uid in COMPRESSED:
            n_values = frames[0].rows * frames[0].columns * frames[0].of
            stored = decoder.decode(content, LONGEST_VALUE * n_values)
        else:
            dataset = parse(BytesIO(content), stop_before_pixels=False)
            # A file without meta information does not say what its syntax was found to be.
            dataset.file_meta.TransferSyntaxUID = instance.transfer_syntax_uid
            stored = np.asarray(dataset.pixel_array)
    except UnreadableFile as error:
        name = instance.transfer_syntax_uid.name
        raise UnreadableFile(f"instance {instance.named}: {error} ({name})") from error
    except DECODE_ERRORS:
        raise UnreadableFile(f"instance {instance.named}: pixel data cannot be read") from None
    expected = (max(f.number for f in frames), frames[0].rows, frames[0].columns)
    stored = stored.reshape((-1, *stored.shape[-2:]))
    if stored.shape[1:] != expected[1:] or len(stored) < expected[0]:
        raise UnreadableFile(
            f"instance {instance.named}: decoded to {stored.shape}, {expected} described"
        )
    return stored


def _native_values(
    content: bytes, frame: Frame, native: NativePixels
) -> NDArray[np.unsignedinteger | np.signedinteger]:
    """Return the values of a single frame that is not compressed. Shape ``(1, rows, columns)``.

    The file's digest is that of the file that was checked, so its values lie where they lay then,
    and nothing has to be parsed again.
    """
    count = frame.rows * frame.columns
    values: NDArray[np.unsignedinteger | np.signedinteger] = np.frombuffer(
        content, native.dtype, count, native.offset
    )
    if native.unused_bits:
        # What lies above the highest stored bit, an overlay perhaps, is no part of the value.
        values = (values << native.unused_bits) >> native.unused_bits
    return values.reshape(1, frame.rows, frame.columns)


def _modality_values(stored: NDArray[np.generic], frame: Frame) -> NDArray[np.float32]:
    """Return ``stored * Rescale Slope + Rescale Intercept`` [C111]_."""
    if (frame.slope, frame.intercept) == (1.0, 0.0):
        return stored.astype(np.float32)
    values = stored.astype(np.float64) * frame.slope + frame.intercept
    return values.astype(np.float32)


def _source(frame: Frame) -> SourceFrame:
    """Return where a frame comes from."""
    return SourceFrame(
        path=frame.instance.path,
        sop_class_uid=frame.instance.sop_class_uid,
        sop_instance_uid=frame.instance.sop_instance_uid,
        series_instance_uid=frame.instance.series_instance_uid,
        frame_number=frame.number,
    )
