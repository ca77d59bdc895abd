"""Labelled operations: phases and tools at one second each, by name.

Two public sets are read: Cholec80's labels as one npz file (``videoNN_phase``, ``videoNN_tools``,
``phase_names``, ``tool_names``), and MultiBypass140's as one JSON file an operation.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.ontology import Procedure, load_procedure
from pipeline.analyses.phases.runs import Columns

OVERLAYS = frozenset({"out_of_body", "severe_index"})
"""Labels of MultiBypass140 that lie over the phases."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Operation:
    """One labelled operation."""

    name: str
    """``video01``."""

    phase: Columns
    """Column of each second's phase in its procedure. Shape ``(seconds,)``."""

    tools: NDArray[np.float32]
    """Presence of each instrument. Shape ``(seconds, tools)``; no columns where none is told."""


def read_cholec80(path: Path) -> tuple[tuple[Operation, ...], tuple[str, ...]]:
    """Return the operations of Cholec80's labels, and the names of the instruments."""
    procedure = load_procedure("cholecystectomy")
    with np.load(path, allow_pickle=False) as file:
        columns = np.array([procedure.column_of(str(n)) for n in file["phase_names"]])
        names = sorted(k.removesuffix("_phase") for k in file.files if k.endswith("_phase"))
        operations = tuple(
            Operation(
                name=name,
                phase=columns[file[f"{name}_phase"]],
                tools=file[f"{name}_tools"].astype(np.float32),
            )
            for name in names
        )
        tools = tuple(str(n) for n in file["tool_names"])
    return operations, tools


def read_bypass(folder: Path) -> tuple[Operation, ...]:
    """Return the operations of MultiBypass140's labels, one a JSON file."""
    procedure = load_procedure("gastric_bypass")
    return tuple(_bypass(path, procedure) for path in sorted(folder.rglob("*.json")))


def _bypass(path: Path, procedure: Procedure) -> Operation:
    """Return one operation: seconds between two phases belong to the one before."""
    listed = json.loads(path.read_text())["phases"]
    phases = sorted((p for p in listed if p["label_name"] not in OVERLAYS), key=_start)
    first = phases[0]["start"] // 1000
    phase = np.zeros(-(-max(p["end"] for p in phases) // 1000) - first, dtype=np.int64)
    for labelled in phases:
        phase[labelled["start"] // 1000 - first :] = procedure.column_of(labelled["label_name"])
    name = path.name.removesuffix(".mp4.json")
    return Operation(name=name, phase=phase, tools=np.zeros((phase.size, 0), dtype=np.float32))


def _start(labelled: dict[str, int]) -> int:
    """Return when a labelled phase starts [ms]."""
    return labelled["start"]
