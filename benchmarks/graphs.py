"""The graphs that area ``models`` runs, what they are given, and how they are run and compared."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.daugs import TOLERANCE, OtherResult
from benchmarks.row import Row, Terms, in_turn, seconds_of
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.infer.session import open_session
from pipeline.infer.terms import CPU

Feed = dict[str, NDArray[np.float32]]
"""Values of a graph's inputs by their names, in their order."""

Way = Callable[[Feed], NDArray[np.float32]]
"""A way to run a graph: from its inputs to its first output."""

GRAPHS = {
    ("perfusion", "member_1"): {"beats": (4, 30, 64, 64)},
    ("perfusion", "locator"): {"maps": (1, 6, 64, 64)},
    ("reconstruction", "operator_cascade_1"): {"image": (1, 3, 160, 160), "basis": (9, 7, 7)},
    ("reconstruction", "varnet_cascade_1"): {"image": (1, 3, 160, 160)},
    ("phases", "encoder"): {"image": (1, 3, 224, 224)},
    ("phases", "head"): {"features": (1, 1280)},
    ("phases", "temporal"): {
        "observation": (1, 16),
        "recent": (1, 19, 16),
        "peak": (1, 32),
        "seen": (1, 7),
        "count": (1, 1),
    },
}
"""Shapes of what each graph is given."""

HIGHEST = {("phases", "encoder"): 255.0}
"""The largest values that graphs are given, where that is not one."""

RUNS, MOST_RUNS, LEAST_S = 5, 1000, 0.05
"""A time is the mean of so many runs: the more the faster they are, until they take so long [s]."""

APART = 1e-3
"""Largest difference of two ways, as a share of the largest value."""

STEPS_APART = 0.01
"""Mean difference of a graph in eight bits, the same way: other ways compute in single precision
between its roundings, and where a value lies between two steps they take the other one."""


def example(which: tuple[str, str]) -> Feed:
    """Return values for a graph's inputs; what they are changes no time."""
    rng, most = np.random.default_rng(0), np.float32(HIGHEST.get(which, 1.0))
    return {
        name: most * rng.random(shape, dtype=np.float32) for name, shape in GRAPHS[which].items()
    }


def served(model: str, name: str, threads: int) -> Way:
    """Return a graph as it is served."""
    session = open_session(load_bundle(find_bundle(model)).network(name), threads=threads)
    return lambda feed: session.run([session.get_outputs()[0].name], feed)[0]


def at_level(path: Path, threads: int, level: onnxruntime.GraphOptimizationLevel) -> Way:
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


def mean_seconds(run: Callable[[Feed], object], feed: Feed, runs: int) -> float:
    """Return what a run of a graph takes [s]."""
    return seconds_of(lambda: [run(feed) for _ in range(runs)]) / runs


def runs_of(run: Way, feed: Feed) -> int:
    """Return how many runs of a graph are worth timing: the fastest take microseconds."""
    once = seconds_of(lambda: run(feed))
    return max(RUNS, min(MOST_RUNS, round(LEAST_S / once)))


def times_of(
    terms: Terms, feed: Feed, ours: Way, other: Way
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Time two ways in turn; return what a run of each took, once a round [s]."""
    ours(feed)
    runs = 1 if terms.is_small else runs_of(ours, feed)
    return in_turn(
        terms.rounds,
        lambda: mean_seconds(ours, feed, runs),
        lambda: mean_seconds(other, feed, runs),
    )


def apart(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Return the largest difference of two results, as a share of the first one's largest value."""
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), TOLERANCE))


def graph_row(
    which: tuple[str, str],
    threads: int,
    against: str,
    times: tuple[tuple[float, ...], tuple[float, ...]],
    note: str = "",
) -> Row:
    """Return the row of a graph over another way to run it.

    Parameters
    ----------
    which
        Model and graph.
    threads
        Threads of both.
    against
        The other way.
    times
        What a run of each took, once a round [s].
    note
        What a reader should know.
    """
    model, name = which
    return Row(
        area="models",
        what=f"{model}'s {name}, {threads} thread{'s' if threads > 1 else ''}",
        against=against,
        ours=times[0],
        theirs=times[1],
        note=note,
    )


def off_by(difference: float) -> str:
    """Return the note of another result: its largest difference over the largest value is given."""
    return f"another result: {100 * difference:.2g} % of the largest value from what is served"


def check_same(what: str, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    """Compare what two ways give.

    Raises
    ------
    OtherResult
        If they differ by more than rounding.
    """
    found = apart(ours, theirs)
    if not found <= APART:
        raise OtherResult(f"{what}: {found:.2g} from what is served")


def check_near(what: str, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    """Compare what two ways give of a graph in eight bits.

    Raises
    ------
    OtherResult
        If they differ on average by more than steps of eight bits.
    """
    found = float(np.abs(ours - theirs).mean() / max(np.abs(ours).max(), TOLERANCE))
    if not found <= STEPS_APART:
        raise OtherResult(f"{what}: {found:.2g} from what is served, on average")
