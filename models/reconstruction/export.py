"""Make the bundle: trained weights as ONNX files, metadata, model card and list of digests.

    python -m models.reconstruction.export

Weights are rounded to half precision and stored so; the graphs cast them back when a session opens,
and all arithmetic is in single precision. The operator and the network that it is compared with lie
in one bundle, so that a site chooses by a setting.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from models.perfusion.export import rounded_weights
from models.reconstruction.data import MODEL
from models.reconstruction.disco import KINDS
from models.reconstruction.graph import write_operator
from models.reconstruction.network import Unrolled
from models.reconstruction.train import RUNS, SIZES
from pipeline.infer.bundle import write_file_list

FOLDER = Path(__file__).parent
"""Where the bundle's sources lie."""

BUNDLE = FOLDER / "bundle"
"""The bundle."""


def export_bundle(runs: Path = RUNS, bundle: Path = BUNDLE, size: str = "small") -> None:
    """Write the bundle from the runs' checkpoints.

    Parameters
    ----------
    runs
        Folder with ``operator.pt``, ``varnet.pt`` and their curves.
    bundle
        Folder of the bundle; its networks are replaced.
    size
        What the checkpoints were trained as.
    """
    shutil.rmtree(bundle / "models", ignore_errors=True)
    described: dict[str, object] = {**asdict(MODEL)}
    for kind in KINDS:
        network = Unrolled(kind, SIZES[kind, size])
        network.load_state_dict(rounded_weights(runs / f"{kind}.pt"))
        described[kind] = write_networks(network, kind, bundle / "models")
    metadata = json.loads((FOLDER / "metadata.json").read_text())
    metadata["vesalius"] = described
    for name in ("configs", "docs"):
        (bundle / name).mkdir(exist_ok=True)
    (bundle / "configs" / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
    shutil.copyfile(FOLDER / "CARD.md", bundle / "docs" / "README.md")
    shutil.copyfile(FOLDER / "WEIGHTS-LICENSE", bundle / "LICENSE")
    for run in sorted(runs.glob("*.csv")):
        shutil.copyfile(run, bundle / "docs" / f"{run.stem}_curve.csv")
    write_file_list(bundle)


def write_networks(network: Unrolled, kind: str, folder: Path) -> dict[str, object]:
    """Write the graphs of one model, and return what the metadata says of it.

    Parameters
    ----------
    network
        The model, its weights rounded to half precision.
    kind
        Begins the names of the files.
    folder
        Where they go; made if it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    operators = {"sensitivity": network.sensitivity}
    if network.kspace is not None:
        operators["kspace"] = network.kspace
    operators |= {f"cascade_{n + 1}": c for n, c in enumerate(network.cascades)}
    for name, operator in operators.items():
        (folder / f"{kind}_{name}.onnx").write_bytes(write_operator(operator))
    return {
        "etas": [float(eta) for eta in network.etas.detach()],
        "kspace": network.kspace is not None,
        "follows_resolution": kind == "operator",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Export what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--size", choices=("small", "large"), default="small")
    options = parser.parse_args(arguments)
    export_bundle(options.runs, options.bundle, options.size)


if __name__ == "__main__":
    main()
