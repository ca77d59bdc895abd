"""What a model brings: a bundle's metadata, its list of files, and its networks."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.infer.bundle import load_bundle
from pipeline.infer.onnxfile import check_onnx
from tests.fuzz.target import Target
from tests.support.tally import write_tally_bundle

DIVIDER = b"\n---\n"
"""Between the parts of an input: metadata, list of files."""


def read_bundle(content: bytes, folder: Path) -> None:
    """Load a bundle whose metadata and list of files are the input's.

    An input without a list gets one that is right, so that what lies behind it is reached.
    """
    metadata, _, listed = content.partition(DIVIDER)
    place = folder / "bundle"
    if not place.exists():
        shutil.copytree(write_tally_bundle(folder / "made") / "tally" / "bundle", place)
    (place / "configs" / "metadata.json").write_bytes(metadata)
    list_path = place / "configs" / "files.json"
    if listed:
        list_path.write_bytes(listed)
    else:
        files = {
            path.relative_to(place).as_posix(): sha256(path.read_bytes()).hexdigest()
            for path in place.rglob("*")
            if path.is_file() and path != list_path
        }
        list_path.write_text(json.dumps({"layout": 1, "files": files}))
    try:
        load_bundle(place)
    except PipelineError:
        return


def bundles(folder: Path) -> list[bytes]:
    """Return the metadata of a bundle, with its list of files and without."""
    place = write_tally_bundle(folder / "models") / "tally" / "bundle" / "configs"
    metadata = (place / "metadata.json").read_bytes()
    return [metadata, metadata + DIVIDER + (place / "files.json").read_bytes()]


def read_network(content: bytes, folder: Path) -> None:
    """Check a network."""
    try:
        check_onnx(folder / "input.onnx", content)
    except PipelineError:
        return


def networks(folder: Path) -> list[bytes]:
    """Return a network."""
    place = write_tally_bundle(folder / "models") / "tally" / "bundle" / "models"
    return [path.read_bytes() for path in place.glob("*.onnx")]


TARGETS = {
    "bundle": Target(read=read_bundle, seeds=bundles, longest=8192),
    "onnx": Target(read=read_network, seeds=networks, longest=8192, n_tried=3000),
}
