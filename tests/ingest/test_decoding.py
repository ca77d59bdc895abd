"""Instances of a series are decoded side by side, by few processes, and come in their order."""

import time
from collections.abc import Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from pipeline.demo import write_study
from pipeline.errors import UnreadableFile
from pipeline.ingest import decoding
from pipeline.ingest.decoding import SIDE_BY_SIDE, Decoder, side_by_side
from pipeline.ingest.inventory import take_inventory
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.sandbox.reader import NURSERIES
from tests.fuzz.target import kept


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the orders of readers that are given from now on."""
    given: list[bytes] = []
    order = NURSERIES.order

    def noted(what: bytes, descriptors: Sequence[int]) -> None:
        given.append(what)
        order(what, descriptors)

    monkeypatch.setattr(NURSERIES, "order", noted)
    return given


def test_instances_that_are_longer_than_all_before_need_no_process_each(
    tmp_path: Path, orders: list[bytes]
) -> None:
    settings = PhantomSettings(n_slices=1, n_beats=24, rows=64, columns=64)
    image = perfusion_phantom(1, settings).image
    lengths, stored = [], {}
    for number, path in enumerate(write_study(image, tmp_path, name="growing")):
        instance = dcmread(path)
        # Ever more of the picture is noise, so that each file is longer than the one before.
        noise = np.random.default_rng(number).integers(0, 4000, (64, 64)).astype(np.uint16)
        noise[2 * number :] = 0
        instance.PixelData = noise.tobytes()
        stored[str(instance.SOPInstanceUID)] = noise
        instance.compress(RLELossless, generate_instance_uid=False)
        file = BytesIO()
        instance.save_as(file, enforce_file_format=True)
        path.write_bytes(file.getvalue())
        lengths.append(len(file.getvalue()))
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 20
    (candidate,) = take_inventory([tmp_path]).candidates
    series = candidate.load()
    assert 1 <= len(orders) <= 2 * SIDE_BY_SIDE
    for beat, sources in enumerate(series.frames):
        for index, source in enumerate(sources):
            expected = stored[source.sop_instance_uid]
            np.testing.assert_array_equal(series.image.array[beat, index], expected)


def test_damage_that_keeps_a_decoder_busy_is_refused_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A fast processor may be done with it before what ships has passed.
    monkeypatch.setattr(decoding, "DECODES_S", 0.25)
    (path,) = [path for path in kept("decoder") if path.name == "keeps-charls-busy"]
    said = r"pixel data: the process that reads it took more than 0\.25 s of a processor"
    with closing(Decoder()) as decoder, pytest.raises(UnreadableFile, match=said):
        decoder.decode(path.read_bytes(), 4 * 40 * 36)


def test_what_is_read_comes_in_order_and_a_refusal_in_its_place() -> None:
    def read(number: int, _: Decoder) -> int:
        # The first of each pair takes longer than the second.
        time.sleep(0.02 * (1 - number % 2))
        if number == 7:
            raise UnreadableFile("the eighth")
        return number

    assert list(side_by_side(read, range(5))) == [0, 1, 2, 3, 4]
    going = side_by_side(read, range(5, 20))
    assert [next(going), next(going)] == [5, 6]
    with pytest.raises(UnreadableFile, match="the eighth"):
        next(going)
