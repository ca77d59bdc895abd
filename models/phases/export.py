"""Make the bundle: networks as ONNX files, counts, model card and list of digests.

    python -m models.phases.export

The encoder is the one that ``eightgraph`` has written, in eight bits. Weights of the others are
rounded to half precision and stored so; their graphs cast them back when a session opens, and their
arithmetic is in single precision. Counts are those of the operations that the temporal network
learnt from; of gastric bypass, of all operations.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from models.perfusion.export import rounded_weights, store_in_half_precision
from models.phases.counting import count_operations, tool_table
from models.phases.encoder import N_FEATURES, PICTURE_SIDE, Encoder
from models.phases.labels import Operation, read_bypass, read_cholec80
from models.phases.network import N_KEYS, WINDOW, TemporalNetwork
from models.phases.train import DATA, N_PHASES, RUNS, operations_of
from pipeline.analyses.phases.ontology import load_procedure
from pipeline.analyses.phases.settings import ModelSettings
from pipeline.analyses.phases.temporal import temporal_contract
from pipeline.infer.bundle import write_file_list

FOLDER = Path(__file__).parent
"""Where the bundle's sources lie."""

BUNDLE = FOLDER / "bundle"
"""The bundle."""

NETWORK_FILTER = {"temperature": 4.0, "switch_probability": 0.8}
"""The filter after the temporal network, as ``tune`` chose it on drawn outputs of training
operations."""

PICTURE_FILTER = {"temperature": 8.0, "switch_probability": 0.8}
"""The filter of a procedure without networks."""

PLAIN_FILTER = {"temperature": 8.0, "switch_probability": 1e-6}
"""The plain hidden Markov model that is compared with: the likeliest phase at every second."""


def export_bundle(
    runs: Path = RUNS,
    bundle: Path = BUNDLE,
    data: Path = DATA,
    fold: str = "shipped",
    *,
    keeps_temporal: bool = False,
) -> None:
    """Write the bundle.

    Parameters
    ----------
    runs
        Folder with ``encoder.onnx``, ``head.pt`` and the checkpoint of the fold.
    bundle
        Folder of the bundle; its networks are replaced.
    data
        Folder of the labels.
    fold
        Which operations the temporal network learnt from.
    keeps_temporal
        Whether the bundle's temporal network stays, so that no checkpoint is asked for.
    """
    operations, tools = read_cholec80(data / "cholec80_labels_1fps.npz")
    learnt = operations_of(fold, operations)
    model = ModelSettings(
        rate_hz=1.0,
        picture_side=PICTURE_SIDE,
        n_features=N_FEATURES,
        window=WINDOW,
        n_keys=N_KEYS,
        tools=tools,
    )
    for name in ("models", "configs", "docs"):
        (bundle / name).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(runs / "encoder.onnx", bundle / "models" / "encoder.onnx")
    head = nn.Linear(N_FEATURES, N_PHASES)
    head.load_state_dict(rounded(torch.load(runs / "head.pt", weights_only=True)))
    export_head(head, bundle / "models" / "head.onnx")
    if not keeps_temporal:
        temporal = TemporalNetwork(N_PHASES, len(tools))
        temporal.load_state_dict(rounded_weights(runs / f"temporal_{fold}.pt"))
        export_temporal(temporal, model, bundle / "models" / "temporal.onnx")
        shutil.copyfile(runs / f"temporal_{fold}.csv", bundle / "docs" / "temporal_curve.csv")
    metadata = json.loads((FOLDER / "metadata.json").read_text())
    metadata["vesalius"] = settings_of(model, learnt, read_bypass(data / "gastric_bypass_labels"))
    (bundle / "configs" / "metadata.json").write_text(json.dumps(metadata) + "\n")
    shutil.copyfile(FOLDER / "CARD.md", bundle / "docs" / "README.md")
    shutil.copyfile(FOLDER / "WEIGHTS-LICENSE", bundle / "LICENSE")
    for told in sorted(runs.glob("head_leave_one_out.*")):
        shutil.copyfile(told, bundle / "docs" / told.name)
    write_file_list(bundle)


def settings_of(
    model: ModelSettings, operations: Sequence[Operation], bypasses: Sequence[Operation]
) -> dict[str, object]:
    """Return what the metadata holds for the analysis.

    Parameters
    ----------
    model
        What the networks were trained with.
    operations
        Cholecystectomies to count.
    bypasses
        Gastric bypasses to count.
    """
    phases, tools = [o.phase for o in operations], [o.tools for o in operations]
    described = {
        name: getattr(model, name)
        for name in ("rate_hz", "picture_side", "n_features", "window", "n_keys")
    }
    return {
        **described,
        "tools": list(model.tools),
        "procedures": {
            "cholecystectomy": {
                **_counted("cholecystectomy", operations),
                "networks": True,
                "filter": NETWORK_FILTER,
                "plain_filter": PLAIN_FILTER,
                "tool_table": tool_table(phases, tools, N_PHASES).round(6).tolist(),
            },
            "gastric_bypass": {
                **_counted("gastric_bypass", bypasses),
                "networks": False,
                "filter": PICTURE_FILTER,
                "plain_filter": PLAIN_FILTER,
            },
        },
    }


def export_encoder(encoder: Encoder, path: Path) -> None:
    """Write the encoder in single precision: what the one in eight bits is compared with.

    Parameters
    ----------
    encoder
        The encoder.
    path
        The file: ``image`` (1, 3, 224, 224) in, ``features`` (1, 1280) out.
    """
    example = torch.zeros(1, 3, PICTURE_SIDE, PICTURE_SIDE)
    _export(encoder.eval(), (example,), (["image"], ["features"]), path)


def export_head(head: nn.Linear, path: Path) -> None:
    """Write the head: ``features`` (1, 1280) in, ``logits`` (1, phases) out."""
    example = torch.zeros(1, head.in_features)
    _export(head.eval(), (example,), (["features"], ["logits"]), path)


def export_temporal(network: TemporalNetwork, model: ModelSettings, path: Path) -> None:
    """Write the step of the temporal network, with its state as inputs and outputs."""
    contract = temporal_contract(model, network.n_phases)
    examples = (torch.zeros(1, network.width), *network.initial())
    inputs = [name for name, _ in (*contract.inputs, *contract.state)]
    outputs = [name for name, _ in contract.outputs]
    outputs += [f"next_{name}" for name, _ in contract.state]
    _export(_Step(network).eval(), examples, (inputs, outputs), path)


class _Step(nn.Module):
    """The step of a network as the module that is exported."""

    def __init__(self, network: TemporalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, observation: Tensor, recent: Tensor, peak: Tensor, seen: Tensor, count: Tensor
    ) -> tuple[Tensor, ...]:
        return self.network.step(observation, recent, peak, seen, count)


def rounded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights rounded to half precision; whole numbers are left alone."""
    return {n: w.half().float() if w.is_floating_point() else w for n, w in state.items()}


def _counted(name: str, operations: Sequence[Operation]) -> dict[str, object]:
    """Return a procedure's identity and counts."""
    procedure = load_procedure(name)
    counts = count_operations([o.phase for o in operations], len(procedure.phases))
    return {
        "version": procedure.version,
        "phases": list(procedure.names),
        "counts": counts.to_json(),
    }


def _export(
    network: nn.Module,
    examples: tuple[Tensor, ...],
    names: tuple[list[str], list[str]],
    path: Path,
) -> None:
    """Write a network of fixed shapes as one ONNX file with half-precision weights."""
    program = torch.onnx.export(
        network,
        examples,
        dynamo=True,
        input_names=names[0],
        output_names=names[1],
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Export what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--fold", choices=("shipped", "tools"), default="shipped")
    parser.add_argument("--keep-temporal", action="store_true")
    options = parser.parse_args(arguments)
    export_bundle(
        options.runs,
        options.bundle,
        options.data,
        options.fold,
        keeps_temporal=options.keep_temporal,
    )


if __name__ == "__main__":
    main()
