"""Put what ``python -m benchmarks`` measured where people read it.

    python -m benchmarks.publish
    python -m benchmarks.publish RUN1.json RUN2.json

The first form writes the rows that have an aim, reached or missed, into the README, from
``benchmarks/results/table.json``. The second does so from the first run, keeps both runs as they
are in ``docs/bench/runs``, with the plot of growth of the later, and writes
``docs/bench/table.md``: all rows, both ratios, and whether they agree.
"""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks.row import HOLDS, Row
from benchmarks.table import PLOT, RESULTS, Machine, Section

ROOT = Path(__file__).parents[1]
"""Where README and docs lie."""

BEGIN, END = "<!-- fast: python -m benchmarks.publish -->", "<!-- /fast -->"
"""What stands around the table in the README."""

REASONS = "the reasons stand in [the table of two runs](docs/bench/table.md)"
"""Where a reader finds why a peer was not measured: in its own words, which are many."""

Run = tuple[Machine, tuple[Section, ...]]
"""What was measured once, and on what."""


class NotPublished(Exception):
    """There is no place for the table, or the runs are not two of the same machine."""


def main() -> None:
    """Publish one run, or two side by side."""
    parser = ArgumentParser(prog="benchmarks.publish", description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN.json")
    call = parser.parse_args()
    if len(call.runs) not in (0, 2):
        parser.error("give no run, or two")
    try:
        if call.runs:
            publish_two(ROOT, call.runs, PLOT)
        else:
            publish_one(ROOT, RESULTS / "table.json")
    except NotPublished as problem:
        parser.error(str(problem))


def publish_one(root: Path, path: Path) -> None:
    """Write the rows of a run that have an aim into the README.

    Raises
    ------
    NotPublished
        If the README has no place for them, or there is no run.
    """
    _into_readme(root / "README.md", aimed(read_run(path)))


def publish_two(root: Path, paths: Sequence[Path], plot: Path) -> None:
    """Keep two runs and the plot, and write their tables.

    Raises
    ------
    NotPublished
        If the README has no place for its table, or the runs are of different machines.
    """
    kept = [path.read_bytes() for path in paths]
    first, second = (read_run(path) for path in paths)
    if first[0] != second[0]:
        raise NotPublished("the runs are of two machines, or of other versions")
    _into_readme(root / "README.md", aimed(first))
    place = root / "docs" / "bench" / "runs"
    place.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(kept, start=1):
        (place / f"run{number}.json").write_bytes(content)
    if plot.is_file():
        (place / plot.name).write_bytes(plot.read_bytes())
    (place.parent / "table.md").write_text(side_by_side(first, second), encoding="utf-8")


def read_run(path: Path) -> Run:
    """Return a run that ``benchmarks.table.document`` wrote.

    Raises
    ------
    NotPublished
        If there is no such file.
    """
    if not path.is_file():
        raise NotPublished(f"{path}: no such run; python -m benchmarks makes one")
    told = json.loads(path.read_text(encoding="utf-8"))
    names = {field.name for field in fields(Row)}
    sections = [
        Section(
            area=area["area"],
            seconds=area["seconds"],
            rows=tuple(_row(row, names) for row in area["rows"]),
            failure=area["failure"],
        )
        for area in told["areas"]
    ]
    return Machine(**told["machine"]), tuple(sections)


def aimed(run: Run) -> str:
    """Return the rows that have an aim as Markdown, with the machine and where there are gaps."""
    machine, sections = run
    lines = [
        f"On {_named(machine)}; the ratio is what ours takes over what the other takes.",
        "",
        "| ours | against | ratio | aim | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in (row for section in sections for row in section.rows if row.aim is not None):
        reached = "reached" if row.is_reached else "**missed**"
        cells = (row.what, row.against, row.told(), f"{row.aim:g}", reached)
        lines.append(_cells(cells))
    gaps = [section.area for section in sections if section.failure]
    if gaps:
        lines += ["", f"Not everything could be measured in {', '.join(gaps)}: {REASONS}."]
    return "\n".join(lines) + "\n"


def side_by_side(first: Run, second: Run) -> str:
    """Return all rows of two runs as Markdown."""
    others = {_key(row): row for section in second[1] for row in section.rows}
    rows = [row for section in first[1] for row in section.rows]
    lines = [
        "# Two runs of the benchmarks",
        "",
        f"On {_named(first[0])}.",
        "",
        "Written by `python -m benchmarks.publish`; what each round took is in `runs`. Two ratios",
        "agree if they differ by at most a tenth of the larger, and are on one side of the aim.",
        "",
        "| area | ours | against | first | second | agree | aim | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        other = others.pop(_key(row), None)
        lines.append(_line(row, other))
    lines += [
        _cells((r.area, r.what, r.against, "-", r.told(), "", "", "")) for r in others.values()
    ]
    lines += _missing((*first[1], *second[1]))
    notes = [f"- {row.area}, {row.what}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"


def agree(row: Row, other: Row) -> bool:
    """Tell whether two runs of a row say the same."""
    apart = abs(row.ratio - other.ratio)
    return apart <= HOLDS * max(row.ratio, other.ratio) and row.is_reached == other.is_reached


def _line(row: Row, other: Row | None) -> str:
    """Return a row of both runs."""
    aim = "" if row.aim is None else f"{row.aim:g}"
    runs = [row] if other is None else [row, other]
    missed = any(one.is_reached is False for one in runs)
    reached = "" if row.aim is None else "**missed**" if missed else "reached"
    second = "-" if other is None else other.told()
    same = "" if other is None else "yes" if agree(row, other) else "no"
    return _cells((row.area, row.what, row.against, row.told(), second, same, aim, reached))


def _key(row: Row) -> tuple[str, str, str]:
    """Return what tells a row from others."""
    return row.area, row.what, row.against


def _row(told: dict[str, object], names: set[str]) -> Row:
    """Return a row of its JSON values; what derives from others is left out."""
    values = {name: value for name, value in told.items() if name in names}
    return Row(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})  # type: ignore[arg-type]


def _named(machine: Machine) -> str:
    """Return a machine in words."""
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.system}, "
        f"{versions}"
    )


def _missing(sections: Sequence[Section]) -> Iterator[str]:
    """Yield what was not measured."""
    failed = [f"- {section.area}: {section.failure}" for section in sections if section.failure]
    yield from ["", "Not measured:", "", *dict.fromkeys(failed)] if failed else []


def _cells(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(cells) + " |"


def _into_readme(path: Path, table: str) -> None:
    """Put a table between the marks."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NotPublished(f"{path.name}: {BEGIN} and {END} are missing")
    path.write_text(f"{before}{begin}\n{table}{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
