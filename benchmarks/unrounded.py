"""The graphs in single precision that those which ship in eight bits were made from."""

from collections.abc import Callable
from pathlib import Path
from warnings import catch_warnings, simplefilter

from benchmarks.torchreference import graph_of, single_precision
from models.phases.encoder import fused, imagenet_encoder
from models.phases.export import export_encoder


def write_encoder(place: Path) -> Path:
    """Return the phases' encoder in single precision, with its published weights, in a folder.

    It is written there once: that takes seconds, and several rows ask for it.
    """
    path = place / "single.onnx"
    if path.exists():
        return path
    with catch_warnings():
        # torch's exporter warns of its own use of torch.
        simplefilter("ignore")
        export_encoder(fused(imagenet_encoder()), path)
    return path


EIGHT_BITS: dict[tuple[str, str], Callable[[Path], Path]] = {
    ("perfusion", "member_1"): lambda _: single_precision("member_1"),
    ("phases", "encoder"): write_encoder,
}
"""Graphs that ship in eight bits, and what finds or writes them in single precision."""


def unrounded(which: tuple[str, str], place: Path) -> Path:
    """Return the file of a graph in single precision; that which ships where it is so.

    Parameters
    ----------
    which
        Model and graph.
    place
        A folder for what has to be written.
    """
    made = EIGHT_BITS.get(which)
    return graph_of(*which) if made is None else made(place)
