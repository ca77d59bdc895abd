"""Serving computes what the torch network computes, at every size."""

import numpy as np
import pytest
import torch

from pipeline.analyses.reconstruction.networks import UnrolledNetworks, open_networks
from pipeline.analyses.reconstruction.unroll import unroll
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.infer.bundle import load_bundle
from tests.support.reconstruction import (
    disc_prepared,
    tiny_network,
    write_tiny_reconstruction,
)

SHAPES = [(160, 160), (230, 180), (57, 83), (33, 96), (101, 100), (32, 25), (330, 310)]


@pytest.fixture(scope="module", params=["operator", "varnet"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> UnrolledNetworks:
    folder = write_tiny_reconstruction(tmp_path_factory.mktemp("tiny") / "bundle", head=0.3)
    return open_networks(load_bundle(folder), request.param)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("spacing_mm", [None, (1.0, 1.6)], ids=str)
def test_serving_equals_torch_to_one_in_ten_thousand(
    served: UnrolledNetworks,
    shape: tuple[int, int],
    spacing_mm: tuple[float, float] | None,
) -> None:
    prepared = disc_prepared(shape, acceleration=2.0, spacing_mm=spacing_mm)
    with torch.no_grad():
        image, maps = tiny_network(served.method, head=0.3)(prepared)
    expected = image.numpy() * prepared.scale
    found = unroll(prepared, served, Stopwatch())
    np.testing.assert_allclose(found.image, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(found.sensitivities, maps.numpy(), atol=1e-4)


@pytest.mark.parametrize("pattern", ["gaussian", "poisson", "radial"])
def test_serving_equals_torch_on_patterns_of_single_samples(
    served: UnrolledNetworks, pattern: str
) -> None:
    prepared = disc_prepared((90, 75), pattern=pattern, acceleration=4.0)
    with torch.no_grad():
        image, _ = tiny_network(served.method, head=0.3)(prepared)
    expected = image.numpy() * prepared.scale
    found = unroll(prepared, served, Stopwatch()).image
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
