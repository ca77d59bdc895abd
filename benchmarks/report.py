"""What was measured, as Markdown for people and JSON for machines."""

import json
import platform
from dataclasses import asdict, dataclass
from os import cpu_count
from pathlib import Path
from statistics import median

import numpy
import onnxruntime

from benchmarks.command import CommandCost
from benchmarks.inference import InferenceCost
from benchmarks.memory import PeakMemory

RESULTS = Path(__file__).parent / "results"
"""Where results are kept; git ignores it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """All that was measured."""

    inference: tuple[InferenceCost, ...]
    """The analysis, one for each stride."""

    memory: tuple[PeakMemory, ...]
    """Peaks of a process that does the same, in the same order."""

    command: CommandCost | None
    """The whole command; None where a bundle was named: the command takes the installed one."""

    phantom_ms: float
    """One training sample of the phantom [ms]."""


def markdown(measured: Measured) -> str:
    """Return the tables."""
    peaks = measured.memory
    lines = [
        "# Benchmarks",
        "",
        f"{platform.machine()}, {cpu_count()} cores, Python {platform.python_version()}, "
        f"ONNX Runtime {onnxruntime.__version__}, numpy {numpy.__version__}.",
        "",
        *_ratios(measured),
        *_stages(measured.inference),
        "",
        "## Beside it",
        "",
        f"- Opening the bundle: {median(c.open_seconds for c in measured.inference):.2f} s.",
        f"- Memory: {peaks[0].imported_mib:.0f} MiB with all imports, "
        f"{peaks[0].opened_mib:.0f} MiB with the pool open.",
        f"- One training sample of the phantom (1 slice, 45 beats, 96 x 96): "
        f"{measured.phantom_ms:.0f} ms.",
    ]
    return "\n".join(lines) + "\n"


def _ratios(measured: Measured) -> list[str]:
    """Return the table of ratios."""
    lines = [
        "## Serving over bare ONNX Runtime",
        "",
        "Same patches, same batches, same threads, timed in turn; medians over the rounds.",
        "",
        "| what | stride | slices x members x patches | served [s] | bare [s] | ratio | MiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for cost, peak in zip(measured.inference, measured.memory, strict=True):
        patches = f"{cost.n_slices} x {cost.n_members} x {cost.n_patches // cost.n_slices}"
        lines.append(
            f"| analysis | {cost.uncertainty_stride} | {patches} "
            f"| {median(cost.serving_seconds):.2f} | {median(cost.bare_seconds):.2f} "
            f"| {cost.ratio:.3f} | {peak.analysed_mib:.0f} |"
        )
    whole = measured.command
    if whole is not None:
        lines.append(
            f"| `vesalius run` | default | {whole.n_slices} x {whole.n_members} "
            f"| {whole.command_seconds:.2f} | {whole.bare_seconds:.2f} | {whole.ratio:.3f} "
            f"| {whole.peak_mib:.0f} |"
        )
    return lines


def _stages(costs: tuple[InferenceCost, ...]) -> list[str]:
    """Return the table of stages."""
    lines = ["", "## Where the time goes", "", "| stride | stage | time [s] | share |"]
    lines.append("| --- | --- | --- | --- |")
    for cost in costs:
        total = sum(cost.stage_seconds.values())
        for stage, seconds in cost.stage_seconds.items():
            share = f"{seconds / total:.1%}"
            lines.append(f"| {cost.uncertainty_stride} | {stage} | {seconds:.3f} | {share} |")
    return lines


def write(measured: Measured) -> str:
    """Write both files and return the Markdown."""
    text = markdown(measured)
    document = asdict(measured)
    for cost, row in zip(measured.inference, document["inference"], strict=True):
        row["ratio"] = cost.ratio
    if measured.command is not None:
        document["command"]["ratio"] = measured.command.ratio
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "benchmarks.md").write_text(text, encoding="utf-8")
    (RESULTS / "benchmarks.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    return text
