"""Objects whose frames are made as they are written: the same as from a constructor with all."""

import os
import tracemalloc
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.pm import ParametricMap
from highdicom.seg import Segmentation
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.demo import write_study
from pipeline.encode import parametricmap, segmentation
from pipeline.encode.frames import FrameStream
from pipeline.encode.parametricmap import UNCERTAINTY_MAP, map_object
from pipeline.encode.segmentation import segmentation_object
from pipeline.encode.sources import placed, source_header, stand_in
from pipeline.errors import ModelContractBroken
from pipeline.imaging.volume import Volume
from pipeline.ingest.inventory import take_inventory
from pipeline.study import InputSeries
from tests.support.geometry import affine_of, ascending, axis_orientations, series_on
from tests.support.results import CONTEXT

ODD = (3, 5, 5)
"""A grid whose frames of bits leave bits over, and whose pixels of a byte are odd in number."""

SHAPES = ((4, 6, 6), (1, 8, 8), ODD)
"""Frames of bits that end within a byte, frames that do not, one slice, an odd length."""

Make = Callable[[], Dataset]


def series_of(shape: tuple[int, int, int], folder: Path) -> InputSeries:
    """Return a series of two beats on a grid that is askew."""
    askew = np.linalg.qr(axis_orientations()[7] + 0.2)[0]
    affine = affine_of(ascending(askew), (8.0, 1.5, 1.2), (-31.0, 12.5, 4.25))
    write_study(series_on(affine, (2, *shape)), folder, name="frames")
    (candidate,) = take_inventory([folder]).candidates
    return candidate.load()


def images_of(series: InputSeries, first: Dataset) -> list[Dataset]:
    """Return an image for each slice, as highdicom's constructors want them."""
    images = []
    for index in range(series.image.n_slices):
        image = deepcopy(first)
        image.SOPInstanceUID = CONTEXT.uid("stand-in", str(index))
        origin, step = series.image.affine[:3, 3], series.image.affine[:3, 0]
        image.ImagePositionPatient = list(origin + index * step)
        images.append(image)
    return images


def content(instance: Dataset) -> bytes:
    """Return an object as it is written."""
    file = BytesIO()
    instance.save_as(file, enforce_file_format=True)
    return file.getvalue()


def with_all(constructor: Any, volume: Volume, images: Sequence[Dataset]) -> Any:
    """Return a constructor that is given all pixels and all images, whatever it is called with."""

    def construct(**given: Any) -> Dataset:
        whole = placed(volume, images[0].FrameOfReferenceUID)
        return constructor(**{**given, "pixel_array": whole, "source_images": images})

    return construct


def assert_same(ours: bytes, theirs: bytes) -> None:
    """Check that objects are the same; highdicom ends an odd number of bytes with the digit 0."""
    assert ours[:-1] == theirs[:-1]
    assert ours[-1] == theirs[-1] or (ours[-1], theirs[-1]) == (0, ord("0"))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_a_segmentation_is_the_one_that_highdicom_makes_of_all_its_pixels(
    kind: str, shape: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = series_of(shape, tmp_path)
    labels = np.random.default_rng(5).integers(0, 3, shape, dtype=np.uint8)
    volume = series.image.volume_like(labels)
    image = stand_in(series, source_header(series), CONTEXT)
    ours = content(segmentation_object(volume, kind, (series, image), CONTEXT))
    whole = with_all(Segmentation, volume, images_of(series, image))
    monkeypatch.setattr(segmentation, "Segmentation", whole)
    monkeypatch.setattr(segmentation, "give_frames", lambda *_: None)
    theirs = content(segmentation_object(volume, kind, (series, image), CONTEXT))
    assert_same(ours, theirs)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_map_is_the_one_that_highdicom_makes_of_all_its_pixels(
    shape: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = series_of(shape, tmp_path)
    values = np.random.default_rng(6).random(shape, dtype=np.float32)
    volume = series.image.volume_like(values)
    image = stand_in(series, source_header(series), CONTEXT)
    ours = content(map_object(volume, UNCERTAINTY_MAP, (series, image), CONTEXT))
    whole = with_all(ParametricMap, volume, images_of(series, image))
    monkeypatch.setattr(parametricmap, "ParametricMap", whole)
    monkeypatch.setattr(parametricmap, "give_frames", lambda *_: None)
    theirs = content(map_object(volume, UNCERTAINTY_MAP, (series, image), CONTEXT))
    assert ours == theirs


def test_an_object_is_written_in_a_quarter_of_the_memory_of_its_pixels(tmp_path: Path) -> None:
    series = series_of((24, 8, 8), tmp_path / "study")
    image = stand_in(series, source_header(series), CONTEXT)
    values = np.ones((24, 256, 256), dtype=np.float32)
    volume = Volume(array=values, affine=series.image.affine)
    # The tables of the standard, which highdicom loads with its first object, are not counted.
    content(map_object(series.image.volume_like(values[:, :8, :8]), *made_of(series, image)))
    tracemalloc.start()
    map_object(volume, *made_of(series, image)).save_as(tmp_path / "map.dcm")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes / 4


def made_of(series: InputSeries, image: Dataset) -> tuple[Any, ...]:
    """Return what a map is made of besides its values."""
    return UNCERTAINTY_MAP, (series, image), CONTEXT


def test_a_label_that_is_no_structure_is_refused(tmp_path: Path) -> None:
    series = series_of(ODD, tmp_path)
    image = stand_in(series, source_header(series), CONTEXT)
    volume = series.image.volume_like(np.full(ODD, 3, dtype=np.uint8))
    for kind in ("BINARY", "LABELMAP"):
        with pytest.raises(ModelContractBroken, match="label 3 is none of the 2 structures"):
            segmentation_object(volume, kind, (series, image), CONTEXT)


def stored(frames: NDArray[Any]) -> bytes:
    """Return frames as a native value: bits without padding, an even number of bytes."""
    plain = frames.ravel()
    if frames.dtype == np.bool_:
        plain = np.packbits(plain, bitorder="little")
    value = plain.tobytes()
    return value + bytes(len(value) % 2)


@pytest.mark.parametrize("shape", [(5, 3, 3), (9, 5, 5), (8, 1, 1), (3, 4, 4), (7, 2, 3)])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.float32])
def test_frames_are_read_in_pieces_of_any_size(dtype: Any, shape: tuple[int, int, int]) -> None:
    frames = np.random.default_rng(7).integers(0, 2, shape).astype(dtype)
    bits = 1 if dtype is np.bool_ else 8 * frames.itemsize
    stream = FrameStream(lambda index: frames[index], shape[0], bits * shape[1] * shape[2])
    expected = stored(frames)
    assert stream.seek(0, os.SEEK_END) == len(expected)
    for size in range(1, len(expected) + 2):
        stream.seek(0)
        assert b"".join(iter(partial(stream.read, size), b"")) == expected
    for start in range(len(expected)):
        assert stream.seek(start) == stream.tell() == start
        assert stream.read() == expected[start:]


def test_a_frame_of_another_size_is_refused() -> None:
    stream = FrameStream(lambda _: np.zeros((2, 2), dtype=np.uint8), 3, 8 * 9)
    with pytest.raises(ValueError, match="frames of 4 bytes, 9 were told"):
        stream.read()
