"""Make the bundle: trained weights as ONNX files, metadata, model card and list of digests.

    python -m models.perfusion.export

The members' graphs are written beside the bundle, and into it in eight bits.

Weights are rounded to half precision and stored so, which halves the files; the graph casts them
back when a session opens, and all arithmetic is in single precision. The network that is exported
has the rounded weights too, so that graph and network agree to rounding error.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from models.perfusion.network import N_BEATS, N_MAPS, Locator, Member
from models.perfusion.quantise import GRAPHS, quantise_pool
from models.perfusion.train import RUNS
from models.perfusion.trustbundle import BUNDLE

FOLDER = Path(__file__).parent
"""Where the bundle's sources lie."""

PATCH = 64
"""Points along the side of a member's patch."""

SMALLEST_STORED = 64
"""Tensors with fewer values stay in single precision: nothing is to be won."""


def export_bundle() -> None:
    """Write the bundle from the runs' checkpoints."""
    for folder in (GRAPHS, BUNDLE / "models"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    members = sorted(RUNS.glob("member_*.pt"))
    for checkpoint in members:
        member = Member()
        member.unet.load_state_dict(rounded_weights(checkpoint))
        export_member(member, GRAPHS / f"{checkpoint.stem}.onnx")
    locator = Locator()
    locator.unet.load_state_dict(rounded_weights(RUNS / "locator.pt"))
    export_locator(locator, BUNDLE / "models" / "locator.onnx")
    metadata = json.loads((FOLDER / "metadata.json").read_text())
    metadata["vesalius"]["members"] = [m.stem for m in members]
    (BUNDLE / "configs").mkdir(exist_ok=True)
    (BUNDLE / "configs" / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
    (BUNDLE / "docs").mkdir(exist_ok=True)
    shutil.copyfile(FOLDER / "CARD.md", BUNDLE / "docs" / "README.md")
    shutil.copyfile(FOLDER / "WEIGHTS-LICENSE", BUNDLE / "LICENSE")
    for run in sorted(RUNS.glob("*.csv")):
        shutil.copyfile(run, BUNDLE / "docs" / f"{run.stem}_curve.csv")
    quantise_pool()


def rounded_weights(checkpoint: Path) -> dict[str, Tensor]:
    """Return a run's mean weights, rounded to half precision."""
    state = torch.load(checkpoint, weights_only=True)["mean"]
    return {name: weight.half().float() for name, weight in state.items()}


def export_member(member: nn.Module, path: Path) -> None:
    """Write a member: ``beats`` (n, 30, 64, 64) in, ``probabilities`` (n, 3, 64, 64) out."""
    example = torch.zeros(2, N_BEATS, PATCH, PATCH)
    _export(member, example, path, (("beats", "probabilities"), {0: torch.export.Dim("batch")}))


def export_locator(locator: nn.Module, path: Path) -> None:
    """Write the locator: ``maps`` (1, 6, h, w) in, ``likelihood`` (1, 1, h, w) out."""
    example = torch.zeros(1, N_MAPS, 48, 64)
    sides = {2: 8 * torch.export.Dim("height8"), 3: 8 * torch.export.Dim("width8")}
    _export(locator, example, path, (("maps", "likelihood"), sides))


def _export(
    network: nn.Module,
    example: Tensor,
    path: Path,
    contract: tuple[tuple[str, str], dict[int, torch.export.Dim]],
) -> None:
    """Write a network as one ONNX file with half-precision weights."""
    (name_in, name_out), dynamic = contract
    program = torch.onnx.export(
        network.eval(),
        (example,),
        dynamo=True,
        input_names=[name_in],
        output_names=[name_out],
        dynamic_shapes=(dynamic,),
        opset_version=18,
        verbose=False,
    )
    model = program.model_proto
    store_in_half_precision(model)
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def store_in_half_precision(model: onnx.ModelProto) -> None:
    """Store single-precision weights in half precision, each with a cast in front of its use."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < SMALLEST_STORED:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    kept = [v for v in model.graph.value_info if v.name not in {c.output[0] for c in casts}]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)


if __name__ == "__main__":
    export_bundle()
