"""A small phases bundle with random weights, and generated operations and pictures for it."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.phases.export import FOLDER, export_head, export_temporal, settings_of
from models.phases.labels import Operation
from models.phases.network import N_KEYS, WINDOW, TemporalNetwork
from pipeline.analyses.phases.networks import PhaseNetworks, open_phases
from pipeline.analyses.phases.settings import ModelSettings
from pipeline.imaging.timedframe import TimedFrame
from pipeline.infer.bundle import load_bundle, write_file_list

torch.set_num_threads(1)

SIDE, BLOCK = 224, 56
"""Rows of the tiny encoder's picture, and of the blocks whose means are its features."""

N_FEATURES = 3 * (SIDE // BLOCK) ** 2

TOOLS = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")

TINY = ModelSettings(
    rate_hz=1.0,
    picture_side=SIDE,
    n_features=N_FEATURES,
    window=WINDOW,
    n_keys=N_KEYS,
    tools=TOOLS,
)
"""A model whose features are the mean colours of a picture's sixteen squares."""


def operation(name: str, lengths: tuple[int, ...], seed: int = 0) -> Operation:
    """Return an operation that goes through the phases in order, for so many seconds each."""
    rng = np.random.default_rng(seed)
    phase = np.repeat(np.arange(len(lengths)), lengths)
    tools = np.eye(7, dtype=np.float32)[phase % 7]
    tools[rng.random(tools.shape) < 0.1] = 1
    return Operation(name=name, phase=phase, tools=tools)


def operations() -> tuple[Operation, ...]:
    """Return three operations of a few minutes."""
    return (
        operation("video01", (20, 60, 30, 50, 20, 25, 15), 1),
        operation("video02", (30, 80, 20, 40, 30, 15, 20), 2),
        operation("video03", (15, 50, 40, 60, 25, 30, 10), 3),
    )


def bypass() -> Operation:
    """Return an operation of twelve phases."""
    phase = np.repeat(np.arange(12), 15)
    return Operation(name="bypass", phase=phase, tools=np.zeros((phase.size, 0), np.float32))


def tiny_temporal() -> TemporalNetwork:
    """Return a temporal network with random weights that half precision holds exactly."""
    torch.manual_seed(5)
    network = TemporalNetwork(7, len(TOOLS))
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_((weight + 0.05 * torch.randn_like(weight)).half().float())
    return network.eval()


def write_tiny_phases(folder: Path) -> Path:
    """Write a bundle into a folder, which is made, and return the folder."""
    for name in ("configs", "docs", "models"):
        (folder / name).mkdir(parents=True)
    write_tiny_encoder(folder / "models" / "encoder.onnx")
    torch.manual_seed(6)
    head = nn.Linear(N_FEATURES, 7)
    with torch.no_grad():
        head.weight.copy_((0.05 * torch.randn_like(head.weight)).half().float())
        head.bias.zero_()
    with warnings.catch_warnings():
        # torch's exporter warns of its own use of torch.
        warnings.simplefilter("ignore")
        export_head(head, folder / "models" / "head.onnx")
        export_temporal(tiny_temporal(), TINY, folder / "models" / "temporal.onnx")
    metadata = json.loads((FOLDER / "metadata.json").read_text())
    metadata["vesalius"] = settings_of(TINY, operations(), [bypass()])
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "docs" / "README.md").write_text("# Tiny phases\n\nFor tests only.\n")
    (folder / "LICENSE").write_text("Apache-2.0\n")
    write_file_list(folder)
    return folder


def write_tiny_encoder(path: Path) -> None:
    """Write an encoder whose features are the mean colours of a picture's squares, 0 to 1."""
    shape = numpy_helper.from_array(np.array([1, N_FEATURES], dtype=np.int64), "shape")
    scale = numpy_helper.from_array(np.array(1 / 255, dtype=np.float32), "scale")
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["means"], kernel_shape=[BLOCK] * 2, strides=[BLOCK] * 2
        ),
        helper.make_node("Reshape", ["means", "shape"], ["flat"]),
        helper.make_node("Mul", ["flat", "scale"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, N_FEATURES])],
        [shape, scale],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def open_tiny(folder: Path, procedure: str = "cholecystectomy") -> PhaseNetworks:
    """Open a tiny bundle."""
    return open_phases(load_bundle(folder), procedure)


def tissue(seed: int, *, rows: int = 120, columns: int = 160) -> NDArray[np.uint8]:
    """Return a picture in the colours of tissue, with texture."""
    rng = np.random.default_rng(seed)
    base = np.array([170, 80, 70]) + rng.integers(-25, 25, 3)
    coarse = rng.normal(0, 25, (rows // 4, columns // 4, 1)).repeat(4, 0).repeat(4, 1)
    fine = rng.normal(0, 12, (rows, columns, 1))
    return np.clip(base + coarse + fine, 0, 255).astype(np.uint8)


def video(
    n_seconds: int, *, missing: tuple[int, ...] = (), black: tuple[int, ...] = ()
) -> Iterator[TimedFrame]:
    """Yield a picture a second, some left out and some without light."""
    for second in range(n_seconds):
        if second in missing:
            continue
        rgb = np.zeros((120, 160, 3), np.uint8) if second in black else tissue(second)
        yield TimedFrame(t_seconds=float(second), rgb=rgb)
