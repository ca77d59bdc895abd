"""What is exported gives what the torch network gives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from models.perfusion.export import export_locator, export_member
from models.perfusion.network import N_BEATS, N_CLASSES, N_MAPS, Locator, Member
from models.perfusion.quantise import write_eight_bits

TOLERANCE = 2e-5

# torch's exporter warns of its own use of torch.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def rounded(kind: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return a network with random weights that half precision holds exactly."""
    torch.manual_seed(seed)
    network = kind()
    for parameter in network.parameters():
        parameter.data = (parameter.data + 0.05 * torch.randn_like(parameter)).half().float()
    return network.eval()


def both(network: nn.Module, path: Path, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the torch network and what the exported graph make of an input."""
    with torch.no_grad():
        expected = network(torch.from_numpy(array)).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: array})
    return expected, found


def test_a_member_is_the_torch_network_for_any_batch(tmp_path: Path) -> None:
    member = rounded(Member, seed=1)
    export_member(member, tmp_path / "member.onnx")
    for batch in (1, 3, 17):
        array = np.random.default_rng(batch).random((batch, N_BEATS, 64, 64), dtype=np.float32)
        expected, found = both(member, tmp_path / "member.onnx", array)
        assert found.shape == (batch, N_CLASSES, 64, 64)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)


def test_the_locator_is_the_torch_network_for_any_field_of_view(tmp_path: Path) -> None:
    locator = rounded(Locator, seed=2)
    export_locator(locator, tmp_path / "locator.onnx")
    for sides in ((48, 64), (16, 24), (96, 40)):
        array = np.random.default_rng(0).random((1, N_MAPS, *sides), dtype=np.float32)
        expected, found = both(locator, tmp_path / "locator.onnx", array)
        assert found.shape == (1, 1, *sides)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_the_same_weights_give_the_same_small_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_locator(rounded(Locator, seed=4), tmp_path / f"{name}.onnx")
    content = (tmp_path / "one.onnx").read_bytes()
    assert content == (tmp_path / "two.onnx").read_bytes()
    assert len(content) < 2.5 * sum(p.numel() for p in Locator().parameters())


def test_eight_bits_are_the_same_file_again_and_never_fill_the_sums_of_old_processors(
    tmp_path: Path,
) -> None:
    member = rounded(Member, seed=3)
    export_member(member, tmp_path / "member.onnx")
    patches = np.random.default_rng(5).random((4, N_BEATS, 64, 64), dtype=np.float32)
    for name in ("one", "two"):
        write_eight_bits(tmp_path / "member.onnx", patches, tmp_path / f"{name}.onnx")
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    expected, found = both(member, tmp_path / "one.onnx", patches)
    # Random weights on noise; those that ship are held to a tenth of it in test_bundle.py.
    assert np.abs(found - expected).mean() < 0.03
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(tmp_path / "one.onnx").graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(weights) == sum(isinstance(part, nn.Conv2d) for part in member.modules())
    # Two products of 255 and a weight have to fit into sixteen bits.
    assert max(int(np.abs(w.astype(int)).max()) for w in weights) <= 64
