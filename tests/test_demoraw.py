"""The demonstration's raw data: undersampled, sound, and the same each time."""

from pathlib import Path

import numpy as np

from pipeline.demoraw import N_COILS, write_raw
from pipeline.identity import digest_file
from pipeline.ingest.inventory import take_inventory
from pipeline.mr.coils import calibration_region
from pipeline.mr.sense import zero_filled_rss
from pipeline.study import RawSeries


def test_the_file_is_raw_data_of_a_heart_that_ingest_takes(tmp_path: Path) -> None:
    path = write_raw(tmp_path, 1)
    inventory = take_inventory([path])
    assert not inventory.refusals
    (candidate,) = inventory.candidates
    assert (candidate.modality, candidate.study_instance_uid) == ("KSPACE", None)
    series = candidate.load()
    assert isinstance(series, RawSeries)
    assert series.kspace.n_coils == N_COILS
    assert 3.6 < series.kspace.acceleration < 4.4
    region = calibration_region(series.kspace.mask[0, 0])
    assert min(region.shape) > 6
    image = zero_filled_rss(series.kspace.array[0, 0])
    assert image.max() > 5 * np.median(image)


def test_a_seed_is_a_file(tmp_path: Path) -> None:
    one, again, other = (
        digest_file(write_raw(tmp_path / name, seed))
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert one == again != other
