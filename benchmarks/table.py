"""The table of benchmarks: Markdown for people, JSON for machines."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.row import Row

RESULTS = Path(__file__).parent / "results"
"""Where results are kept; git ignores it."""

PLOT = RESULTS / "growth.png"
"""The plot of times over sizes."""

LIBRARIES = ("numpy", "onnxruntime", "pydicom", "highdicom")
"""Libraries whose version matters to the figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the figures were measured on."""

    processor: str
    cores: int
    memory_gib: int
    system: str
    versions: dict[str, str]
    """Of Python and the libraries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """What one module measured."""

    area: str
    seconds: float
    """How long that took [s]."""

    rows: tuple[Row, ...]

    failure: str = ""
    """Why rows are missing."""


def this_machine() -> Machine:
    """Return what this machine is."""
    cpus = Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip()
        for line in (cpus.read_text().splitlines() if cpus.is_file() else [])
        if line.startswith("model name")
    ]
    versions = {"Python": platform.python_version()}
    return Machine(
        processor=names[0] if names else platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        system=f"{platform.system()} {platform.release()}",
        versions=versions | {name: version(name) for name in LIBRARIES},
    )


def markdown(machine: Machine, sections: Sequence[Section]) -> str:
    """Return the table."""
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    lines = [
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.system}; "
        f"{versions}.",
        "",
        "A ratio is ours over theirs, the median of pairs that were measured in turn; a range "
        "where it moves by more than a tenth. The aim is the largest ratio that reaches it.",
        "",
        "| area | ours | theirs | ours takes | theirs take | ratio | aim | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_line(row) for section in sections for row in section.rows),
    ]
    failed = [section for section in sections if section.failure]
    if failed:
        lines += ["", "Not measured:", ""]
        lines += [f"- {section.area}: {section.failure}" for section in failed]
    notes = [row for section in sections for row in section.rows if row.note]
    if notes:
        lines += [
            "",
            *(f"- {row.area}, {row.what} against {row.against}: {row.note}" for row in notes),
        ]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    """Return a row of the table."""
    aim = "" if row.aim is None else f"{row.aim:g}"
    reached = {None: "", True: "reached", False: "**missed**"}[row.is_reached]
    ours, theirs = (f"{median(took):.3g} {row.unit}" for took in (row.ours, row.theirs))
    cells = (row.area, row.what, row.against, ours, theirs, row.told(), aim, reached)
    return "| " + " | ".join(cells) + " |"


def document(machine: Machine, sections: Sequence[Section]) -> str:
    """Return everything as JSON, each round's figures included."""
    told = [
        {**asdict(section), "rows": [{**asdict(row), "ratio": row.ratio} for row in section.rows]}
        for section in sections
    ]
    return json.dumps({"machine": asdict(machine), "areas": told}, indent=2) + "\n"
