"""A small bundle for tests: three members and a locator that find the heart of the phantom.

Each network is two layers of fixed random convolutions whose read-out is fitted to phantoms by
ridge regression: no training, a second to make, a millisecond to run. A member's first layer mixes
the beats of a point, its second smooths each mixture over the points around. The members differ in
their random layers only, as those of a real pool differ in their first weights.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from scipy.ndimage import center_of_mass

from pipeline.analyses.perfusion.firstpass import first_beat, normalise, window
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.locate import COARSE_SPACING_MM, enhancement_maps
from pipeline.infer.bundle import write_file_list
from pipeline.phantom import Phantom, PhantomSettings, perfusion_phantom

N_MEMBERS = 3
N_BEATS, N_MAPS, N_CLASSES = 30, 6, 3
GRID_SIZE, GRID_SPACING_MM, PATCH = 96, 1.6, 64
N_RANDOM = 96
EXAMPLES = range(100, 116)
EVERY = 3

METADATA = {
    "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json",
    "name": "Tiny perfusion pool",
    "version": "0.0.1",
    "changelog": {"0.0.1": "made for tests"},
    "monai_version": "1.4.0",
    "pytorch_version": "2.13.0",
    "numpy_version": "1.26.0",
    "required_packages_version": {"onnxruntime": "1.20.0"},
    "task": "Segmentation of the left ventricle in first-pass perfusion MR",
    "description": "Random convolutions with a fitted read-out, for tests.",
    "authors": "Vesalius",
    "copyright": "Vesalius, Apache-2.0",
    "network_data_format": {
        "inputs": {
            "beats": {
                "type": "image",
                "format": "magnitude",
                "modality": "MR",
                "num_channels": N_BEATS,
                "spatial_shape": [PATCH, PATCH],
                "dtype": "float32",
                "value_range": [0, 2],
                "is_patch_data": True,
                "channel_def": {str(beat): f"beat {beat}" for beat in range(N_BEATS)},
            }
        },
        "outputs": {
            "probabilities": {
                "type": "probabilities",
                "format": "segmentation",
                "num_channels": N_CLASSES,
                "spatial_shape": [PATCH, PATCH],
                "dtype": "float32",
                "value_range": [0, 1],
                "is_patch_data": True,
                "channel_def": {"0": "background", "1": "myocardium", "2": "LV blood pool"},
            }
        },
    },
    "vesalius": {
        "members": [f"member_{n + 1}" for n in range(N_MEMBERS)],
        "grid_size": GRID_SIZE,
        "grid_spacing_mm": GRID_SPACING_MM,
        "patch_size": PATCH,
        "n_beats": N_BEATS,
        "segmentation_stride": 16,
        "edge_before": 5,
        "edge_after": 1,
    },
}


def write_tiny_bundle(folder: Path) -> Path:
    """Write the bundle into a folder, which is made, and return the folder."""
    for name in ("configs", "docs", "models"):
        (folder / name).mkdir(parents=True)
    for name, content in tiny_networks().items():
        (folder / "models" / f"{name}.onnx").write_bytes(content)
    (folder / "configs" / "metadata.json").write_text(json.dumps(METADATA, indent=2))
    (folder / "docs" / "README.md").write_text("# Tiny perfusion pool\n\nFor tests only.\n")
    (folder / "LICENSE").write_text("Apache-2.0\n")
    write_file_list(folder)
    return folder


@cache
def tiny_networks() -> dict[str, bytes]:
    """Return the ONNX files of the members and of the locator."""
    phantoms = [_example(seed) for seed in EXAMPLES]
    pool = [_pool_example(phantom) for phantom in phantoms]
    networks = {f"member_{n + 1}": _fitted(_member, n, pool) for n in range(N_MEMBERS)}
    networks["locator"] = _fitted(_locator, 0, [_locator_example(p) for p in phantoms])
    return networks


def _example(seed: int) -> Phantom:
    """Return a phantom to fit to."""
    return perfusion_phantom(seed, PhantomSettings(n_slices=1, n_beats=45))


def _pool_example(phantom: Phantom) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what a member sees of a phantom whose heart and motion are known, and the classes."""
    labels = phantom.labels[0]
    row, column = center_of_mass(labels > 0)
    grid = SliceGrid(
        centre=(float(row), float(column)),
        pixel_spacing_mm=phantom.image.spacing_mm[1:],
        size=GRID_SIZE,
        spacing_mm=GRID_SPACING_MM,
    )
    square = grid.resample(phantom.image.array[:, 0], phantom.shifts_mm[:, 0])
    classes = np.stack([labels == value for value in range(N_CLASSES)]).astype(np.float32)
    target = grid.resample(classes, np.zeros((N_CLASSES, 2)))
    blood = square[:, target[2] > 0.5].mean(axis=1).astype(np.float64)
    return normalise(window(square, first_beat(blood, N_BEATS), N_BEATS)), target


def _locator_example(phantom: Phantom) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the locator sees of a phantom, and a spot on the heart's centre."""
    maps = enhancement_maps(phantom.image.array[:, 0], phantom.image.spacing_mm[1:])
    return maps, _spot(phantom, maps.shape[1:])[None]


def _spot(phantom: Phantom, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a spot on the heart's centre, on the locator's grid."""
    scale = COARSE_SPACING_MM / np.array(phantom.image.spacing_mm[1:])
    row, column = (np.array(center_of_mass(phantom.labels[0] > 0)) + 0.5) / scale - 0.5
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 3.0**2))
    return np.asarray(spot, dtype=np.float32)


def _fitted(
    build: Callable[[int, NDArray[np.float32], NDArray[np.float32]], bytes],
    seed: int,
    examples: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> bytes:
    """Return a network whose read-out is the ridge regression of targets on random features."""
    n_out = examples[0][1].shape[0]
    blank = np.eye(2 * N_RANDOM, dtype=np.float32), np.zeros(2 * N_RANDOM, np.float32)
    features = onnxruntime.InferenceSession(
        _graph(seed, examples[0][0].shape[0], blank, last="Identity"),
        providers=["CPUExecutionProvider"],
    )
    some = np.s_[:, ::EVERY, ::EVERY]
    columns = [features.run(None, {"in": image[None]})[0][0][some] for image, _ in examples]
    targets = [target[some] for _, target in examples]
    design = np.concatenate([c.reshape(len(c), -1) for c in columns], axis=1).astype(np.float64)
    target = np.concatenate([t.reshape(n_out, -1) for t in targets], axis=1).astype(np.float64)
    design = np.vstack([design, np.ones(design.shape[1])])
    gram = design @ design.T + 1e-3 * design.shape[1] * np.diag([1e-3] * (len(design) - 1) + [0.0])
    weights = np.linalg.solve(gram, design @ target.T).T.astype(np.float32)
    return build(seed, weights[:, :-1], weights[:, -1])


def _member(seed: int, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Return a member's file; probabilities are sharpened regressions."""
    sharp = np.float32(12.0)
    return _graph(seed, N_BEATS, (sharp * weights, sharp * bias), last="Softmax")


def _locator(seed: int, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Return the locator's file."""
    return _graph(seed, N_MAPS, (6.0 * weights, 6.0 * bias - 3.0), last="Sigmoid")


def _graph(
    seed: int,
    n_in: int,
    read_out: tuple[NDArray[np.float32], NDArray[np.float32]],
    *,
    last: str,
) -> bytes:
    """Return an ONNX file: two random layers, a 1x1 convolution of both, a last step."""
    weights = _weights(seed, n_in, read_out)
    names = {"Softmax": ("beats", "probabilities"), "Sigmoid": ("maps", "likelihood")}
    name_in, name_out = names.get(last, ("in", "out"))
    n_out = len(read_out[1])
    free = ["batch", None, "height", "width"] if last == "Identity" else None
    shapes = {
        "Softmax": (["batch", n_in, PATCH, PATCH], ["batch", n_out, PATCH, PATCH]),
        "Sigmoid": ([1, n_in, "height", "width"], [1, n_out, "height", "width"]),
        "Identity": (free, free),
    }[last]
    wide = {"kernel_shape": [5, 5], "pads": [6] * 4, "dilations": [3, 3]}
    groups = N_RANDOM // weights["w2"].shape[1]
    axis = {"axis": 1} if last == "Softmax" else {}
    nodes = [
        helper.make_node("Conv", [name_in, "w1", "b1"], ["c1"], auto_pad="SAME_UPPER"),
        helper.make_node("Relu", ["c1"], ["f1"]),
        helper.make_node("Conv", ["f1", "w2", "b2"], ["c2"], group=groups, **wide),
        helper.make_node("Relu", ["c2"], ["f2"]),
        helper.make_node("Concat", ["f1", "f2"], ["features"], axis=1),
        helper.make_node("Conv", ["features", "w3", "b3"], ["scores"]),
        helper.make_node(last, ["scores"], [name_out], **axis),
    ]
    graph = helper.make_graph(
        nodes,
        last,
        [helper.make_tensor_value_info(name_in, TensorProto.FLOAT, shapes[0])],
        [helper.make_tensor_value_info(name_out, TensorProto.FLOAT, shapes[1])],
        [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _weights(
    seed: int, n_in: int, read_out: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> dict[str, NDArray[np.float64] | NDArray[np.float32]]:
    """Return the weights of a graph: two random layers and the read-out."""
    rng = np.random.default_rng(seed)
    first, second = (
        ((n_in, 1, 1), (1, 5, 5)) if n_in == N_BEATS else ((n_in, 5, 5), (N_RANDOM, 5, 5))
    )
    return {
        "w1": rng.normal(0, (2 / np.prod(first)) ** 0.5, (N_RANDOM, *first)),
        "w2": rng.normal(0, (2 / np.prod(second)) ** 0.5, (N_RANDOM, *second)),
        "b1": rng.normal(0, 0.3, N_RANDOM),
        "b2": rng.normal(0, 0.3, N_RANDOM),
        "w3": read_out[0][:, :, None, None],
        "b3": read_out[1],
    }
